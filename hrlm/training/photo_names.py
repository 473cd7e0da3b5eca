"""Which photo of a source a name means: one that its labels state, or one of a list."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from hrlm.errors import DataError
from hrlm.photos import PHOTO_SUFFIXES
from hrlm.photos.folders import files_in, photos_of


class StatedPhotos:
    """The photos that labels may mean: by path, else by a name that only one photo of the folder has.

    Args:
        top: the folder of the photos, where stated paths start.
        beside_first: whether they rather start at the labels' file, as where each photo has one of its own.
        certain: whether it is known that they may start at `top`; else it is a guess, as by name.
    """

    def __init__(self, top: Path, beside_first: bool = False, certain: bool = True) -> None:
        self.top = top
        self.every = photos_of(files_in(top))
        self._beside_first, self._certain = beside_first, certain
        self._by_name: defaultdict[str, list[Path]] = defaultdict(list)
        for photo in self.every:
            self._by_name[photo.name].append(photo)
            self._by_name[photo.stem].append(photo)

    def find(self, stated: Sequence[tuple[Path, str]]) -> list[Path | None]:
        """The photos that stated paths mean, each with the folder of its labels' file; None for those that are missing.

        What is only guessed counts if no other path means that photo: of `train/1.jpg` and `val/1.jpg`, one of which
        is there, the other one is missing.
        """
        sure: dict[tuple[Path, tuple[str, ...]], Path] = {}
        guessed: dict[tuple[Path, tuple[str, ...]], Path] = {}
        for folder, name in dict.fromkeys(stated):
            if place := self._at(folder, name):
                sure[_key(folder, name)] = place
            elif place := self._guess(name):
                guessed[_key(folder, name)] = place
        wanted = Counter(p.resolve() for p in (*sure.values(), *guessed.values()))
        found = {key: place for key, place in guessed.items() if wanted[place.resolve()] == 1} | sure
        return [found.get(_key(*one)) for one in stated]

    def _at(self, folder: Path, name: str) -> Path | None:
        tops = [self.top] if self._certain else []
        tops = [folder, *tops] if self._beside_first else [*tops, folder]
        # tools on Windows write its separators
        ways = (top.joinpath(*parts) for top in tops for parts in ((name,), PureWindowsPath(name).parts))
        return next((place for place in ways if place.is_file()), None)

    def _guess(self, name: str) -> Path | None:
        if (place := self.top / name).is_file():
            return place
        named = self._by_name.get(PureWindowsPath(name).name, [])
        return named[0] if len(named) == 1 else None


def _key(folder: Path, name: str) -> tuple[Path, tuple[str, ...]]:
    # ./a.jpg is a.jpg
    return folder, PureWindowsPath(name).parts


def listed(file: Path, photos: Sequence[tuple[Path, str]], tops: Sequence[Path], where: Path) -> dict[Path, Path]:
    """The photos that a list names, by their real paths.

    A name is a photo's path as the labels state it or below one of `tops`, with or without ending; else it stands for
    every photo that is called so. Lines that begin with `#` are comments.

    Args:
        file: a text file with a name a line.
        photos: each with the path that the labels state, empty where they state none.
        where: the source, for messages.

    Raises:
        DataError: unreadable, empty, or with a name that no photo has.
    """
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as e:
        raise DataError(f"{file}: cannot be read ({e}): give a text file of photo names, one a line") from e
    paths: defaultdict[str, dict[Path, Path]] = defaultdict(dict)
    names: defaultdict[str, dict[Path, Path]] = defaultdict(dict)
    for photo, stated in photos:
        real = photo.resolve()
        below = [photo.relative_to(top).as_posix() for top in tops if photo.is_relative_to(top)]
        for path in (*below, *([_plain(stated)] if stated else [])):
            for name in (path, _unended(path)):
                paths[name].setdefault(real, photo)
        for name in (photo.name, photo.stem):
            names[name].setdefault(real, photo)
    wanted = [line for line in lines if line and not line.startswith("#")]
    meant = [paths.get(_plain(name)) or names.get(_plain(name)) for name in wanted]
    if not all(meant):
        # a link to their folder may have been found first
        linked: defaultdict[str, dict[Path, Path]] = defaultdict(dict)
        for photo, _ in photos:
            real = photo.resolve()
            for name in (real.as_posix(), _unended(real.as_posix())):
                linked[name].setdefault(real, photo)
        places = [[(top / _plain(name)).resolve().as_posix() for top in tops] for name in wanted]
        there = [next((linked[place] for place in own if place in linked), None) for own in places]
        meant = [own or other for own, other in zip(meant, there, strict=True)]
    lost = [name for name, found in zip(wanted, meant, strict=True) if not found]
    if lost or not wanted:
        what = f"names {lost[0]}{f' and {len(lost) - 1} more' if len(lost) > 1 else ''}" if lost else "names no photo"
        raise DataError(
            f"{file}: {what}, which {where} does not hold: mend the list (comments have lines of their own)"
        )
    return {real: photo for found in meant if found for real, photo in found.items()}


def _plain(path: str) -> str:
    """A path with `/` between its parts, whatever tool wrote it."""
    return PureWindowsPath(path).as_posix()


def _unended(path: str) -> str:
    pure = PurePosixPath(path)
    return pure.with_suffix("").as_posix() if pure.suffix.lower() in PHOTO_SUFFIXES else path
