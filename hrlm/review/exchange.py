"""Results out to other annotation tools, and what was corrected there back as corrections."""

from __future__ import annotations

import filecmp
import re
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath

from hrlm.errors import FormatError, HrlmError
from hrlm.formats import correcting, corrections, pts
from hrlm.formats import json as result_json
from hrlm.formats.catalogue import Format, write_photo, write_run
from hrlm.formats.corrections import CorrectedFace, Correction
from hrlm.formats.exchange import matched, read_all
from hrlm.formats.values import writable
from hrlm.results import PhotoResult
from hrlm.review.merging import merged, same
from hrlm.review.storage import StaleError, Store
from hrlm.runs.annotate_run import ResultFile, find_photo
from hrlm.runs.sinks import with_suffix
from hrlm.schemes import Scheme, load_scheme


@dataclass(frozen=True)
class Imported:
    """What an import did: photos whose landmarks came back changed, and those that came back as they were."""

    corrected: int
    unchanged: int


def scheme_of(results: Sequence[ResultFile], given: str | None) -> Scheme:
    """The scheme that is given, or else the one that the first readable result names.

    Raises:
        HrlmError: no such scheme, or no result can be read.
    """
    if given:
        return load_scheme(given)
    for item in results:
        try:
            return load_scheme(correcting.current(item.file)[0].model.scheme)
        except FormatError:
            continue
    raise HrlmError(f"{results[0].file.parent}: none of its results can be read: run hrlm detect again")


def export_results(
    results: Sequence[ResultFile],
    format: Format,
    out: Path,
    photos: Path | None,
    scheme: Scheme,
    problems: list[str],
    overwrite: bool = False,
) -> int:
    """Write results, corrected ones as they were corrected, for another tool; returns how many photos.

    Args:
        out: a folder; a per-photo format mirrors the results below it.
        photos: the folder that the results were made from.
        problems: takes a message for each result that cannot be written; the others are.
        overwrite: replace files that are there and say something else.

    Raises:
        WriteError: the folder or the file of a run cannot be written.
        FormatError: the file of a run is there and says something else.
        DependencyError: the format's package is not installed.
    """
    count = 0

    def readable() -> Iterator[tuple[ResultFile, PhotoResult]]:
        nonlocal count
        for item in results:
            try:
                result = correcting.current(item.file)[1]
                wrong = [f for f in result.faces if len(f.landmarks) != len(scheme)]
                if wrong:
                    raise FormatError(f"{item.file}: is of another scheme than {scheme.name}: export it by itself")
            except FormatError as e:
                problems.append(str(e))
                continue
            count += 1
            yield item, result

    if not format.per_photo:
        every = (result for _, result in readable())
        _put(out / format.suffix, lambda path: write_run(format, path, every, scheme), overwrite)
        return count
    counted = _counted(results)
    for item, result in readable():
        try:
            if format.name == "pts":
                ending = PurePath(result.photo.path).suffix if _folded(item) in counted else ""
                for number, face in enumerate(result.faces, start=1):
                    part = "" if number == 1 else f"{ending}_{number}"
                    write = partial(pts.write, landmarks=face.landmarks)
                    _put(with_suffix(out / item.result, part + format.suffix), write, overwrite)
            else:
                photo = _photo(item, result, photos)
                # an XMP sidecar keeps what others have written into it
                merged = format.name == "xmp"
                write = partial(write_photo, format, result=result, scheme=scheme, photo_file=photo)
                _put(with_suffix(out / item.result, format.suffix), write, overwrite or merged)
        except FormatError as e:
            problems.append(str(e))
            count -= 1
    return count


def _put(path: Path, write: Callable[[Path], None], overwrite: bool) -> None:
    """Write a file that a person may have worked on in another tool since it was exported.

    Raises:
        FormatError: it is there and says something else.
        WriteError: it cannot be written.
    """
    if overwrite or not path.exists():
        write(path)
        return
    fresh = path.with_name(f".hrlm-{secrets.token_hex(6)}.tmp")
    try:
        write(fresh)
        if not filecmp.cmp(fresh, path, shallow=False):
            raise FormatError(
                f"{path}: is there and says something else, perhaps what was corrected in another tool: --import it, "
                f"move it away, or give --overwrite"
            )
    finally:
        fresh.unlink(missing_ok=True)


def import_corrections(
    results: Sequence[ResultFile],
    format: Format,
    path: Path,
    folder: Path,
    photos: Path | None,
    scheme: Scheme,
    problems: list[str],
) -> Imported:
    """Take what another tool made of exported results: every photo that came back changed gets a checked correction.

    See `merging.merged` for what counts as a change. A second import of the same file changes nothing.

    Args:
        path: the tool's file, or the folder of its files.
        folder: the results folder, which holds the corrections' journal.
        problems: takes a message for each photo that cannot be taken; the others are.

    Raises:
        FormatError: nothing to read there.
        WriteError: a correction cannot be written.
    """
    store = Store(folder)
    history = store.history()
    files: defaultdict[str, list[ResultFile]] = defaultdict(list)
    known = []
    for item in results:
        try:
            info = result_json.read(item.file).photo
        except FormatError as e:
            problems.append(str(e))
            continue
        files[writable(info.path)].append(item)
        known.append(info)
    corrected = unchanged = 0
    for result in matched(read_all(format, path, scheme, problems), known, problems):
        try:
            item, predicted, standing, photo = _standing(files[writable(result.photo.path)], photos)
            _check_fit(item, result, predicted, standing, format, scheme)
            before = store.load(item.file)
        except FormatError as e:
            problems.append(str(e))
            continue
        target = corrections.path_of(item.file)
        first = tuple(CorrectedFace(f.landmarks, i) for i, f in enumerate(predicted.faces))
        left = correcting.paired(before.faces, predicted.faces) if before else first
        faces = merged(result.faces, [first, *history.get(target, ()), left], format.tolerance)
        if same(faces, left):
            unchanged += 1
            continue
        name = corrections.relative_photo(target, photo) if photo else predicted.photo.path
        mark = correcting.photo_digest(photo) if photo else ""
        made = Correction(predicted.photo, name, predicted.model, 1, "", True, faces, mark)
        try:
            store.save(item.file, made, before.revision if before else 0)
        except (FormatError, StaleError) as e:
            problems.append(str(e))
            continue
        corrected += 1
    return Imported(corrected, unchanged)


def _standing(
    items: Sequence[ResultFile], photos: Path | None
) -> tuple[ResultFile, PhotoResult, PhotoResult, Path | None]:
    """The only result of a photo, as it was predicted and as it stands, and where the photo lies.

    Raises:
        FormatError: it is one of several, or it cannot be read, or its correction is of another photo.
    """
    item = items[0]
    predicted, standing = correcting.current(item.file)
    if len(items) > 1:
        raise FormatError(
            f"{item.file} and {items[1].file}: both are of {predicted.photo.path}: import into each run's own folder"
        )
    photo = _photo(item, predicted, photos)
    path = corrections.path_of(item.file)
    if photo and standing is not predicted:
        correcting.check_file(path, corrections.read(path), item.file, photo)
    return item, predicted, standing, photo


def _check_fit(
    item: ResultFile, result: PhotoResult, predicted: PhotoResult, standing: PhotoResult, format: Format, scheme: Scheme
) -> None:
    """See that an imported result can stand for the result of `item`.

    Raises:
        FormatError: it is of another scheme, or a file of one face for several.
    """
    if any(len(f.landmarks) != len(scheme) for f in (*predicted.faces, *standing.faces)):
        raise FormatError(f"{item.file}: is of another scheme than {scheme.name}: import into it by itself")
    if format.name == "pts" and len(standing.faces) > 1:
        raise FormatError(
            f"{item.file}: has {len(standing.faces)} faces, a .pts file holds one: import from another format"
        )


def _folded(item: ResultFile) -> str:
    return item.result.as_posix().casefold()


def _counted(results: Sequence[ResultFile]) -> set[str]:
    """Results `a` where there is an `a_2` too: the second face of `a` must not go where the first of `a_2` does."""
    return {match[1] for item in results if (match := re.fullmatch(r"(.+)_\d+", _folded(item), re.DOTALL))}


def _photo(item: ResultFile, result: PhotoResult, photos: Path | None) -> Path | None:
    """Where the photo lies, None where it is not found: landmarks can travel without it."""
    try:
        return find_photo(item, result.photo, photos)
    except HrlmError:
        return None
