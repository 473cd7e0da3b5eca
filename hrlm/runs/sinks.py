"""Where a photo's result goes: each sink writes one kind of file below the output folder."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePath

from hrlm.errors import FormatError, HrlmError
from hrlm.formats import correcting, corrections, pts
from hrlm.formats import json as result_json
from hrlm.formats.atomic import WriteError, exists, replacing, write_whole
from hrlm.formats.catalogue import Format, write_photo
from hrlm.photos import Photo
from hrlm.photos.folders import OVERLAY_MARK
from hrlm.photos.written import jpeg_bytes, png_bytes, read_metadata
from hrlm.render.overlay import Look, draw_faces
from hrlm.results import PhotoResult
from hrlm.runs.discovery import Problem, Source
from hrlm.schemes import Scheme

Sink = Callable[[Source, PhotoResult], None]
PhotoSink = Callable[[Source, Photo, PhotoResult], None]

ERRORS_FILE = "errors.jsonl"
OVERLAY_SUFFIX = OVERLAY_MARK + ".jpg"
_TEMPORARY = re.compile(r"\.hrlm-([0-9a-f]{12}\.tmp|probe)")


def json_sink(out: Path) -> PhotoSink:
    """`NAME.json`: the whole result."""

    def sink(source: Source, photo: Photo, result: PhotoResult) -> None:
        write_result(with_suffix(out / source.result, ".json"), source, result)

    return sink


def write_result(path: Path, source: Source, result: PhotoResult) -> None:
    """Write `NAME.json` unless that loses or spoils what a person made; an old result is replaced in one step.

    Raises:
        WriteError: the folder or the file cannot be written.
        FormatError: the file that is there is not hrlm's, or the correction beside it is another photo's.
    """
    if path.is_file() and path.stat().st_size and not result_json.looks_like_result(path):
        raise FormatError(f"{path}: is not hrlm's and would be lost: move it or give another --out")
    _check_correction(path, source, result)
    result_json.write(path, result)


def _check_correction(file: Path, source: Source, result: PhotoResult) -> None:
    path = corrections.path_of(file)
    if not exists(path) or result_json.looks_like_result(path):
        return
    correction = corrections.read(path)
    alike = (correction.photo.width, correction.photo.height) == (result.photo.width, result.photo.height)
    try:
        same = alike and (path.parent / correction.file).samefile(source.file)
    except (OSError, ValueError):
        # the photo was moved since: nothing but its size tells
        same = alike
    if not same:
        raise FormatError(
            f"{path}: is the correction of another photo ({correction.file}) than {source.file}: "
            "move it away or give another --out"
        )
    if result_json.looks_like_result(file):
        correcting.check_replaced(path, correction, file, result, source.file)


def format_sink(format: Format, out: Path, scheme: Scheme) -> Sink:
    """A per-photo format: `NAME` with its suffix.

    `pts` takes one face a file: `NAME.pts` the largest, `NAME_2.pts`, `NAME_3.pts` … the others; see `further_pts`.
    """

    def sink(source: Source, result: PhotoResult) -> None:
        write_photo(format, with_suffix(out / source.result, format.suffix), result, scheme, source.file)

    def pts_sink(source: Source, result: PhotoResult) -> None:
        for number, face in enumerate(result.faces, start=1):
            first = with_suffix(out / source.result, format.suffix)
            pts.write(first if number == 1 else further_pts(out, source, number), face.landmarks)
        _remove_further(source, len(result.faces))

    def _remove_further(source: Source, count: int) -> None:
        """Remove the files of faces that an earlier result had."""
        old = [] if count else [with_suffix(out / source.result, format.suffix)]
        number = max(count, 1) + 1
        while True:
            file, others = further_pts(out, source, number), with_suffix(out / source.numbered, f"_{number}.json")
            if exists(file):
                old.append(file)
            elif not exists(others):
                break
            number += 1
        # the last first: a run that is killed here leaves no gap that would hide the others
        for file in reversed(old):
            try:
                file.unlink(missing_ok=True)
            except OSError as e:
                raise WriteError(file, e) from e

    return pts_sink if format.name == "pts" else sink


def further_pts(out: Path, source: Source, number: int) -> Path:
    """The `.pts` file of a photo's second or later face, never the first face's of another photo.

    With photos `a.jpg` and `a_2.jpg`, in one run or one after the other, the first one's second face is `a.jpg_2.pts`.
    """
    path = with_suffix(out / source.numbered, f"_{number}")
    if exists(with_suffix(path, ".json")):
        path = with_suffix((out / source.result).with_name(source.file.name), f"_{number}")
    return with_suffix(path, ".pts")


def overlay_sink(out: Path, scheme: Scheme, look: Look, quality: int = 92, png: bool = False) -> PhotoSink:
    """`NAME.overlay.jpg` or `.png`: the landmarks drawn on the photo at full resolution."""

    def sink(source: Source, photo: Photo, result: PhotoResult) -> None:
        write_overlay(out / source.result, photo, result, scheme, look, quality, png)

    return sink


def write_overlay(
    path: PurePath, photo: Photo, result: PhotoResult, scheme: Scheme, look: Look, quality: int, png: bool
) -> None:
    """Draw `result` on `photo` and write it as `path` with the overlay's suffix.

    Raises:
        WriteError: the folder or the file cannot be written.
        HrlmError: the result does not fit the scheme, or the picture not the format.
    """
    drawn = draw_faces(photo.pixels, result.faces, scheme, look)
    metadata = read_metadata(photo.path)
    data = png_bytes(drawn, metadata) if png else jpeg_bytes(drawn, quality, metadata)
    write_whole(with_suffix(Path(path), OVERLAY_MARK + (".png" if png else ".jpg")), data)


def write_errors(path: Path, problems: Sequence[Problem]) -> None:
    """An object with `path` and `reason` per line; an earlier run's file goes when there are none.

    Raises:
        WriteError: the folder or the file cannot be written.
    """
    if problems:
        lines = (json.dumps({"path": p.name, "reason": p.reason}) + "\n" for p in problems)
        write_whole(path, "".join(lines).encode("ascii"))
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as e:
        raise WriteError(path, e) from e


def prepare_folder(out: Path) -> None:
    """Make the output folder and see that it can be written, before hours of work.

    Raises:
        HrlmError: it cannot.
    """
    if out.exists() and not out.is_dir():
        raise HrlmError(f"{out}: is a file: give a folder for the results")
    probe = out / ".hrlm-probe"
    with replacing(probe):
        pass
    probe.unlink(missing_ok=True)


def remove_temporary(folders: Iterable[Path]) -> None:
    """Remove what killed runs left half written in these folders (not below them)."""
    for folder in set(folders):
        with contextlib.suppress(OSError):
            for path in folder.iterdir():
                if _TEMPORARY.fullmatch(path.name):
                    path.unlink()


def with_suffix(path: Path, suffix: str) -> Path:
    """`path` with `suffix` appended; what looks like a suffix in the name stays."""
    return path.with_name(path.name + suffix)
