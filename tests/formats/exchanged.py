"""What the tests of the formats share: a face whose place in other tools' coordinates is told by hand."""

from pathlib import Path

import numpy as np

from hrlm.formats.catalogue import FORMATS, read_any, write_photo, write_run
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult
from hrlm.schemes import parse_scheme

SCHEME = parse_scheme(
    "{name: s, landmarks: [first, second, third], regions: {r: {landmarks: [0-2]}}, normaliser: [0, 1],"
    " contours: {line: {landmarks: [0-1]}, loop: {landmarks: [0-2], closed: true}}}"
)
# the centre of the photo's first pixel, the centre of its last, and its outer lower right corner
POINTS = np.array([[0.0, 0.0], [199.0, 99.0], [199.5, 99.5]])
# the whole photo, from outer corner to outer corner
BOX = (-0.5, -0.5, 200.0, 100.0)
FACE = Face(POINTS, np.array([0.5, 0.25, np.nan]), BOX, 0.875, ("cut", "small"))
INFO = PhotoInfo("sub/a.jpg", 200, 100, 6)


def result(*faces: Face, path: str = INFO.path) -> PhotoResult:
    info = PhotoInfo(path, INFO.width, INFO.height, INFO.orientation)
    return PhotoResult(info, ModelInfo("m", "s", "1"), faces)


def written(name: str, folder: Path, *results: PhotoResult) -> Path:
    """The file of the only or all results."""
    format = FORMATS[name]
    path = folder / (f"a{format.suffix}" if format.per_photo else format.suffix)
    if format.per_photo:
        write_photo(format, path, results[0], SCHEME)
    else:
        write_run(format, path, results, SCHEME)
    return path


def read(name: str, path: Path, problems: list[str] | None = None) -> list[PhotoResult]:
    return list(read_any(FORMATS[name], path, SCHEME, problems))
