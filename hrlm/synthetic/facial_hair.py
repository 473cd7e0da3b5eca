"""Strands of the face: brows, lashes and beard."""

from __future__ import annotations

import numpy as np

from hrlm.synthetic.curves import even_in_knots
from hrlm.synthetic.hair_look import HairLook, Strands
from hrlm.synthetic.hair_surface import Roots, Shell, scatter, smooth, unit
from hrlm.synthetic.head import HeadModel, vertex_normals

BROWS = (np.arange(21, 16, -1), np.arange(22, 27))  # landmarks of the right and the left brow, from inner to outer
LIDS = (((36, 37, 38, 39), (39, 40, 41, 36)), ((42, 43, 44, 45), (45, 46, 47, 42)))  # upper and lower, right and left
BROW_POINTS, LASH_POINTS, BEARD_POINTS = 6, 8, 7


def _resampled(line: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Points `(S, C)` of a polyline `(P, C)` at shares 0-1 of its length."""
    run = np.r_[0, np.cumsum(np.linalg.norm(np.diff(line[:, :3], axis=0), axis=1))]
    return np.stack([np.interp(at * run[-1], run, column) for column in line.T], 1)


def _bent(root: np.ndarray, legs: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Points `(S, K + 1, 3)` from roots `(S, 3)` along directions `(S, K, 3)`, of `(S,)` centimetres altogether."""
    step = unit(legs) * (length / legs.shape[1])[:, None, None]
    return root[:, None] + np.concatenate([np.zeros_like(step[:, :1]), np.cumsum(step, 1)], 1)


def _clear(points: np.ndarray, skin: np.ndarray, normals: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Points `(S, K, 3)` lifted off the skin, known by points and normals `(P, 3)`, by `least` `(K,)` at least."""
    flat = points.reshape(-1, 3)
    near = np.empty(len(flat), int)
    half = (skin**2).sum(1) / 2
    for part in np.array_split(np.arange(len(flat)), 1 + len(flat) // 2000):
        near[part] = np.argmax(flat[part] @ skin.T - half, 1)
    height = ((flat - skin[near]) * normals[near]).sum(1)
    lack = np.maximum(np.tile(least, len(points)) - height, 0)
    lack[:: points.shape[1]] = 0
    return (flat + lack[:, None] * normals[near]).reshape(points.shape)


def brows(head: HeadModel, vertices: np.ndarray, look: HairLook) -> list[Strands]:
    """Both brows: a band whose upper middle runs through the brow's landmarks."""
    normals = vertex_normals(vertices, head.faces)
    return [_brow(head, vertices, normals, look, side) for side in (0, 1)]


def _brow(head: HeadModel, vertices: np.ndarray, normals: np.ndarray, look: HairLook, side: int) -> Strands:
    rng = np.random.default_rng([look.seed, 2, side])
    marks = head.landmarks[BROWS[side]]
    rest_line = even_in_knots(head.neutral[marks].astype(np.float64), 16 * (len(marks) - 1) + 1)
    reach = np.array([0.9, 1.3, 1.5])
    roots = scatter(head, rng, np.array([rest_line.min(0) - reach, rest_line.max(0) + reach]), 900)
    rest = roots.at(head.neutral)
    # along and above the line, seen from the front with the curve of the forehead unrolled
    nearest = np.argmin(((rest[:, None] - rest_line) ** 2).sum(-1), 1)
    ahead = unit(np.gradient(rest_line, axis=0))[nearest]
    away = rest - rest_line[nearest]
    beyond = (away * ahead).sum(1)  # not zero only past the ends
    along = nearest / (len(rest_line) - 1) + beyond / 5.2
    above = np.linalg.norm(away - beyond[:, None] * ahead, axis=1) * np.sign(away[:, 1])
    profile = np.interp(along, [-0.09, 0.0, 0.12, 0.45, 0.7, 0.9, 1.04], [0.55, 0.82, 1, 0.95, 0.7, 0.4, 0.08])
    band = look.brow_thickness * profile * (1 + 0.08 * rng.normal(size=len(rest)))
    bow = 0.4 * look.brow_arch * look.brow_thickness * np.exp(-(((along - 0.55) / 0.22) ** 2))  # the arch is cut below
    high, low = 0.36 * band, -0.64 * band + bow * profile
    part = (above - low) / np.maximum(high - low, 0.05)  # 0 at the lower edge, 1 at the upper
    ends = smooth(-0.1, 0.06, along) * smooth(1.06, 0.93, along)
    edge = smooth(-0.12, 0.22, part) * smooth(1.15, 0.7, part)
    patch = 0.92 + 0.08 * np.sin(rest @ rng.normal(0, 5, 3) + rng.uniform(0, 6))
    likely = edge * ends * patch * (0.55 + 0.45 * smooth(0, 0.2, along))
    stray = (rng.random(len(rest)) < 0.006) & (part > -0.8) & (part < 1.4) & (along > 0.1) & (along < 1.0)
    accepted = np.flatnonzero((rng.random(len(rest)) < likely) | stray)
    accepted = accepted[: int(400 + 500 * look.brow_density)]
    count = len(accepted)
    skin, skin_normals = roots.at(vertices), unit(roots.at(normals))
    root, normal = skin[accepted], skin_normals[accepted]
    line = even_in_knots(vertices[marks].astype(np.float64), 16 * (len(marks) - 1) + 1)
    outwards = unit(np.gradient(line, axis=0))[nearest[accepted]]
    outwards = unit(outwards - (outwards * normal).sum(1)[:, None] * normal)
    up = np.cross(normal, outwards)
    up *= np.sign(up[:, 1:2])
    s, p = along[accepted], part[accepted].clip(0, 1)
    angle = np.interp(s, [-0.1, 0.05, 0.2, 0.4, 0.65, 1.0], [82, 66, 44, 30, 18, 4]) - 36 * (p - 0.35) * smooth(
        0, 0.25, s
    )
    angle = np.radians(angle + 11 * rng.normal(size=count) + 6 * np.sin(9 * s + rng.uniform(0, 6)))
    length = np.interp(s, [-0.1, 0.1, 0.35, 0.75, 1.0], [0.42, 0.6, 0.78, 0.72, 0.5]) * rng.uniform(0.65, 1.12, count)
    length *= 0.7 + 0.45 * look.brow_thickness
    t = np.linspace(0, 1, BROW_POINTS - 1)[None, :, None]
    lift = np.radians(rng.uniform(8, 26, count))[:, None, None]
    turned = angle[:, None, None] - np.radians(24) * t * rng.uniform(0.3, 1.3, (count, 1, 1))
    legs = (
        np.cos(turned) * outwards[:, None]
        + np.sin(turned) * up[:, None]
        + np.tan(lift) * (1 - 1.6 * t) * normal[:, None]
    )
    points = _bent(root - 0.02 * normal, legs, length)
    rise = 0.012 + 0.03 * np.linspace(0, 1, BROW_POINTS)
    points = _clear(points, skin[::4], skin_normals[::4], rise)
    radius = 0.0040 * rng.uniform(0.75, 1.15, (count, 1)) * np.linspace(1, 0.25, BROW_POINTS) ** 0.8
    return Strands(points, radius, "brow")


def lashes(head: HeadModel, vertices: np.ndarray, look: HairLook) -> list[Strands]:
    """Lashes of the four lid margins, curved away from the eyes."""
    made = []
    for side, (lids, eye) in enumerate(zip(LIDS, ("M_ScleraRight", "M_ScleraLeft"), strict=True)):
        centre = vertices[head.vertices_of(eye)].mean(0)
        for lower, stops in enumerate(lids):
            rng = np.random.default_rng([look.seed, 3, side, lower])
            margin = vertices[head.chain([int(head.landmarks[k]) for k in stops])]
            made.append(_lashes(rng, margin, centre, look, bool(lower)))
    return made


def _lashes(rng: np.random.Generator, margin: np.ndarray, centre: np.ndarray, look: HairLook, lower: bool) -> Strands:
    full = np.clip((look.lash_length - 0.6) / 0.5, 0, 1)
    count = int((55 + 25 * full) if lower else (95 + 45 * full))
    s = np.sort((np.arange(count) + rng.uniform(0.1, 0.9, count)) / count) * 0.93 + 0.035
    line = _resampled(margin, np.linspace(0, 1, 60))
    tangents = unit(np.gradient(line, axis=0))
    at = np.stack([_resampled(line, s), _resampled(np.c_[line[:, :3], tangents], s)[:, 3:]])
    root, tangent = at[0], unit(at[1])
    lateral = np.sign(centre[0])
    outer = s if (margin[-1, 0] - margin[0, 0]) * lateral > 0 else 1 - s  # 0 at the nose's side, 1 at the temple's
    out = unit(root - centre)
    out = unit(out - (out * tangent).sum(1)[:, None] * tangent)
    away = np.cross(out, tangent)
    away *= np.sign(away[:, 1:2]) * (-1 if lower else 1)
    side = np.where((tangent[:, 0] * lateral > 0)[:, None], tangent, -tangent)
    fan = (1.1 * (outer - 0.42) + 0.08 * rng.normal(size=count))[:, None]
    # neighbours lean together in twos and threes
    group = np.cumsum(rng.random(count) < 0.42)
    fan += 0.16 * rng.normal(size=(group[-1] + 1, 1))[group]
    rise = rng.normal(0, 0.09, (group[-1] + 1, 1))[group] + rng.normal(0, 0.05, (count, 1))
    t = np.linspace(0, 1, LASH_POINTS - 1)
    curl = (-0.25 + 1.35 * t**0.8) if not lower else (0.25 + 0.5 * t - 0.55 * t**2)
    legs = out[:, None] * (1 - 0.45 * t[None, :, None]) + (curl[None, :, None] + rise[:, None]) * away[:, None]
    legs = legs + fan[:, None] * side[:, None]
    length = look.lash_length * (0.55 if lower else 1.0) * np.interp(outer, [0, 0.3, 0.7, 1], [0.45, 0.82, 1, 0.75])
    length = length * rng.uniform(0.6, 1.06, count)
    row = (0.03 * rng.random(count) + (0.0 if lower else 0.01))[:, None]
    points = _bent(root + row * away - 0.02 * out, legs, length)
    radius = (0.0034 if lower else 0.0050) * rng.uniform(0.8, 1.1, (count, 1)) * np.linspace(1, 0.12, LASH_POINTS)
    return Strands(points, radius, "lash")


def _within(points: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """Which points `(S, 2)` lie inside a polygon `(P, 2)`."""
    inside = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(outline, np.roll(outline, -1, 0), strict=True):
        crosses = (y0 > points[:, 1]) != (y1 > points[:, 1])
        inside ^= crosses & (points[:, 0] < (x1 - x0) * (points[:, 1] - y0) / (y1 - y0 + 1e-12) + x0)
    return inside


def beard_regions(head: HeadModel, rest: np.ndarray) -> dict[str, np.ndarray]:
    """How much points `(S, 3)` of the neutral head belong to moustache, goatee and cheeks with neck: `(S,)` 0 to 1."""
    x, y, z = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2]
    lips = head.neutral[head.landmarks[48:60], :2]
    middle = lips.mean(0)
    grown = middle + (lips - middle) * (1 + 0.16 / np.linalg.norm(lips - middle, axis=1, keepdims=True))
    free = ~(_within(rest[:, :2], grown) & (z > 6))
    above = np.interp(x, [0, 0.35, 1.3, 2.4, 3.4], [-1.62, -1.5, -1.5, -2.3, -3.7])
    moustache = smooth(0.12, -0.18, y - above) * smooth(-4.3, -3.3, y) * smooth(3.3, 2.7, x) * (z > 8)
    moustache *= 1 - 0.5 * np.exp(-((x / 0.22) ** 2)) * (y > -2.4)
    under = smooth(-3.6, -4.2, y)
    wide = np.interp(y, [-8.5, -6.8, -4.5, -3.2], [2.4, 2.9, 3.1, 3.3])
    goatee = under * smooth(wide + 0.25, wide - 0.3, x) * smooth(-9.2, -8.2, y) * smooth(5.5, 7.5, z)
    bare = np.exp(-(((x - 1.35) / 0.55) ** 2) - ((y + 4.75) / 0.35) ** 2)  # beside the tuft under the lip
    line = np.interp(x, [2.4, 3.2, 4.5, 5.6, 6.4, 6.9, 7.3], [-4.2, -3.7, -3.1, -2.2, -0.6, 1.2, 3.0])
    back = np.interp(y, [-10, -8, -6, -4.6, -3, 1], [4.3, 3.6, 2.2, 1.8, 2.0, 2.3])
    cheeks = smooth(0.35, -0.55, y - line) * smooth(back - 0.2, back + 0.6, z) * smooth(-10.2, -8.6, y) * (x > 1.5)
    cheeks = np.maximum(cheeks, smooth(-10.2, -8.8, y) * (y < -6.5) * smooth(3.6, 5.2, z))
    return {"moustache": moustache * free, "goatee": goatee * free * (1 - 0.85 * bare), "cheeks": cheeks * free}


PARTS = {
    "stubble": (1.0, 1.0, 0.9),
    "moustache": (1.0, 0.0, 0.0),
    "goatee": (1.0, 1.0, 0.0),
    "short beard": (1.0, 1.0, 1.0),
    "full beard": (1.0, 1.0, 1.0),
}
LENGTHS = {"stubble": 0.16, "moustache": 0.95, "goatee": 0.9, "short beard": 0.9, "full beard": 2.2}


def beard(head: HeadModel, vertices: np.ndarray, look: HairLook) -> list[Strands]:
    """Beard and moustache; none where there is none."""
    if look.beard == "none":
        return []
    rng = np.random.default_rng([look.seed, 4])
    roots = scatter(head, rng, np.array([[-7.6, -10.6, 1.5], [7.6, 3.2, 12.5]]), 125)
    rest = roots.at(head.neutral)
    roots = roots.only(np.abs(Shell(head, head.neutral.astype(np.float64)).height(rest)) < 0.35)
    rest = roots.at(head.neutral)
    regions = beard_regions(head, rest)
    shares = PARTS[look.beard]
    likely = np.max([share * regions[part] for share, part in zip(shares, regions, strict=True)], 0)
    likely *= np.where(regions["moustache"] > 0.3, 1.0, 0.58)  # the lip is the most thickly covered
    likely *= 0.8 + 0.2 * np.sin(rest @ rng.normal(0, 2, 3))
    keep = np.flatnonzero(rng.random(len(rest)) < likely)
    roots, rest, likely, regions = roots.only(keep), rest[keep], likely[keep], {k: v[keep] for k, v in regions.items()}
    return [_combed(head, vertices, look, rng, roots, rest, likely, regions)]


def _combed(
    head: HeadModel,
    vertices: np.ndarray,
    look: HairLook,
    rng: np.random.Generator,
    roots: Roots,
    rest: np.ndarray,
    likely: np.ndarray,
    regions: dict[str, np.ndarray],
) -> Strands:
    count = len(rest)
    root, normal = roots.at(vertices), unit(roots.at(vertex_normals(vertices, head.faces)))
    side = np.sign(rest[:, 0])
    lip = regions["moustache"] > 0.3
    flow = np.stack([0.25 * side, -np.ones(count), 0.1 * np.ones(count)], 1)
    aside = np.stack([side * (0.35 + 0.5 * np.abs(rest[:, 0])), -0.8 * np.ones(count), 0 * side], 1)
    flow = np.where(lip[:, None], aside, flow)
    neck = rest[:, 1] < -8
    flow[neck] = (0, 0.1, 0.6)
    flow = unit(flow - (flow * normal).sum(1)[:, None] * normal)
    length = LENGTHS[look.beard] * (1 + 0.35 * look.length) * rng.uniform(0.6, 1.1, count)
    if look.beard != "stubble":
        length *= 0.35 + 0.65 * (1.6 * likely).clip(0, 1)
        if look.beard == "full beard":
            length *= np.where(lip, 0.5, np.interp(rest[:, 1], [-7, -2, 2], [1.35, 0.7, 0.35]))
        length = np.where(neck, np.minimum(length, 0.9), length)
        length = np.where(lip, np.minimum(length, 1.15), length)
    wild = 0.25 if look.beard == "stubble" else 0.35
    flow = unit(flow + wild * rng.normal(size=(count, 3)))
    lift = 0.75 if look.beard == "stubble" else 0.55
    t = np.linspace(0, 1, BEARD_POINTS - 1)[None, :, None]
    fall = np.array([0, -0.5, 0.12]) * (length / 2).clip(0, 1)[:, None]
    legs = flow[:, None] + lift * (1 - 0.7 * t) * normal[:, None] + 1.6 * t * fall[:, None]
    sway = rng.normal(0, 0.3, (count, BEARD_POINTS - 1, 3)) * (length / 1.2).clip(0, 1)[:, None, None]
    points = _bent(root - 0.02 * normal, unit(legs) + sway, length)
    shell = Shell(head, vertices)
    for k in range(2, BEARD_POINTS):
        lack = np.maximum(0.03 + 0.02 * k - shell.height(points[:, k]), 0).clip(0, 0.4)
        points[:, k] += normal * np.where(neck, 0, lack)[:, None]
    radius = 0.0050 * rng.uniform(0.75, 1.15, (count, 1)) * np.linspace(1, 0.4, BEARD_POINTS)
    return Strands(points, radius, "beard")
