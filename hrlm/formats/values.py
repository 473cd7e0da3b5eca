"""What the formats of other tools share: names and numbers as their files can hold them, boxes, faults, defaults."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from hrlm.errors import FormatError
from hrlm.results import Box, Face, ModelInfo, PhotoInfo, PhotoResult
from hrlm.schemes import Scheme

T = TypeVar("T")
Told = Callable[[str], None]

# what the label of a whole face is called where a tool wants one
FACE = "face"
# what a file says of a face's certainty when it says nothing
SCORE = 1.0
DECIMALS = 3
# characters of a long JSON file that are read at once, and those between a list's items
CHUNK = 1 << 20
_BETWEEN = frozenset(" \t\r\n,")
# what XML 1.0 and UTF-8 cannot hold: most control characters, lone surrogates, two non-characters
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def writable(name: str) -> str:
    r"""`name` with what no XML or UTF-8 file can hold as a Python escape, such as `\udcff` for a stray byte."""
    return _UNWRITABLE.sub(lambda m: m[0].encode("unicode_escape").decode("ascii"), name)


def rounded(values: Any, decimals: int = DECIMALS) -> Any:
    """Numbers as nested lists, rounded, without a negative zero."""
    return (np.round(np.asarray(values, dtype=np.float64), decimals) + 0.0).tolist()


def optional(values: np.ndarray) -> list[float | None]:
    """Numbers for JSON: rounded, None where one is not known."""
    return [v if np.isfinite(v) else None for v in rounded(values)]


# beside hrlm.geometry, which needs torch, as whoever only converts files should not wait for that
def edge_based(points: np.ndarray) -> np.ndarray:
    """Photo pixels as tools count them that put 0, 0 at the outer corner of the first pixel, not at its centre."""
    return points + 0.5


def centre_based(points: np.ndarray) -> np.ndarray:
    """Photo pixels (centres at integers) from coordinates whose 0, 0 is the outer corner of the first pixel."""
    return points - 0.5


def edge_box(box: Box) -> np.ndarray:
    """`(4,)` x, y, width, height with x and y counted from the photo's outer corner."""
    return np.concatenate([edge_based(np.array(box[:2], dtype=np.float64)), box[2:]])


def centre_box(values: Sequence[float]) -> Box:
    """A face's box from x, y, width, height with x and y counted from the photo's outer corner."""
    x, y = centre_based(np.array(values[:2], dtype=np.float64)).tolist()
    return x, y, float(values[2]), float(values[3])


def box_of(landmarks: np.ndarray) -> Box:
    """The landmarks' bounding box, for files without one."""
    (x, y), (right, bottom) = landmarks.min(0).tolist(), landmarks.max(0).tolist()
    return x, y, right - x, bottom - y


def skeleton(scheme: Scheme) -> list[tuple[int, int]]:
    """The pairs of landmarks that the scheme's contours join."""
    pairs: list[tuple[int, int]] = []
    for contour in scheme.contours:
        ends = [*contour.landmarks, contour.landmarks[0]] if contour.closed else contour.landmarks
        pairs.extend(pairwise(ends))
    return pairs


def once(points: Iterable[tuple[str, T]]) -> dict[str, T]:
    """What belongs to each landmark of a face, by name.

    Raises:
        FormatError: a landmark is there twice, as when two faces lie in one group.
    """
    each: dict[str, T] = {}
    for name, point in points:
        if name in each:
            raise FormatError(f"has the landmark {name} twice: delete one of them, or tell two faces apart")
        each[name] = point
    return each


def in_order(points: Mapping[str, T], scheme: Scheme) -> list[T]:
    """What belongs to each landmark, in the scheme's order; further names are passed over.

    Raises:
        FormatError: a landmark is missing.
    """
    missing = [name for name in scheme.landmarks if name not in points]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise FormatError(f"lacks the landmark {missing[0]}{more} of {scheme.name}: set it, or delete the face")
    return [points[name] for name in scheme.landmarks]


def face_of(
    landmarks: Any,
    deviation: Iterable[float | None] | None = None,
    box: Box | None = None,
    score: float | None = None,
    flags: Iterable[str] = (),
    visibility: Mapping[int, bool] | None = None,
) -> Face:
    """A face of a file, with the defaults for what the file does not say: NaN, the landmarks' box, 1, no flag.

    Args:
        visibility: whether a landmark can be seen, of those of which the file tells.
    """
    points = np.array(landmarks, dtype=np.float64)
    unknown = np.full(len(points), np.nan)
    sigma = unknown if deviation is None else np.array([np.nan if d is None else d for d in deviation], np.float64)
    certainty = SCORE if score is None else float(score)
    return Face(points, sigma, box or box_of(points), certainty, tuple(flags), visibility=visibility or {})


def imported(format_name: str, scheme: Scheme, photo: PhotoInfo, faces: Iterable[Face]) -> PhotoResult:
    """A photo's result out of a file of another tool: its model is `imported`, of the format's name as version."""
    return PhotoResult(photo, ModelInfo("imported", scheme.name, format_name), tuple(faces))


def fail(message: str) -> None:
    """The answer to a fault when nobody collects them: raises FormatError."""
    raise FormatError(message)


def faces_of(entries: Iterable[T], build: Callable[[T], Face], where: str, told: Told) -> list[Face]:
    """The faces that `build` makes of a photo's entries; one that cannot be made is told and left out."""
    faces: list[Face] = []
    for number, entry in enumerate(entries, start=1):
        try:
            faces.append(build(entry))
        except FormatError as e:
            told(f"{where}: face {number} {e}")
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as e:
            told(f"{where}: face {number} cannot be read ({type(e).__name__}: {e}): mend or delete it")
    return faces


def unreadable(path: Path, error: OSError) -> FormatError:
    """The error for a file that the system does not let us read."""
    return FormatError(f"{path}: cannot be read ({error.strerror or error}): check the file and its rights")


@contextlib.contextmanager
def _json_of(path: Path, tool: str) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise unreadable(path, e) from e
    except (ValueError, RecursionError) as e:
        raise FormatError(f"{path}: is not valid JSON ({e}): export it from {tool} again") from e


def load_json(path: Path, tool: str) -> Any:
    """The content of a JSON file.

    Raises:
        FormatError: unreadable or no JSON.
    """
    with _json_of(path, tool):
        return json.loads(path.read_bytes().decode("utf-8-sig"))


def json_items(path: Path, tool: str) -> Iterator[Any]:
    """The items of a JSON file that is a list, one at a time, however long it is.

    Raises:
        FormatError: unreadable, no JSON or no list.
    """
    with _json_of(path, tool), path.open(encoding="utf-8-sig") as file:
        text = file.read(CHUNK).lstrip()
        if not text.startswith("["):
            raise ValueError("it does not begin with [")
        decoder, start = json.JSONDecoder(), 1
        while True:
            while text[start : start + 1] in _BETWEEN:
                start += 1
            if text.startswith("]", start):
                return
            try:
                item, start = decoder.raw_decode(text, start)
            except json.JSONDecodeError:
                # perhaps cut off by the end of what was read; twice as much each time, so that all in all it is little
                more = file.read(max(CHUNK, len(text)))
                if not more:
                    raise
                text, start = text[start:] + more, 0
            else:
                yield item
