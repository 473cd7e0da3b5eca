"""What changes slowly over a face: where its parts lie in texture space, their colour and gloss."""

from __future__ import annotations

import cv2
import numpy as np

from hrlm.synthetic.head import HeadModel
from hrlm.synthetic.skin_look import SkinLook, to_linear

COARSE = 1024
"""Side of the maps of slow changes; only edges and marks are painted finer."""


def outer_joint(head: HeadModel) -> np.ndarray:
    """Vertices where the face goes on as scalp, neck and bust: not where it goes on into mouth and eye sockets."""
    joint = np.intersect1d(head.vertices_of("M_Face"), head.vertices_of("M_BackHead"))
    # the loops around eyes and mouth lie in front of all the others
    found: np.ndarray = joint[head.neutral[joint, 2] < head.neutral[head.landmarks[36], 2] - 1]
    return found


class FaceRegions:
    """Where things lie on the neutral face, for each texel of a coarse map."""

    def __init__(self, head: HeadModel, places: np.ndarray) -> None:
        self.head = head
        self.known = ~np.isnan(places[..., 0])
        self.places = np.nan_to_num(places, nan=-99)
        self.landmarks = head.neutral[head.landmarks].astype(np.float64)
        self.x, self.y, self.z = (self.places[..., k] for k in range(3))
        joint = outer_joint(head)
        small = cv2.resize(self.places, (COARSE // 8, COARSE // 8), interpolation=cv2.INTER_NEAREST)
        far = np.full(small.shape[:2], 99.0)
        for p in head.neutral[joint]:
            far = np.minimum(far, ((small - p) ** 2).sum(-1))
        inward = np.clip((np.sqrt(far) - 0.2) / 1.5, 0, 1).astype(np.float32)
        self.inner = cv2.resize(inward, (COARSE, COARSE), interpolation=cv2.INTER_LINEAR)
        """1 within the face, 0 where it joins the rest of the head, which knows nothing of these maps."""

    def blob(self, centre: tuple[float, float, float], size: tuple[float, float, float]) -> np.ndarray:
        """A soft ellipsoid and its mirror image."""
        (cx, cy, cz), (sx, sy, sz) = centre, size
        upright = ((self.y - cy) / sy) ** 2 + ((self.z - cz) / sz) ** 2
        return np.exp(-0.5 * (((np.abs(self.x) - cx) / sx) ** 2 + upright))

    def at(self, landmark: int, dx: float = 0, dy: float = 0, dz: float = 0) -> tuple[float, float, float]:
        """A place beside a landmark of the face's right half, mirrored to the left."""
        x, y, z = self.landmarks[landmark].tolist()
        return abs(x) + dx, y + dy, z + dz

    def beard(self) -> np.ndarray:
        """Where a man's beard grows: 0 to 1."""
        ax = np.abs(self.x)
        mouth, nose, chin = self.landmarks[48], self.landmarks[33], self.landmarks[8]
        # the upper edge: under the nose, along a falling line past the mouth, then up to the sideburns
        edge_x = [0, 1.2, 2.6, abs(mouth[0]) + 1.2, 5.2, 6.4, 7.2, 9]
        edge_y = [nose[1] - 0.1, nose[1] - 0.2, nose[1] - 1.0, mouth[1] + 0.3, mouth[1] + 1.2, 0.6, 3.4, 3.4]
        upper = np.interp(ax, edge_x, edge_y)
        # the throat's edge is soft, and so is the one before the ears; under the jaw it grows farther back
        neck = np.clip((self.y - (chin[1] - 3.4)) / 2.8, 0, 1)
        back = np.interp(self.y, [chin[1] - 3, chin[1] + 1.5, 0], [3.5, 3.2, 3.0])
        front = np.clip((self.z - back) / 1.6, 0, 1)
        return np.clip((upper - self.y) / 1.1 + 0.3, 0, 1) * neck * front * self.inner


def regions(look: SkinLook, shape: FaceRegions) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Linear colour, roughness, depth of pores and oil at coarse size: what changes slowly over a face."""
    at, blob = shape.at, shape.blob
    cheeks = blob(at(31, 3.0, 1.2, -2.0), (1.8, 1.4, 2.2))
    nose = blob(at(30, 0, -0.3, -0.2), (1.0, 0.9, 1.0)) + 0.7 * blob(at(31, 0.1, 0.3, -0.2), (0.6, 0.7, 0.9))
    chin = blob(at(8, 0, 1.0, 1.0), (1.4, 1.0, 1.4))
    ears = np.clip((np.abs(shape.x) - 7.6) / 0.8, 0, 1) * (np.abs(shape.y - 1.5) < 4) * shape.inner
    under_eye = blob((3.1, shape.landmarks[41][1] - 0.75, 9.0), (1.25, 0.42, 1.2))
    lids = blob((3.1, shape.landmarks[37][1] + 0.55, 9.2), (1.5, 0.6, 1.2))
    forehead = blob((0.0, 9.0, 9.5), (4.0, 2.0, 3.5))
    under_brow = blob(at(19, -0.2, -0.15, -0.2), (1.9, 0.4, 1.2))
    light = float(np.mean(look.tone))
    red = np.clip(
        look.blush * (0.9 * cheeks + 0.9 * nose + 0.5 * chin + 0.6 * ears) + 0.12 * nose + 0.25 * lids, 0, 1.4
    )
    tired = (0.25 + 0.5 * look.wrinkles) * under_eye
    colour = np.ones((*shape.x.shape, 3), np.float32) * to_linear(np.array(look.tone))
    strength = 0.55 + 0.45 * light
    for k, (blood, dark, gold) in enumerate(((0.02, 0.22, 0.02), (0.34, 0.26, 0.03), (0.30, 0.16, 0.12))):
        shade = (1 - strength * blood * red) * (1 - dark * tired) * (1 - gold * forehead * 0.6)
        colour[..., k] *= shade * (1 - 0.10 * lids) * (1 - 0.12 * under_brow)
    shine = np.clip(forehead * 0.8 + nose + 0.5 * chin + 0.4 * cheeks, 0, 1)
    roughness = look.roughness + 0.02 - 0.09 * shine * (0.4 + look.oil)
    pores = look.pores * np.clip(0.3 + 0.8 * nose + 0.8 * cheeks + 0.4 * forehead + 0.4 * chin - 0.3 * lids, 0.1, 1)
    plain = np.float32(look.pores * 0.3)
    pores = plain + (pores - plain) * shape.inner
    roughness = look.roughness + (roughness - look.roughness) * shape.inner
    oil = 0.35 * look.oil * (0.35 + 0.65 * shine * shape.inner)
    return colour, roughness, pores, oil
