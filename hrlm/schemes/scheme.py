"""The `Scheme` dataclass and its YAML reader."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from hrlm.errors import SchemeError

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Contour:
    """A polyline through landmarks, in order; `closed` joins the last to the first."""

    name: str
    landmarks: tuple[int, ...]
    closed: bool = False


@dataclass(frozen=True)
class Region:
    """A part of the face that gets a crop of its own.

    Args:
        landmarks: what is looked for there.
        mirrored: the crop is flipped left to right before the network sees it, so that it looks like its twin.
    """

    name: str
    landmarks: tuple[int, ...]
    mirrored: bool = False


@dataclass(frozen=True)
class Scheme:
    """A landmark scheme.

    Args:
        name: short name, used in file names and results.
        title: for people.
        landmarks: the N landmark names in order.
        mirror: for each landmark the one it becomes in a mirrored photo (itself on the midline).
        contours: for drawing and measures.
        regions: together they hold every landmark.
        normaliser: the two landmarks whose distance normalises errors; they lie side by side on an upright face, the
            one on the left of the picture first.
        subsets: named sets that reports speak of.
        source: the YAML text that this was read from; weights carry it.
        shape: x, y of each landmark on a usual, level face, in units of the normaliser from its middle; None where the
            scheme does not say.
    """

    name: str
    title: str
    landmarks: tuple[str, ...]
    mirror: tuple[int, ...]
    contours: tuple[Contour, ...]
    regions: tuple[Region, ...]
    normaliser: tuple[int, int]
    subsets: Mapping[str, tuple[int, ...]]
    source: str
    shape: tuple[tuple[float, float], ...] | None = None

    def __len__(self) -> int:
        return len(self.landmarks)

    @cached_property
    def normaliser_index(self) -> list[int]:
        """The normaliser's two landmark indices as a list, for indexing arrays."""
        return list(self.normaliser)

    def inter_ocular(self, points: np.ndarray) -> np.ndarray:
        """Distance between the normaliser's landmarks, `(...)`, of points `(..., N, 2)`."""
        a, b = self.normaliser
        return np.linalg.norm(points[..., a, :] - points[..., b, :], axis=-1)

    def face_frame(self, points: np.ndarray) -> np.ndarray:
        """What takes row vectors in pixels into a face's own frame, `(2, 2)`, of points `(N, 2)`.

        The frame's first axis runs from the first to the second landmark of the normaliser, the second one a quarter
        turn clockwise from it (down on an upright face); its unit is their distance.
        """
        a, b = self.normaliser
        x, y = points[b] - points[a]
        frame: np.ndarray = np.array([[x, -y], [y, x]]) / (x * x + y * y)
        return frame


def builtin_schemes() -> list[str]:
    """Names of the schemes that hrlm carries."""
    return sorted(p.stem for p in FOLDER.glob("*.yaml"))


def load_scheme(name_or_path: str | Path) -> Scheme:
    """Load a scheme by its built-in name or from a YAML file.

    Raises:
        SchemeError: unknown, unreadable or contradictory.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = FOLDER / f"{name_or_path}.yaml"
        if not path.exists():
            known = ", ".join(builtin_schemes())
            raise SchemeError(f"no scheme named {name_or_path!r}: use one of {known}, or give a .yaml file")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as e:
        raise SchemeError(f"{path}: cannot be read ({e.strerror}): check the scheme's path") from e
    except UnicodeDecodeError as e:
        raise SchemeError(f"{path}: is not text in UTF-8: save it anew as that") from e
    return parse_scheme(text, str(path))


def parse_scheme(text: str, where: str = "scheme") -> Scheme:
    """Read a scheme from YAML text; `where` names it in messages.

    Raises:
        SchemeError: with the faulty entry's name.
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as e:
        raise SchemeError(f"{where}: is not valid YAML: {' '.join(str(e).split())}") from e
    except (ValueError, RecursionError) as e:
        # such as a day that no calendar has
        raise SchemeError(f"{where}: is not valid YAML: {e}: put what is meant as text in quotes") from e
    if not isinstance(data, dict):
        raise SchemeError(f"{where}: must be a YAML mapping with name, landmarks, regions and normaliser")
    try:
        return _build(data, text)
    except SchemeError as e:
        raise SchemeError(f"{where}: {e}") from None


def _build(data: Mapping[str, Any], text: str) -> Scheme:
    for key in ("name", "landmarks", "regions", "normaliser"):
        if not data.get(key):
            raise SchemeError(f"lacks {key!r}: add it")
    names = tuple(str(n) for n in _list(data["landmarks"], "landmarks"))
    if len(set(names)) != len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise SchemeError(f"names the landmark {twice!r} twice")
    count = len(names)
    mirror = _mirror(_list(data.get("mirror") or [], "mirror"), count)
    contours = tuple(
        Contour(str(n), _indices(c.get("landmarks"), count, f"contour {n}"), _truth(c.get("closed", False), n))
        for n, c in _mapping(data.get("contours") or {}, "contours").items()
    )
    regions = _regions(_mapping(data["regions"], "regions"), mirror, count)
    normaliser = _indices(data["normaliser"], count, "normaliser")
    if len(normaliser) != 2 or normaliser[0] == normaliser[1]:
        raise SchemeError("normaliser must be two different landmarks")
    subsets = data.get("subsets") or {}
    if not isinstance(subsets, dict):
        raise SchemeError("subsets must be a mapping of names to lists of landmarks")
    return Scheme(
        name=str(data["name"]),
        title=str(data.get("title", data["name"])),
        landmarks=names,
        mirror=mirror,
        contours=contours,
        regions=regions,
        normaliser=(normaliser[0], normaliser[1]),
        subsets={str(n): _indices(v, count, f"subset {n}") for n, v in subsets.items()},
        source=text,
        shape=_shape(data["shape"], count) if data.get("shape") else None,
    )


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise SchemeError(f"{what} must be a list")
    return value


def _truth(value: Any, contour: Any) -> bool:
    if not isinstance(value, bool):
        raise SchemeError(f"contour {contour}: closed is {value!r}: write true or false, without quotes")
    return value


def _shape(value: Any, count: int) -> tuple[tuple[float, float], ...]:
    try:
        places = tuple((float(x), float(y)) for x, y in _list(value, "shape"))
    except (TypeError, ValueError):
        raise SchemeError("shape must be a list of [x, y]") from None
    if len(places) != count:
        raise SchemeError(f"shape has {len(places)} places for {count} landmarks: give one for each")
    if not all(math.isfinite(x) and math.isfinite(y) for x, y in places) or len(set(places)) == 1:
        raise SchemeError("shape has places that are no numbers, or all alike: say where the landmarks lie, or drop it")
    return places


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(v, dict) for v in value.values()):
        raise SchemeError(f"{what} must be a mapping of names to mappings")
    return value


def _indices(value: Any, count: int, what: str) -> tuple[int, ...]:
    """Landmark indices from a list of numbers and inclusive ranges such as `17-21`."""
    found: list[int] = []
    for item in _list(value, what):
        first, dash, last = str(item).partition("-")
        try:
            low, high = int(first), int(last if dash else first)
        except ValueError:
            raise SchemeError(f"{what}: {item!r} is neither a landmark's number nor a range like 17-21") from None
        if high < low:
            raise SchemeError(f"{what}: {item!r} runs backwards: begin with the lower number, or list them one by one")
        if high >= count:
            raise SchemeError(f"{what}: there is no landmark {max(low, count)} (0 to {count - 1} exist)")
        found.extend(range(low, high + 1))
    if not found:
        raise SchemeError(f"{what}: is empty")
    return tuple(found)


def _mirror(pairs: list[Any], count: int) -> tuple[int, ...]:
    mirror = list(range(count))
    for pair in pairs:
        indices = _indices(pair, count, "mirror")
        if len(indices) != 2:
            raise SchemeError(f"mirror: {pair!r} is not a pair")
        a, b = indices
        if mirror[a] != a or mirror[b] != b:
            raise SchemeError(f"mirror: landmark {a if mirror[a] != a else b} stands in two pairs")
        mirror[a], mirror[b] = b, a
    return tuple(mirror)


def _regions(data: Mapping[str, Any], mirror: tuple[int, ...], count: int) -> tuple[Region, ...]:
    regions: dict[str, Region] = {}
    for name, entry in data.items():
        name, twin = str(name), entry.get("mirror_of")
        if twin is None:
            landmarks = _indices(entry.get("landmarks"), count, f"region {name}")
            if len(set(landmarks)) < len(landmarks):
                twice = next(i for i in landmarks if landmarks.count(i) > 1)
                raise SchemeError(f"region {name}: lists landmark {twice} twice: once is enough")
            regions[name] = Region(name, landmarks)
        elif str(twin) in regions:
            regions[name] = Region(name, tuple(mirror[i] for i in regions[str(twin)].landmarks), mirrored=True)
        else:
            raise SchemeError(f"region {name}: mirror_of names {twin!r}, which is not a region above it")
    missing = set(range(count)).difference(*(r.landmarks for r in regions.values()))
    if missing:
        raise SchemeError(f"landmark {min(missing)} is in no region: add it to one")
    return tuple(regions.values())
