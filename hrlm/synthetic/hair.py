"""Everything hairy on a head, as strands: grown from a look, on the head as it is shaped and posed."""

from __future__ import annotations

import numpy as np

from hrlm.synthetic.facial_hair import beard, beard_regions, brows, lashes
from hrlm.synthetic.hair_look import HairLook, Strands, draw_hair
from hrlm.synthetic.hair_surface import smooth
from hrlm.synthetic.head import HeadModel
from hrlm.synthetic.scalp_hair import margin, scalp

__all__ = ["HairLook", "Strands", "draw_hair", "grow", "shade"]


def grow(head: HeadModel, vertices: np.ndarray, look: HairLook) -> list[Strands]:
    """Brows, lashes, beard and scalp hair.

    Args:
        vertices: `(V, 3)` of the head with its identity and expression.
        look: decides everything; the same look on the same vertices gives the same strands.
    """
    parts = (scalp, brows, lashes, beard)
    return [strands for part in parts for strands in part(head, vertices, look)]


def shade(head: HeadModel, look: HairLook) -> dict[str, np.ndarray]:
    """How thickly hair is rooted at each vertex, `(V,)` 0 to 1, under "scalp" and "beard": skin is darker there."""
    rest = head.neutral.astype(np.float64)
    rooted = smooth(-0.4, 0.9, margin(rest, max(look.recession, 0.75 * (look.style == "receding"))))
    bearded = np.max(list(beard_regions(head, rest).values()), 0) * (look.beard not in ("none", "moustache", "goatee"))
    return {"scalp": rooted * (look.style != "bald"), "beard": bearded}
