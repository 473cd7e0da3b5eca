"""Reduced photos and their truth kept for other detectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath

import numpy as np

from hrlm.evaluation.data import Sample, by_name, name_of_face
from hrlm.formats import pts
from hrlm.formats.atomic import write_whole
from hrlm.photos import Photo
from hrlm.photos.written import png_bytes


class Keeper:
    """Writes reduced photos as `WIDTH/NAME.png` with `NAME.pts`, and `NAME.face2` … for a photo's further faces.

    Photos that differ in their suffix alone keep it: `NAME.jpg.png`, `NAME.face2.jpg.png`. Nothing is ever written
    outside of the folder, and nothing of one photo over another's.

    Args:
        folder: where to.
        samples: all that will be kept.

    Attributes:
        lacking: pictures without a truth file, since some landmark of theirs has no truth.

    Raises:
        DataError: two photos have one name below their folders.
    """

    def __init__(self, folder: Path, samples: Sequence[Sample]) -> None:
        self.lacking = 0
        self._folder = folder
        names = by_name(samples, "would be kept as one")
        stems = Counter(Path(name).with_suffix("") for name in names)
        self._alike = {name for name in names if stems[Path(name).with_suffix("")] > 1}
        self._owners = {self._place(sample, 0): name for name, sample in names.items()}

    def __call__(self, width: int, sample: Sample, number: int, photo: Photo, points: np.ndarray) -> str | None:
        """Keep face `number` (from 0); a message where that cannot be.

        Raises:
            WriteError: the folder cannot be written to.
        """
        name = sample.name.as_posix()
        place = self._place(sample, number)
        owner = self._owners.setdefault(place, name)
        if owner != name:
            return f"{sample.photo}: its face {number + 1} is not kept, for {owner} has that name: rename one"
        path = self._folder / str(width) / place
        write_whole(path.with_name(f"{path.name}.png"), png_bytes(photo.pixels))
        if np.isfinite(points).all():
            pts.write(path.with_name(f"{path.name}.pts"), points)
        else:
            self.lacking += 1
        return None

    def _place(self, sample: Sample, number: int) -> PurePath:
        place = name_of_face(sample.name, number)
        if sample.name.as_posix() in self._alike:
            return place
        return place.with_name(place.name.removesuffix(sample.name.suffix))
