from pathlib import Path, PurePath

import numpy as np
import pytest

pytest.importorskip("PIL")

from hrlm.evaluation.data import Sample, name_of_face
from hrlm.evaluation.keeping import Keeper
from hrlm.photos import Photo

PHOTO = Photo.from_array(np.zeros((4, 4, 3), np.uint8))
POINTS = np.ones((68, 2))


def sample(name: str) -> Sample:
    return Sample(Path("data") / name, PurePath(name), lambda: ([], []))


def kept(folder: Path, *names: str) -> set[str]:
    """What is kept of two faces of each photo."""
    samples = [sample(n) for n in names]
    keep = Keeper(folder, samples)
    for one in samples:
        for number in range(2):
            assert keep(64, one, number, PHOTO, POINTS) is None
    return {p.relative_to(folder / "64").as_posix() for p in folder.rglob("*.*")}


def test_further_faces_have_names_that_no_face_of_the_first_photo_has(tmp_path: Path) -> None:
    """`a_2.pts` is what another detector calls the second face that it finds in `a.png`."""
    assert kept(tmp_path, "d/a.jpg", "b") == {
        *("d/a.png", "d/a.pts", "d/a.face2.png", "d/a.face2.pts"),
        *("b.png", "b.pts", "b.face2.png", "b.face2.pts"),
    }


def test_photos_that_differ_in_their_suffix_keep_it(tmp_path: Path) -> None:
    assert {n for n in kept(tmp_path, "a.jpg", "a.webp") if n.endswith(".png")} == {
        *("a.jpg.png", "a.face2.jpg.png", "a.webp.png", "a.face2.webp.png"),
    }


def test_nothing_is_kept_over_another_photo(tmp_path: Path) -> None:
    samples = [sample("a.jpg"), sample("a.face2.jpg")]
    keep = Keeper(tmp_path, samples)
    told = keep(64, samples[0], 1, PHOTO, POINTS)
    assert told is not None
    assert "a.face2.jpg has that name" in told
    assert not list(tmp_path.iterdir())


def test_a_face_has_a_name_of_its_own() -> None:
    assert [name_of_face(PurePath("d/a.jpg"), k).as_posix() for k in (0, 1, 2)] == [
        *("d/a.jpg", "d/a.face2.jpg", "d/a.face3.jpg"),
    ]
