"""Eyes: their looks, the coordinates their shaders need, their gaze, and where the picture shows iris and pupil.

The iris is painted on the inner ball of each eye and seen through the clear part of the outer one, which bends no rays:
so what these functions say is what a camera sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hrlm.synthetic.head import HeadModel

SIDES = (("right", "Right", "_R", -1.0), ("left", "Left", "_L", 1.0))
LIMBUS_OVER_RING = 0.595 / 0.524
"""Radius of the visible iris over that of the outermost ring of vertices that a widening pupil moves."""
GAZE_DEGREES = {"Up": 24.0, "Down": 28.0, "In": 33.0, "Out": 33.0}
"""How far the eyeballs turn at full strength of the model's `eyeLook…` expressions."""
AWAY = 9.0

IRISES: tuple[tuple[float, tuple[float, float, float], tuple[float, float, float]], ...] = (
    # share, colour of the outer iris, colour around the pupil (sRGB)
    (0.20, (0.20, 0.11, 0.06), (0.27, 0.15, 0.07)),  # dark brown
    (0.22, (0.36, 0.20, 0.09), (0.46, 0.27, 0.12)),  # brown
    (0.12, (0.52, 0.33, 0.14), (0.58, 0.36, 0.14)),  # amber
    (0.12, (0.40, 0.38, 0.22), (0.52, 0.34, 0.14)),  # hazel
    (0.10, (0.42, 0.48, 0.36), (0.54, 0.46, 0.26)),  # green
    (0.10, (0.44, 0.53, 0.58), (0.58, 0.58, 0.50)),  # grey
    (0.14, (0.38, 0.49, 0.59), (0.56, 0.60, 0.58)),  # blue
)


@dataclass(frozen=True)
class EyeLook:
    """How both eyes look.

    Args:
        iris: sRGB colour of the outer iris, 0 to 1.
        inner: sRGB colour around the pupil.
        pupil: radius of the pupil over that of the iris, 0.25 to 0.55.
        fibres: contrast of the radial structure, 0 to 1.
        limbal_ring: darkness of the iris's rim, 0 to 1.
        redness: of the white, 0 to 1: veins and tint.
        yellowing: of the white, 0 to 1.
        wetness: of the lid gap, 0 to 1.
        seed: of the structure, below 2**16.
    """

    iris: tuple[float, float, float]
    inner: tuple[float, float, float]
    pupil: float
    fibres: float
    limbal_ring: float
    redness: float
    yellowing: float
    wetness: float
    seed: int


def draw_eyes(rng: np.random.Generator, skin_lightness: float = 1.0) -> EyeLook:
    """Eyes of a random person: every natural iris colour, the light ones rarely in dark faces.

    Args:
        skin_lightness: mean of the skin's sRGB tone, 0 to 1.
    """
    shares = np.array([share for share, _, _ in IRISES])
    shares[2:] *= np.clip((skin_lightness - 0.2) / 0.45, 0.06, 1)
    _, iris, inner = IRISES[rng.choice(len(IRISES), p=shares / shares.sum())]
    brightness = rng.uniform(0.82, 1.2)

    def vary(colour: tuple[float, float, float]) -> tuple[float, float, float]:
        r, g, b = np.clip(np.array(colour) * brightness * rng.uniform(0.94, 1.06, 3), 0.02, 0.9).tolist()
        return r, g, b

    return EyeLook(
        iris=vary(iris),
        inner=vary(inner),
        pupil=float(rng.uniform(0.25, 0.55)),
        fibres=float(rng.uniform(0.4, 1)),
        limbal_ring=float(rng.uniform(0.25, 1)),
        redness=float(rng.beta(1.3, 3)),
        yellowing=float(rng.beta(1.2, 4)),
        wetness=float(rng.uniform(0.4, 1)),
        seed=int(rng.integers(2**16)),
    )


@dataclass(frozen=True)
class EyeFrame:
    """One eye's own frame, fixed to its iris.

    Args:
        centre: `(3,)` of the iris, head frame.
        basis: `(3, 3)` rows: to the picture's right of a frontal face, up, out along the optical axis.
        radius: of the visible iris, centimetres.
        ball: `(3,)` centre of the eyeball.
    """

    centre: np.ndarray
    basis: np.ndarray
    radius: float
    ball: np.ndarray

    def local(self, points: np.ndarray) -> np.ndarray:
        """Points `(..., 3)` in iris radii along the frame's axes."""
        return (points - self.centre) @ self.basis.T / self.radius


def eye_frames(head: HeadModel, vertices: np.ndarray) -> dict[str, EyeFrame]:
    """Both eyes' frames, `right` and `left`, of a head with `vertices` `(V, 3)`."""
    return {side: _frame(head, vertices, name, suffix) for side, name, suffix, _ in SIDES}


def _frame(head: HeadModel, vertices: np.ndarray, name: str, suffix: str) -> EyeFrame:
    iris = head.vertices_of(f"M_Iris{name}")
    moved = np.linalg.norm(head.expression[head.expression_names.index(f"PupilDilate{suffix}")][iris], axis=1)
    ring = iris[(moved > 1e-3) & (moved < 0.06)]
    points = vertices[ring]
    centre = points.mean(0)
    axis = np.linalg.svd(points - centre)[2][2]
    white = vertices[head.vertices_of(f"M_Sclera{name}")]
    system = np.c_[2 * white, np.ones(len(white))]
    ball = np.linalg.lstsq(system, (white**2).sum(1), rcond=None)[0][:3]
    axis = axis * np.sign(axis @ (centre - ball))
    up = points[head.neutral[ring, 1].argmax()] - centre
    up = up - (up @ axis) * axis
    up = up / np.linalg.norm(up)
    radius = float(np.linalg.norm(points - centre, axis=1).mean()) * LIMBUS_OVER_RING
    return EyeFrame(centre, np.stack([np.cross(up, axis), up, axis]), radius, ball)


def turn_eyes(head: HeadModel, vertices: np.ndarray, expression: Mapping[str, float]) -> np.ndarray:
    """Vertices `(V, 3)` with the eyeballs turned as the `eyeLook…` strengths say.

    The model's own expressions of these names move the lids only.
    """
    turned = np.array(vertices, np.float64)
    frames = eye_frames(head, vertices)
    for side, name, suffix, outward in SIDES:
        look = {way: degrees * expression.get(f"eyeLook{way}{suffix}", 0.0) for way, degrees in GAZE_DEGREES.items()}
        yaw, pitch = np.radians([outward * (look["Out"] - look["In"]), look["Up"] - look["Down"]])
        about_x = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
        about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        own = head.vertices_of(f"M_Iris{name}", f"M_Sclera{name}")
        ball = frames[side].ball
        turned[own] = (turned[own] - ball) @ (about_y @ about_x).T + ball
    return turned


def eye_attributes(head: HeadModel, vertices: np.ndarray) -> dict[str, np.ndarray]:
    """Per-vertex attributes for the eyes' shaders.

    Returns:
        `eye` `(V, 3)`: place in the eye's own frame in iris radii (the optical axis is z; far away where there is no
        eye). `lid` `(V,)`: on the meshes that shade the lid gap, the distance from their outer rim in centimetres; 1
        elsewhere.
    """
    frames = eye_frames(head, vertices)
    eye = np.full((len(vertices), 3), AWAY)
    for side, name, _, _ in SIDES:
        own = head.vertices_of(f"M_Iris{name}", f"M_Sclera{name}")
        eye[own] = frames[side].local(np.asarray(vertices)[own])
    lid = np.ones(len(vertices))
    for material in ("M_EyeOcclusion", "M_LacrimalFluid"):
        own = head.vertices_of(material)
        rim = head.neutral[_rim(head.faces[head.material == material])]
        lid[own] = np.linalg.norm(head.neutral[own][:, None] - rim[None], axis=-1).min(1)
    return {"eye": eye, "lid": lid}


def _rim(faces: np.ndarray) -> np.ndarray:
    """Vertices on edges that only one face has."""
    edges: list[tuple[int, int]] = []
    for face in faces.tolist():
        ring = [v for v in face if v >= 0]
        edges += [(min(a, b), max(a, b)) for a, b in zip(ring, ring[1:] + ring[:1], strict=True)]
    found, count = np.unique(np.array(edges), axis=0, return_counts=True)
    return np.unique(found[count == 1])


def iris_rings(head: HeadModel, vertices: np.ndarray, look: EyeLook, points: int = 32) -> dict[str, np.ndarray]:
    """Where the picture shows iris and pupil, head frame, on the surfaces that show them.

    Returns:
        For `right` and `left`: `pupil_SIDE` `(3,)` the centre of the pupil, `limbus_SIDE` and `pupil_edge_SIDE`
        `(points, 3)` closed lines, from the picture's right of a frontal face counter-clockwise.
    """
    angle = np.arange(points) * 2 * np.pi / points
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    found = {}
    frames = eye_frames(head, vertices)
    for side, name, _, _ in SIDES:
        frame = frames[side]
        iris = _front_triangles(head, f"M_Iris{name}")
        found[f"limbus_{side}"] = _lift(frame, vertices, _front_triangles(head, f"M_Sclera{name}"), circle)
        found[f"pupil_edge_{side}"] = _lift(frame, vertices, iris, circle * look.pupil)
        found[f"pupil_{side}"] = found[f"pupil_edge_{side}"].mean(0)
    return found


def _front_triangles(head: HeadModel, material: str) -> np.ndarray:
    faces = head.faces[head.material == material]
    quads = faces[faces[:, 3] >= 0]
    return np.concatenate([faces[:, :3], quads[:, [0, 2, 3]]])


def _lift(frame: EyeFrame, vertices: np.ndarray, triangles: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """Points `(N, 3)` of the triangles' foremost surface over `plane` `(N, 2)`, iris radii."""
    local = frame.local(np.asarray(vertices))[triangles]
    near = (local[:, :, 2].min(1) > -1.2) & (np.linalg.norm(local[:, :, :2], axis=2).min(1) < 1.6)
    triangles, local = triangles[near], local[near]
    a, b, c = local[:, 0, :2], local[:, 1, :2], local[:, 2, :2]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    p = plane[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        wb = ((p[..., 0] - a[:, 0]) * (c - a)[:, 1] - (p[..., 1] - a[:, 1]) * (c - a)[:, 0]) / area
        wc = ((b - a)[:, 0] * (p[..., 1] - a[:, 1]) - (b - a)[:, 1] * (p[..., 0] - a[:, 0])) / area
    weights = np.stack([1 - wb - wc, wb, wc], -1)
    inside = np.nan_to_num(weights, nan=-1).min(-1) > -1e-6
    depth = np.where(inside, np.nan_to_num((weights * local[None, :, :, 2]).sum(-1)), -np.inf)
    best = depth.argmax(1)
    chosen = weights[np.arange(len(plane)), best]
    return (chosen[..., None] * np.asarray(vertices)[triangles[best]]).sum(1)
