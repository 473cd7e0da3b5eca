import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hrlm.errors import PhotoError
from hrlm.photos import Photo, open_photo
from hrlm.review.tiles import DRAFT_LEVEL, TILE, PhotoCache, Pyramid, decode_draft, level_count


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_levels_are_exact_block_means() -> None:
    pixels = noise(1029, 1301)
    pyramid = Pyramid.of(pixels)
    assert [level.shape[:2] for level in pyramid.levels] == [(1029, 1301), (515, 651), (258, 326)]
    means = pixels[:1028, :1300].reshape(257, 4, 325, 4, 3).mean((1, 3))
    # each halving rounds once
    assert np.abs(pyramid.levels[2][:257, :325] - means).max() <= 1.01


def test_tiles_cover_the_photo_once() -> None:
    pixels = noise(700, 1100)
    pyramid = Pyramid.of(pixels)
    rows = [np.hstack([t for x in range(3) if (t := pyramid.tile(0, x, y)) is not None]) for y in range(2)]
    assert np.array_equal(np.vstack(rows), pixels)
    assert pyramid.tile(0, 3, 0) is None
    assert pyramid.tile(0, 0, -1) is None
    assert pyramid.tile(9, 0, 0) is None


def photo_files(folder: Path, count: int) -> list[Path]:
    files = [folder / f"{i}.jpg" for i in range(count)]
    for file in files:
        file.touch()
    return files


def test_a_photo_is_decoded_once_for_all_who_ask(tmp_path: Path) -> None:
    (file,) = photo_files(tmp_path, 1)
    opened: list[Path] = []
    barrier = threading.Barrier(6)

    def open_photo(path: Path) -> Photo:
        opened.append(path)
        return Photo.from_array(noise(600, 600))

    cache = PhotoCache(open_photo)
    found: list[Pyramid] = []

    def ask() -> None:
        barrier.wait()
        found.append(cache.get(file))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1
    assert len({id(p) for p in found}) == 1
    os.utime(file, ns=(1, 1))
    cache.get(file)
    assert len(opened) == 2


def test_memory_is_bounded_and_errors_are_not_kept(tmp_path: Path) -> None:
    files = photo_files(tmp_path, 4)
    opened: list[Path] = []
    broken = True

    def open_photo(path: Path) -> Photo:
        opened.append(path)
        if path == files[3] and broken:
            raise PhotoError("broken")
        return Photo.from_array(noise(TILE, TILE))

    one = Pyramid.of(noise(TILE, TILE)).nbytes
    cache = PhotoCache(open_photo, budget=2 * one)
    for i in (0, 1, 0, 2, 0):
        cache.get(files[i])
    assert opened == [files[0], files[1], files[2]]
    cache.get(files[1])
    assert opened[-1] == files[1]
    with pytest.raises(PhotoError):
        cache.get(files[3])
    broken = False
    assert cache.get(files[3]).levels


def smooth(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], -1).astype(np.uint8)


@pytest.mark.parametrize("orientation", [1, 6, 8, 3])
def test_a_draft_is_the_third_level_as_a_person_sees_it(tmp_path: Path, orientation: int) -> None:
    file = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(smooth(1501, 2203)).save(file, quality=95, subsampling=0, exif=exif)
    draft = decode_draft(file)
    whole = Pyramid.of(open_photo(file).pixels)
    assert draft is not None
    assert draft.shape == whole.levels[DRAFT_LEVEL].shape
    assert np.abs(draft.astype(int) - whole.levels[DRAFT_LEVEL]).max() <= 6
    assert len(whole.levels) == level_count(whole.levels[0].shape[1], whole.levels[0].shape[0])


def test_only_jpegs_have_drafts(tmp_path: Path) -> None:
    Image.fromarray(smooth(20, 30)).save(tmp_path / "a.png")
    assert decode_draft(tmp_path / "a.png") is None
    Image.fromarray(smooth(200, 300)).save(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
    assert decode_draft(tmp_path / "a.jpg") is None


def test_coarse_tiles_do_not_wait_for_the_whole_photo(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    Image.fromarray(smooth(1600, 4400)).save(file, quality=95)
    decoded = threading.Event()

    def open_slowly(path: Path) -> Photo:
        assert decoded.wait(20)
        return open_photo(path)

    cache = PhotoCache(open_slowly)
    assert cache.draft(file) is not None
    early = cache.tile(file, 3, 1, 0)
    assert early is not None
    assert early.shape == (200, 550 - TILE, 3)
    decoded.set()
    assert cache.tile(file, 0, 0, 0) is not None
    late = cache.tile(file, 3, 1, 0)
    assert late is not None
    assert np.abs(early.astype(int) - late).max() <= 6


@given(st.integers(1, 60_000), st.integers(1, 60_000))
def test_levels_are_counted_as_they_are_made(width: int, height: int) -> None:
    count, side = 1, max(width, height)
    while side > TILE:
        count, side = count + 1, -(-side // 2)
    assert level_count(width, height) == count
