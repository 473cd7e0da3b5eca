"""YuNet in ONNX Runtime tells what OpenCV tells of the same pictures."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from hrlm import yunet_graph
from hrlm.finding import FaceFinder
from hrlm.photos import Photo, open_photo
from hrlm.yunet import YuNet
from hrlm.yunet_graph import GraphYuNet, as_fast

HEADS = sorted((Path(__file__).parents[1] / "examples" / "heads").glob("*.jpg"))


@pytest.fixture(scope="module")
def fast() -> YuNet:
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package)
    fast = as_fast(YuNet())
    assert isinstance(fast, GraphYuNet)
    return fast


@pytest.fixture(scope="module")
def photos(astronaut: Path) -> list[Photo]:
    photos = [open_photo(file) for file in (astronaut, *HEADS[:3])]
    # a picture of four faces in four sizes and turns
    four = np.zeros((700, 700, 3), np.uint8)
    for i, photo in enumerate(photos):
        small = np.rot90(photo.reduced(200 + 40 * i)[0], i)
        y, x = 350 * (i // 2), 350 * (i % 2)
        four[y : y + small.shape[0], x : x + small.shape[1]] = small
    return [*photos, Photo.from_array(four)]


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.7])
def test_it_tells_the_same_of_pictures_of_any_size(fast: YuNet, photos: list[Photo], threshold: float) -> None:
    opencv = YuNet()
    seen = 0
    for photo in photos:
        for side in (1280, 640, 333, 160, 97):
            pixels = photo.reduced(side)[0]
            for picture in (pixels, np.ascontiguousarray(pixels[:, :51])):
                theirs, ours = (each.rows(picture, threshold) for each in (opencv, fast))
                assert ours.shape == theirs.shape
                assert ours.dtype == theirs.dtype
                assert np.allclose(ours[:, :14], theirs[:, :14], rtol=0, atol=0.01)
                assert np.allclose(ours[:, 14], theirs[:, 14], rtol=0, atol=1e-4)
                seen += len(ours)
    assert seen > 10


def test_a_finder_of_graphs_finds_the_same_faces(fast: YuNet, photos: list[Photo]) -> None:
    finder = FaceFinder(0.75)
    twin = finder.of_graphs(1)
    assert isinstance(twin._yunet, GraphYuNet)
    assert twin.threshold == 0.75
    for photo in photos:
        theirs, ours = finder.find(photo), twin.find(photo)
        assert len(ours) == len(theirs) > 0
        for a, b in zip(ours, theirs, strict=True):
            assert np.allclose(a.box, b.box, rtol=0, atol=1e-5 * a.size)
            assert np.allclose(a.points, b.points, rtol=0, atol=1e-5 * a.size)


def test_threads_may_share_it(fast: YuNet, photos: list[Photo]) -> None:
    pictures = [photo.reduced(side)[0] for photo in photos for side in (320, 160)]
    alone = [fast.rows(picture, 0.3) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda picture: fast.rows(picture, 0.3), pictures))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_its_packages_it_is_opencvs(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    yunet = YuNet()
    assert as_fast(yunet) is yunet


def test_one_that_tells_something_else_is_not_taken(fast: YuNet, monkeypatch: pytest.MonkeyPatch) -> None:
    yunet = YuNet()
    monkeypatch.setattr(yunet_graph, "_STRIDES", (8, 16, 64))
    assert as_fast(yunet) is yunet
    monkeypatch.undo()
    rows = yunet_graph._grid_rows
    monkeypatch.setattr(yunet_graph, "_grid_rows", lambda *given: rows(*given) * ([1] * 14 + [0.99]))
    assert as_fast(yunet) is yunet
