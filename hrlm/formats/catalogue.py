"""Every landmark file format by the name that `--format` takes, with one way to write and to read them all.

A format's own module is imported when it is used, so that an optional package is needed only by who asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING

from hrlm.errors import FormatError

if TYPE_CHECKING:
    from hrlm.results import PhotoResult
    from hrlm.schemes import Scheme


@dataclass(frozen=True)
class Format:
    """A landmark file format.

    Args:
        name: what `--format` takes.
        suffix: per photo, what is appended to the path of the photo's result; per run, the file's name in the output
            folder.
        per_photo: whether every photo has a file of its own.
        about: a short phrase for `--help`.
        tolerance: photo pixels by which a landmark that nobody moved may come back elsewhere.
    """

    name: str
    suffix: str
    per_photo: bool
    about: str
    tolerance: float = 0.01

    @property
    def module(self) -> ModuleType:
        """The module that reads and writes it, imported on first use."""
        return import_module(f"hrlm.formats.{self.name.replace('-', '_')}")


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        f.name: f
        for f in (
            Format("pts", ".pts", True, "iBUG points, a file per face"),
            Format("labelme", ".labelme.json", True, "labelme annotation, a file per photo"),
            Format("xmp", ".xmp", True, "XMP sidecar with MWG face regions"),
            Format("csv", "landmarks.csv", False, "one table, a row per face"),
            Format("parquet", "landmarks.parquet", False, "one columnar table, a row per face"),
            Format("coco", "coco.json", False, "COCO keypoints"),
            Format("cvat", "cvat.xml", False, "CVAT for images 1.1, skeletons"),
            Format("label-studio", "label-studio.json", False, "Label Studio tasks with predictions"),
            Format("dlib", "dlib.xml", False, "dlib / imglab data set", tolerance=0.75),
        )
    }
)


def write_photo(
    format: Format, path: Path, result: PhotoResult, scheme: Scheme, photo_file: Path | None = None
) -> None:
    """Write a photo's file in a per-photo format, all its faces in the one file.

    A `.pts` file holds a single face: one with several faces is refused, as who writes a run numbers further files
    itself (`NAME_2.pts` …).

    Args:
        path: the file, whole name.
        photo_file: where the photo lies, for formats that point to it (labelme); without it the file names the photo
            as if both lay in one folder.

    Raises:
        WriteError: the folder or the file cannot be written.
        FormatError: the result does not fit the scheme or the format, or an existing file that would be merged with
            cannot be read.
    """
    _check(result, scheme)
    format.module.write_photo(path, result, scheme, photo_file)


def write_run(format: Format, path: Path, results: Iterable[PhotoResult], scheme: Scheme) -> None:
    """Write the one file of a run; `results` are taken one at a time.

    The file takes its name when the last result is written: if `results` raise, what stood at `path` stays.

    Raises:
        WriteError: the folder or the file cannot be written.
        FormatError: a result does not fit the scheme.
        DependencyError: the format's package is not installed.
    """

    def checked() -> Iterator[PhotoResult]:
        for result in results:
            _check(result, scheme)
            yield result

    format.module.write_run(path, checked(), scheme)


def read_any(format: Format, path: Path, scheme: Scheme, problems: list[str] | None = None) -> Iterator[PhotoResult]:
    """The results of a file, per photo or per run, in its order.

    What a format cannot hold comes back as its default: deviation NaN, score 1, no flags, the landmarks' bounding
    box, width and height 0, orientation 1. The model is named `imported`.

    Args:
        problems: takes a message for each face that has to be left out, because a landmark is missing or a number is
            none; without it the first such face raises.

    Raises:
        FormatError: unreadable, or not of this format.
        DependencyError: the format's package is not installed.
    """
    from hrlm.formats.values import fail

    results: Iterator[PhotoResult] = format.module.read_results(
        path, scheme, fail if problems is None else problems.append
    )
    return results


def _check(result: PhotoResult, scheme: Scheme) -> None:
    for face in result.faces:
        if len(face.landmarks) != len(scheme):
            raise FormatError(
                f"{result.photo.path}: has faces of {len(face.landmarks)} landmarks where {scheme.name} has "
                f"{len(scheme)}: give the scheme that the model was trained for"
            )
