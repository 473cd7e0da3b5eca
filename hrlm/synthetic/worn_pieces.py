"""Everything that a person wears as meshes, fitted to the person's head."""

from __future__ import annotations

import numpy as np

from hrlm.synthetic.head import HeadModel
from hrlm.synthetic.worn import Piece, WornLook
from hrlm.synthetic.worn_body import Body
from hrlm.synthetic.worn_clothes import clothes_pieces
from hrlm.synthetic.worn_face import earring_pieces, glasses_pieces
from hrlm.synthetic.worn_hats import AROUND, hat_pieces


def worn_pieces(head: HeadModel, vertices: np.ndarray, look: WornLook) -> list[Piece]:
    """The meshes of a look.

    Args:
        head: the model.
        vertices: `(V, 3)` this person's head, head frame.
    """
    body = Body(head, vertices, look.build, look.chest)
    pieces = clothes_pieces(body, look)
    if look.glasses is not None:
        pieces += glasses_pieces(head, vertices, look.glasses)
    if look.hat is not None:
        angle = np.arange(AROUND) / AROUND * 2 * np.pi
        height = np.linspace(-7.5, -16.0, 40)[:, None]
        neck = body.place(angle, np.broadcast_to(height, (40, AROUND)), 0.4)
        pieces += hat_pieces(head, vertices, look.hat, neck)
    covered = look.hat is not None and look.hat.kind in ("scarf", "beanie")
    if look.earrings and not covered:
        pieces += earring_pieces(head, vertices, look.earrings, look.seed)
    return pieces
