"""Which photos a command line means, and where under the output folder each one's results go."""

from __future__ import annotations

import glob
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from hrlm.formats import corrections
from hrlm.formats.catalogue import FORMATS
from hrlm.photos.folders import is_photo, is_raw, walk, without_raw

# files in JSON that hrlm writes beside results: for a whole run, and for a photo by the end of its name
_OF_A_RUN = {f.suffix for f in FORMATS.values() if f.suffix.endswith(".json") and not f.per_photo}
_OF_A_PHOTO = (*(f.suffix for f in FORMATS.values() if f.suffix.endswith(".json") and f.per_photo), corrections.SUFFIX)
_COUNTED = re.compile(r"(.+)_\d+", re.DOTALL)


@dataclass(frozen=True)
class Source:
    """A photo to work on.

    Args:
        file: where it is opened.
        name: its path as results state it: relative to the folder given, or as the user wrote it; `/` between parts.
        result: path of its results below the output folder, without the format's suffix.
        numbered: the same for further files of the photo, which append `_2`, `_3`, …
    """

    file: Path
    name: str
    result: PurePath
    numbered: PurePath


@dataclass(frozen=True)
class Problem:
    """Something that was asked for and cannot be had; `reason` is one line with the cure."""

    name: str
    reason: str


@dataclass
class Found:
    """What discovery found, in a stable order; `paired` raw files were left out for the photos beside them."""

    sources: list[Source] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    paired: int = 0


@dataclass(frozen=True)
class _Item:
    file: Path
    name: str
    absolute: Path


def read_list(data: bytes, null_separated: bool = False) -> list[str]:
    """Paths of a list, one a line or separated by NUL; names that are not valid text keep their bytes."""
    parts = data.split(b"\0") if null_separated else (line.rstrip(b"\r") for line in data.split(b"\n"))
    return [os.fsdecode(part) for part in parts if part]


def find_photos(
    paths: Sequence[str], suffixes: Iterable[str], exclude: Path | None = None, *, globs: bool = True
) -> Found:
    """Find the photos that `paths` mean.

    A file is taken whatever its suffix; a folder gives the photos below it, sorted by path. Left out there are hidden
    files, pictures that hrlm made, and camera raw files beside a photo of the same name. A name that does not exist is
    tried as a pattern (`**` for any depth). Each photo comes once.

    Args:
        paths: files, folders and patterns.
        suffixes: of photos in folders, lower case with the dot.
        exclude: the output folder; below a given folder it is not entered.
        globs: whether patterns are expanded.
    """
    found = Found()
    wanted = frozenset(suffixes)
    barred = os.path.realpath(exclude) if exclude is not None else None
    items: dict[Path, _Item] = {}
    tops: list[Path] = []
    for path in paths:
        matches = _matches(path, globs)
        if not matches:
            what = "the pattern matches nothing" if globs and glob.has_magic(path) else "no such file or folder"
            found.problems.append(Problem(path, f"{what}: check the path"))
        for match in map(Path, matches):
            if match.is_dir():
                tops.append(absolute(match))
                # one folder is what results mirror: inside it, photos go by their place in it
                alone = matches == [path] and len(paths) == 1
                files = _walk(match, wanted, barred, found)
                new = [(file, file.relative_to(match) if alone else file) for file in files]
            elif matches == [path] or is_photo(match, wanted):
                tops.append(absolute(match).parent)
                new = [(match, match)]
            else:
                # a pattern is a net cast wide: what it catches besides photos is not meant
                continue
            for file, name in new:
                there = absolute(file)
                items.setdefault(there, _Item(file, name.as_posix(), there))
    found.sources = _with_results(list(items.values()), common_root(tops))
    return found


def _matches(path: str, globs: bool) -> list[str]:
    if os.path.lexists(path):
        return [path]
    # not Path.glob, which takes no absolute patterns
    return sorted(glob.glob(path, recursive=True)) if globs and glob.has_magic(path) else []  # noqa: PTH207


def absolute(path: Path) -> Path:
    """Without `..`, and with links as they are: two links to one picture are two photos."""
    return Path(os.path.normpath(path.absolute()))


def _walk(top: Path, suffixes: frozenset[str], barred: str | None, found: Found) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        found.problems.append(
            Problem(str(error.filename), f"cannot be listed ({error.strerror}): check the folder's rights")
        )

    for files in walk(top, barred, unreadable):
        photos = [file for file in files if is_photo(file, suffixes)]
        kept = without_raw(photos)
        found.paired += len(photos) - len(kept)
        yield from kept


def is_raw_of(raw: Path, photo: Path) -> bool:
    """Whether a file is the camera raw file of the shot that `photo` shows: of its folder and name."""
    return (
        is_raw(raw)
        and not is_raw(photo)
        and absolute(raw).parent == absolute(photo).parent
        and raw.stem.casefold() == photo.stem.casefold()
    )


def common_root(folders: Sequence[Path]) -> str | None:
    """The deepest folder that holds all of `folders`; None where they share none."""
    try:
        return os.path.commonpath(folders)
    except ValueError:
        return None


def mirrored(file: Path, root: str | None) -> PurePath:
    """An absolute path as seen from `root`; without its drive or first slash where there is none."""
    return PurePath(os.path.relpath(file, root)) if root else PurePath(*file.parts[1:])


def _with_results(items: Sequence[_Item], root: str | None) -> list[Source]:
    photos = [mirrored(i.absolute, root) for i in items]
    results = result_names(photos)
    made = [Source(i.file, i.name, result, result) for i, result in zip(items, results, strict=True)]
    return numbered(made)


def numbered(sources: Sequence[Source]) -> list[Source]:
    """The photos with the right `numbered` for their results' names.

    With photos a.jpg and a_2.jpg the second face of the first must not go where the second photo's first does.
    """
    counted = {match[1] for s in sources if (match := _COUNTED.fullmatch(_folded(s.result)))}
    return [
        replace(s, numbered=s.result.with_name(s.file.name) if _folded(s.result) in counted else s.result)
        for s in sources
    ]


def result_names(photos: Sequence[PurePath]) -> list[PurePath]:
    """Paths of results, without suffix, for photos' mirrored paths: no two alike, not even where case is ignored.

    A photo gives up its extension unless another photo of the folder shares its stem, or its result would have the name
    of a file that hrlm writes for all photos or for another one: `coco.json`, `a.labelme.json`, `a.corrected.json`.
    """
    whole = {i for i, photo in enumerate(photos) if _taken(photo)}
    while True:
        names = [p if i in whole else p.with_suffix("") for i, p in enumerate(photos)]
        alike: defaultdict[str, list[int]] = defaultdict(list)
        for i, name in enumerate(names):
            alike[_folded(name)].append(i)
        # keeping extensions may make a new clash, with a photo named a.jpg.png
        more = {i for group in alike.values() if len(group) > 1 for i in group} - whole
        if not more:
            return names
        whole |= more


def _taken(photo: PurePath) -> bool:
    name = f"{photo.stem}.json".casefold()
    return name.endswith(_OF_A_PHOTO) or (len(photo.parts) == 1 and name in _OF_A_RUN)


def _folded(path: PurePath) -> str:
    return path.as_posix().casefold()
