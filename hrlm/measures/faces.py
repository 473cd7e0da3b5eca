"""Measures of a face and their deviations, by propagation of the landmarks' own. Definitions: docs/measures.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hrlm.anatomy import along, face_lines
from hrlm.measures.pose import head_pose
from hrlm.results import Face
from hrlm.schemes import Scheme

Kind = Literal["length", "ratio", "angle"]
SIDES = ("right", "left")

KINDS: Mapping[str, Kind] = {
    **{f"{name}_{side}": "length" for name in ("eye_opening", "eye_width") for side in SIDES},
    **{f"eye_aspect_{side}": "ratio" for side in SIDES},
    **{f"{name}_{side}": "length" for name in ("brow_height", "mouth_corner_excursion") for side in SIDES},
    "mouth_opening": "length",
    "mouth_width": "length",
    "eye_opening_asymmetry": "ratio",
    "brow_height_asymmetry": "ratio",
    "mouth_corner_excursion_asymmetry": "ratio",
    "mouth_corner_drop_left": "length",
    "canthus_to_mouth_corner_difference": "length",
    "nose_tip_offset": "length",
    "chin_offset": "length",
    "mirror_asymmetry": "length",
    "yaw": "angle",
    "pitch": "angle",
    "roll": "angle",
}
UNITS: Mapping[Kind, tuple[str, ...]] = {"length": ("px", "io"), "ratio": ("",), "angle": ("degrees",)}
# what a landmark is moved by to see how a measure changes, in inter-ocular units
STEP = 1e-4


@dataclass(frozen=True)
class Measure:
    """A measured value and its standard deviation; NaN where the scheme or the landmarks do not tell."""

    value: float
    deviation: float


def _columns() -> dict[str, tuple[str, str]]:
    """Each value's column: the measure and its unit (`px`, `io`, `degrees` or none)."""
    columns = {"inter_ocular_px": ("inter_ocular", "px")}
    for name, kind in KINDS.items():
        columns |= {f"{name}_{unit}".rstrip("_"): (name, unit) for unit in UNITS[kind]}
    return columns


COLUMNS: Mapping[str, tuple[str, str]] = _columns()


def measure_face(face: Face, scheme: Scheme) -> dict[str, Measure]:
    """Every measure of a face by its column's name (`COLUMNS`).

    The landmarks' errors are taken as independent of each other and small.
    """
    points = np.asarray(face.landmarks, np.float64)
    spread = face.covariance if face.covariance is not None else face.deviation[:, None, None] ** 2 * np.eye(2)
    step = STEP * max(float(scheme.inter_ocular(points)), 1e-6)
    # every coordinate of every landmark a little more, then a little less
    moves = step * np.eye(points.size).reshape(-1, *points.shape)
    moved = _values(np.concatenate([points[None], points + moves, points - moves]), scheme)
    more, less = np.split(moved[1:], 2)
    with np.errstate(invalid="ignore"):
        slopes = ((more - less) / (2 * step)).T.reshape(-1, len(points), 2)
    parts = np.einsum("mni,nij,mnj->mn", slopes, spread, slopes)
    # an unknown deviation spoils only what depends on its landmark
    variance = np.where((slopes != 0).any(-1), parts, 0).sum(1)
    return {
        column: Measure(float(value), float(deviation))
        for column, value, deviation in zip(COLUMNS, moved[0], np.sqrt(variance), strict=True)
    }


def row(face: Face, scheme: Scheme) -> list[str]:
    """A face's measures as cells of a table's row: value and deviation of each column, empty where not known."""
    measures = measure_face(face, scheme)
    cells = []
    for column in COLUMNS:
        measure = measures[column]
        cells += [f"{v:.5g}" if np.isfinite(v) else "" for v in (measure.value, measure.deviation)]
    return cells


def header() -> list[str]:
    """Names of the cells of `row`."""
    return [name for column in COLUMNS for name in (column, f"{column}_deviation")]


def _values(points: np.ndarray, scheme: Scheme) -> np.ndarray:
    """`(B, len(COLUMNS))` values of landmarks `(B, N, 2)`."""
    unit = scheme.inter_ocular(points)
    named = _named(points, scheme)
    named["inter_ocular"] = unit
    unknown = np.full(len(points), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = [named.get(name, unknown) / (unit if kind == "io" else 1) for name, kind in COLUMNS.values()]
    return np.stack(values, -1)


def _named(points: np.ndarray, scheme: Scheme) -> dict[str, np.ndarray]:
    lines = face_lines(scheme)

    def has(*names: str) -> bool:
        return all(name in lines for name in names)

    def at(name: str, share: float) -> np.ndarray:
        return along(points[:, list(lines[name])], share)

    found: dict[str, np.ndarray] = {}
    eyes = has(*(f"lid_{which}_{side}" for which in ("upper", "lower") for side in SIDES))
    if eyes:
        centres = [(at(f"lid_upper_{side}", 0) + at(f"lid_upper_{side}", 1)) / 2 for side in SIDES]
    else:
        centres = [points[:, i] for i in scheme.normaliser]
    middle = (centres[0] + centres[1]) / 2
    level = centres[1] - centres[0]
    level = level / np.maximum(np.linalg.norm(level, axis=-1, keepdims=True), 1e-12)
    down = np.stack([-level[:, 1], level[:, 0]], -1)

    def aside(place: np.ndarray) -> np.ndarray:
        return ((place - middle) * level).sum(-1)

    def below(place: np.ndarray) -> np.ndarray:
        return ((place - middle) * down).sum(-1)

    for side, centre in zip(SIDES, centres, strict=True):
        if eyes:
            upper, lower = f"lid_upper_{side}", f"lid_lower_{side}"
            heights = [_distance(at(upper, t), at(lower, t)) for t in (1 / 3, 2 / 3)]
            opening = (heights[0] + heights[1]) / 2
            found[f"eye_opening_{side}"] = opening
            found[f"eye_width_{side}"] = _distance(at(upper, 0), at(upper, 1))
            with np.errstate(divide="ignore", invalid="ignore"):
                found[f"eye_aspect_{side}"] = opening / found[f"eye_width_{side}"]
        if eyes and has(f"brow_{side}"):
            found[f"brow_height_{side}"] = below(centre) - below(at(f"brow_{side}", 0.5))
    if has("lip_upper_outer", "lip_lower_outer"):
        corners = at("lip_upper_outer", 0), at("lip_upper_outer", 1)
        for side, corner in zip(SIDES, corners, strict=True):
            found[f"mouth_corner_excursion_{side}"] = _distance(corner, at("lip_lower_outer", 0.5))
        found["mouth_width"] = _distance(*corners)
        found["mouth_corner_drop_left"] = below(corners[1]) - below(corners[0])
        if eyes:
            spans = [_distance(at(f"lid_upper_{s}", 1), c) for s, c in zip(SIDES, corners, strict=True)]
            found["canthus_to_mouth_corner_difference"] = spans[1] - spans[0]
    if has("lip_upper_inner", "lip_lower_inner"):
        found["mouth_opening"] = _distance(at("lip_upper_inner", 0.5), at("lip_lower_inner", 0.5))
    for name in ("eye_opening", "brow_height", "mouth_corner_excursion"):
        if f"{name}_left" in found:
            right, left = (found[f"{name}_{side}"] for side in SIDES)
            with np.errstate(divide="ignore", invalid="ignore"):
                found[f"{name}_asymmetry"] = (left - right) / (left + right)
    if has("nose_bridge"):
        found["nose_tip_offset"] = aside(at("nose_bridge", 1))
    if has("jaw"):
        found["chin_offset"] = aside(at("jaw", 0.5))
    pairs = [(i, j) for i, j in enumerate(scheme.mirror) if i < j]
    if pairs:
        here, there = (points[:, list(chosen)] - middle[:, None] for chosen in zip(*pairs, strict=True))
        mirrored = here - 2 * (here * level[:, None]).sum(-1, keepdims=True) * level[:, None]
        found["mirror_asymmetry"] = _distance(mirrored, there).mean(-1)
    found |= zip(("yaw", "pitch", "roll"), np.moveaxis(head_pose(points, lines), -1, 0), strict=True)
    return found


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    distance: np.ndarray = np.linalg.norm(a - b, axis=-1)
    return distance
