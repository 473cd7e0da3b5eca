"""Region masks for retouching: anti-aliased areas bounded by smooth curves through the landmarks."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from hrlm.anatomy import face_lines, smooth
from hrlm.errors import HrlmError
from hrlm.render.overlay import check_fit
from hrlm.results import Face
from hrlm.schemes import Scheme

SIDES = ("right", "left")
# lines of samples a pixel row; along a row coverage is exact
ROWS = 16
# rows of pixels at once: the accumulators take 8 bytes a pixel
STRIP = 1024

# proportions that landmarks do not tell, judged by eye on studio portraits. In units of the scheme's normaliser: a
# brow's half height at its inner end, in its middle and at its tip; how far below its landmarks its middle lies
BROW_HALF = (0.040, 0.046, 0.012)
BROW_DROP = 0.027
# half widths of the nose down the bridge, and how far its wings reach beyond the outer nostril landmarks, as shares of
# the distance between those
NOSE_BRIDGE_HALF = (0.34, 0.30, 0.38, 0.55)
NOSE_WING = 0.17
# the forehead's height above the brows as a share of the distance from brows to nose base: a cautious part of the
# classical canon's whole, which would often lie in the hair
FOREHEAD = 0.55


def region_names(scheme: Scheme) -> list[str]:
    """The masks that a scheme's lines allow."""
    return list(_rules(scheme) or _closed(scheme))


def draw_mask(size: tuple[int, int], faces: Iterable[Face], scheme: Scheme, name: str) -> np.ndarray:
    """The mask of one region of all faces: `(H, W)` uint8, 255 inside, 0 outside, the area's share on its edge.

    Args:
        size: the photo's width and height.
        name: one of `region_names`.

    Raises:
        HrlmError: a face has another number of landmarks than the scheme.
    """
    mask = np.zeros(size[::-1], np.uint8)
    for face in faces:
        check_fit(face, scheme)
        for area, take in _areas(face.landmarks, scheme, name):
            fill(mask, area, take)
    return mask


def fill(mask: np.ndarray, area: np.ndarray, take: str = "add") -> None:
    """Put a polygon's area into `mask` `(H, W)` uint8: `add` it, `cut` it out, or `keep` only what lies in it.

    Args:
        area: `(K, 2)` corners in photo pixels, closed by itself; it may reach beyond the mask.
    """
    height, width = mask.shape
    low = np.floor(area.min(0)).clip(-1, (width, height)).astype(int)
    high = (np.ceil(area.max(0)) + 2).clip(0, (width, height)).astype(int)
    x0, y0 = int(max(low[0], 0)), int(max(low[1], 0))
    x1, y1 = int(high[0]), int(high[1])
    if take == "keep":
        mask[:y0] = mask[y1:] = 0
        mask[:, :x0] = mask[:, x1:] = 0
    if x1 <= x0:
        return
    for top in range(y0, y1, STRIP):
        bottom = min(top + STRIP, y1)
        share = _coverage(area - (x0, top), x1 - x0, bottom - top)
        part = mask[top:bottom, x0:x1].astype(np.float32)
        if take == "add":
            part = 255 * share + part * (1 - share)
        else:
            part *= share if take == "keep" else 1 - share
        mask[top:bottom, x0:x1] = np.rint(part)


def _coverage(area: np.ndarray, width: int, height: int) -> np.ndarray:
    """Share `(height, width)` float32 of each pixel that lies in a polygon: exact along rows, `ROWS` samples across."""
    a, b = area, np.roll(area, -1, 0)
    # sample lines at (k + 0.5) / ROWS - 0.5, so that a pixel's own are spread evenly about its centre
    place = (np.stack([a[:, 1], b[:, 1]]) + 0.5) * ROWS - 0.5
    first = np.ceil(place.min(0)).clip(0, height * ROWS).astype(int)
    count = np.ceil(place.max(0)).clip(0, height * ROWS).astype(int) - first
    edge = np.repeat(np.arange(len(area)), count)
    line = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    along = (line - place[0, edge]) / (place[1, edge] - place[0, edge])
    # distance from the window's left rim; what lies beyond a rim counts as on it
    x = (a[edge, 0] + along * (b[edge, 0] - a[edge, 0]) + 0.5).clip(0, width)
    sign = np.sign(place[1, edge] - place[0, edge])
    column = x.astype(int)
    part = x - column
    cell = line // ROWS * (width + 2) + column
    change = np.bincount(cell, sign * (1 - part), height * (width + 2))
    change += np.bincount(cell + 1, sign * part, height * (width + 2))
    winding = np.cumsum(change.reshape(height, width + 2), 1)[:, :width] / ROWS
    share: np.ndarray = np.abs(winding).clip(0, 1).astype(np.float32)
    return share


def _rules(scheme: Scheme) -> dict[str, tuple[str, ...]]:
    """For each region the areas that make it, each with `+`, `-` (cut out) or `&` (keep only).

    None for a scheme with names of its own: there what is drawn closed is a region.
    """
    lines = face_lines(scheme)

    def has(*names: str) -> bool:
        return all(name in lines for name in names)

    eyes = [f"eye_{s}" for s in SIDES if has(f"lid_upper_{s}", f"lid_lower_{s}")]
    brows = [f"brow_{s}" for s in SIDES if has(f"brow_{s}")]
    mouth = ["mouth"] if has("lip_upper_outer", "lip_lower_outer") else []
    opening = mouth and has("lip_upper_inner", "lip_lower_inner")
    rules: dict[str, tuple[str, ...]] = {}
    if has("jaw", "nose_base") and len(brows) == 2:
        rules["skin"] = ("+face", *(f"-{name}" for name in [*eyes, *brows, *mouth]))
    for name in [*eyes, *brows]:
        rules[name] = (f"+{name}",)
    for side in SIDES:
        if has(f"limbus_{side}") and f"eye_{side}" in eyes:
            rules[f"iris_{side}"] = (f"+limbus_{side}", f"&eye_{side}")
    if has("nose_bridge", "nose_base"):
        rules["nose"] = ("+nose",)
    if mouth:
        rules["mouth"] = ("+mouth",)
    if opening:
        rules["lips"] = ("+mouth", "-opening")
        rules["lip_upper"], rules["lip_lower"] = ("+upper",), ("+lower",)
        rules["mouth_opening"] = ("+opening",)
    return rules


def _areas(points: np.ndarray, scheme: Scheme, name: str) -> list[tuple[np.ndarray, str]]:
    lines = {key: points[list(indices)] for key, indices in face_lines(scheme).items()}
    closed, rules = _closed(scheme), _rules(scheme)
    if name not in (rules or closed):
        raise HrlmError(f"the scheme {scheme.name} has no region {name}")
    if not rules:
        return [(smooth(lines[name], closed=True), "add")]
    scale = float(scheme.inter_ocular(points))
    takes = {"+": "add", "-": "cut", "&": "keep"}
    return [(_area(part[1:], lines, closed, scale), takes[part[0]]) for part in rules[name]]


def _closed(scheme: Scheme) -> tuple[str, ...]:
    """The lines that the scheme draws closed."""
    lines = face_lines(scheme)
    return tuple(c.name for c in scheme.contours if c.closed and lines[c.name] == c.landmarks)


def _area(name: str, lines: dict[str, np.ndarray], closed: Collection[str], scale: float) -> np.ndarray:
    kind, _, side = name.partition("_")
    if kind == "eye" and f"lid_upper_{side}" in lines:
        return _between(lines[f"lid_upper_{side}"], lines[f"lid_lower_{side}"])
    if kind == "brow" and name not in closed:
        return _brow(lines[name], lines.get("nose_base"), scale)
    if name == "mouth" and "lip_upper_outer" in lines:
        return _between(lines["lip_upper_outer"], lines["lip_lower_outer"])
    if name == "opening":
        return _between(lines["lip_upper_inner"], lines["lip_lower_inner"])
    if name in ("upper", "lower"):
        return _between(lines[f"lip_{name}_outer"], lines[f"lip_{name}_inner"])
    if name == "nose" and "nose_base" in lines:
        return _nose(lines["nose_bridge"], lines["nose_base"])
    if name == "face":
        return _face(lines)
    return smooth(lines[name], closed=True)


def _between(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.concatenate([smooth(one), smooth(other)[::-1]])


def _brow(line: np.ndarray, below: np.ndarray | None, scale: float) -> np.ndarray:
    """A band along a brow's line, which runs from one end to the other; its tip is the end further from the nose."""
    if below is not None and np.linalg.norm(line[0] - below.mean(0)) > np.linalg.norm(line[-1] - below.mean(0)):
        line = line[::-1]
    curve = smooth(line)
    run = np.gradient(curve, axis=0)
    across = np.stack([-run[:, 1], run[:, 0]], 1) / np.maximum(np.linalg.norm(run, axis=1), 1e-6)[:, None]
    if below is not None and ((below.mean(0) - line.mean(0)) @ across.mean(0)) < 0:
        across = -across
    share = np.linspace(0, 1, len(curve))
    half = scale * np.interp(share, (0, 0.5, 1), BROW_HALF)[:, None]
    middle = curve + across * np.minimum(scale * BROW_DROP, half)
    return np.concatenate([middle - across * half, (middle + across * half)[::-1]])


def _nose(bridge: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Down one side of the bridge, around the wing, along the base, and up the other side."""
    over = base[-1] - base[0]
    wings = base[0] - NOSE_WING * over, base[-1] + NOSE_WING * over
    tip = bridge[-1]
    # wings are widest a third of the way up from the nostrils to the tip
    raised = (tip - base.mean(0)) / 3
    half = np.interp(np.linspace(0, 1, len(bridge)), np.linspace(0, 1, 4), NOSE_BRIDGE_HALF)[:, None] * over
    right, left = bridge - half, bridge + half
    ring = [*right[:-1], wings[0] + raised, *base, wings[1] + raised, *left[:-1][::-1]]
    return smooth(np.array(ring), closed=True)


def _face(lines: dict[str, np.ndarray]) -> np.ndarray:
    """The jaw line, closed over the forehead by half an ellipse through its two ends."""
    jaw = lines["jaw"]
    brows = np.concatenate([lines["brow_right"], lines["brow_left"]])
    up = brows.mean(0) - lines["nose_base"].mean(0)
    middle, half = (jaw[0] + jaw[-1]) / 2, (jaw[-1] - jaw[0]) / 2
    top = brows.mean(0) + FOREHEAD * up - middle
    turn = np.linspace(0, np.pi, 64)[1:-1, None]
    return np.concatenate([smooth(jaw), middle + np.cos(turn) * half + np.sin(turn) * top])
