"""The dense truth of a portrait: every line of the face in the order of the `portrait` scheme."""

from __future__ import annotations

import numpy as np

from hrlm.synthetic import truth
from hrlm.synthetic.camera import Camera
from hrlm.synthetic.eyes import EyeLook, iris_rings
from hrlm.synthetic.head import HeadModel
from hrlm.synthetic.truth import Surface

SCHEME = "portrait"


def dense_lines(
    head: HeadModel, surface: Surface, vertices: np.ndarray, eyes: EyeLook, camera: Camera
) -> dict[str, np.ndarray]:
    """Lines and single points `(K, 2)` in photo pixels by name, in the scheme's order.

    Args:
        vertices: `(V, 3)` the head with its identity and expression, before subdivision.
    """
    jaw, _ = truth.jaw_outline(head, surface, camera)
    lines = {"jaw": jaw, "nose": camera.project(surface.vertices[head.landmarks[27:36]])}
    contours, down = truth.contours(head, surface), truth.down_the_face(head, surface, camera)
    for lower, upper in truth.BEHIND.items():
        contours[lower] = truth.in_front(contours[lower], contours[upper], down, camera)
    lines |= {name: camera.project(line) for name, line in contours.items()}
    rings = iris_rings(head, vertices, eyes)
    for side in ("right", "left"):
        for name in (f"limbus_{side}", f"pupil_edge_{side}", f"pupil_{side}"):
            lines[name] = camera.project(np.atleast_2d(rings[name]))
    return lines
