"""Corrections that come back from another tool: its files read, and matched to the photos of a run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath

from hrlm.errors import FormatError, HrlmError
from hrlm.formats.catalogue import Format, read_any
from hrlm.formats.values import writable
from hrlm.results import PhotoInfo, PhotoResult
from hrlm.schemes import Scheme


def read_all(format: Format, path: Path, scheme: Scheme, problems: list[str]) -> Iterator[PhotoResult]:
    """The results of a file, or of a folder.

    Of a folder the run's file by its own name is read, or for a per-photo format every file below it with the format's
    suffix (where there is none, with the last part of it: labelme saves `NAME.json`).

    A photo of which anything cannot be read is left out whole: the faces that are lacking were not deleted.

    Args:
        problems: takes a message for each file, face and photo that cannot be used; the others are given.

    Raises:
        FormatError: nothing to read there.
    """
    files = _files(format, path) if path.is_dir() else [path]
    if not files:
        raise FormatError(f"{path}: holds no {format.suffix} file: give what the other tool exported")
    for file in files:
        try:
            # a format tells of a photo's faces before it gives the photo
            before = len(problems)
            for result in read_any(format, file, scheme, problems):
                if len(problems) > before:
                    problems.append(f"{file}: {result.photo.path} is left out, as not all of it can be read: mend it")
                else:
                    yield result
                before = len(problems)
        except HrlmError as e:
            problems.append(str(e))


def _files(format: Format, folder: Path) -> list[Path]:
    if not format.per_photo:
        file = folder / format.suffix
        return [file] if file.is_file() else []
    for suffix in (format.suffix, Path(format.suffix).suffix):
        if found := sorted(p for p in folder.rglob(f"*{suffix}") if p.is_file()):
            return found
    return []


def matched(imported: Iterable[PhotoResult], known: Sequence[PhotoInfo], problems: list[str]) -> Iterator[PhotoResult]:
    """Imported results with the `PhotoInfo` of the run's photo that each is of.

    A photo is found by its path; else by its file name, else by its file name without extension, where just one photo
    of the run has that: tools that are given uploads forget folders. A photo that is not found, found twice or of
    another size is passed over.

    Args:
        problems: takes a message for each result that is passed over.
    """
    index = _Index(known)
    taken: dict[str, str] = {}
    for result in imported:
        name = result.photo.path
        try:
            info = index.find(name)
            if info.path in taken:
                raise FormatError(f"{name}: is of {info.path}, as is {taken[info.path]}: keep one of them")
            _check_size(result.photo, info)
        except FormatError as e:
            problems.append(str(e))
            continue
        taken[info.path] = name
        yield replace(result, photo=info)


class _Index:
    def __init__(self, known: Iterable[PhotoInfo]) -> None:
        self._by_path: dict[str, PhotoInfo] = {}
        self._by_name: defaultdict[str, list[PhotoInfo]] = defaultdict(list)
        self._by_stem: defaultdict[str, list[PhotoInfo]] = defaultdict(list)
        for info in known:
            path = writable(info.path)
            self._by_path[path] = info
            self._by_name[PurePosixPath(path).name].append(info)
            self._by_stem[PurePosixPath(path).stem].append(info)

    def find(self, name: str) -> PhotoInfo:
        path = writable(name)
        if info := self._by_path.get(path):
            return info
        # tools on Windows write its separators
        last = PureWindowsPath(path).name
        for table, key in ((self._by_name, last), (self._by_stem, last), (self._by_stem, PurePosixPath(last).stem)):
            found = table.get(key, [])
            if len(found) == 1:
                return found[0]
            if found:
                raise FormatError(
                    f"{name}: {len(found)} photos of the run are called {key}: give the path, not the name"
                )
        raise FormatError(f"{name}: no photo of the run is called so: check that it is the same run")


def _check_size(imported: PhotoInfo, known: PhotoInfo) -> None:
    if imported.width and (imported.width, imported.height) != (known.width, known.height):
        raise FormatError(
            f"{imported.path}: is of a photo of {imported.width} x {imported.height}, the run's has "
            f"{known.width} x {known.height}: import what was drawn on the photo as it was"
        )
