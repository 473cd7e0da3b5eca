import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrlm.anatomy import face_lines
from hrlm.errors import HrlmError
from hrlm.formats import pts
from hrlm.render.masks import draw_mask, fill, region_names
from hrlm.results import Face
from hrlm.schemes import load_scheme, parse_scheme

HEADS = Path(__file__).parents[2] / "examples" / "heads"
SCHEME = load_scheme("ibug68")
DENSE = load_scheme("portrait")


def area(mask: np.ndarray) -> float:
    return float(mask.sum(dtype=float)) / 255


def shoelace(points: np.ndarray) -> float:
    x, y = points.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def as_face(points: np.ndarray) -> Face:
    return Face(points, np.ones(len(points)), (0.0, 0.0, 1.0, 1.0), 1.0)


def true_points(head: Path) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
    data = json.loads(head.read_text())
    size = data["photo"]["width"], data["photo"]["height"]
    return (
        size,
        pts.read(head.with_name(head.name.replace(".dense.json", ".pts"))),
        np.array(data["dense"]["landmarks"]),
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(2, 58), st.floats(2, 38)), min_size=3, max_size=3, unique=True))
def test_areas_of_triangles(corners: list[tuple[float, float]]) -> None:
    mask = np.zeros((40, 60), np.uint8)
    fill(mask, np.array(corners))
    assert area(mask) == pytest.approx(shoelace(np.array(corners)), abs=1.5)


def test_edges_are_anti_aliased_and_centred() -> None:
    mask = np.zeros((10, 10), np.uint8)
    fill(mask, np.array([[2.25, 2.5], [6.5, 2.5], [6.5, 7.5], [2.25, 7.5]]))
    # pixel 2 covers 1.5 … 2.5: a quarter of it lies inside
    assert mask[4].tolist() == [0, 0, 64, 255, 255, 255, 255, 0, 0, 0]
    assert mask[:, 4].tolist() == [0, 0, 0, 255, 255, 255, 255, 255, 0, 0]


def test_a_disc_beyond_the_picture_is_cut_off() -> None:
    turn = np.linspace(0, 2 * np.pi, 400)
    disc = 30 * np.stack([np.cos(turn), np.sin(turn)], 1) - 0.5
    mask = np.zeros((50, 60), np.uint8)
    fill(mask, disc)
    assert area(mask) == pytest.approx(np.pi * 30**2 / 4, rel=0.002)
    fill(mask, disc + 1e7)
    assert area(mask) == pytest.approx(np.pi * 30**2 / 4, rel=0.002)


def test_adding_cutting_and_keeping() -> None:
    square = np.array([[1.5, 1.5], [7.5, 1.5], [7.5, 7.5], [1.5, 7.5]])
    mask = np.zeros((12, 12), np.uint8)
    fill(mask, square)
    fill(mask, square + 3, "cut")
    assert area(mask) == 36 - 9
    fill(mask, square - 3, "keep")
    assert area(mask) == 9


@pytest.mark.parametrize("head", sorted(HEADS.glob("*.dense.json")), ids=lambda p: p.name[:14])
def test_sparse_masks_cover_the_rendered_regions(head: Path) -> None:
    size, sparse, dense = true_points(head)
    lines = face_lines(DENSE)
    for region, upper, lower in (
        ("eye_right", "lid_upper_right", "lid_lower_right"),
        ("eye_left", "lid_upper_left", "lid_lower_left"),
        ("mouth", "lip_upper_outer", "lip_lower_outer"),
    ):
        true = np.concatenate([dense[list(lines[upper])], dense[list(lines[lower])][::-1]])
        whole = np.zeros(size[::-1], np.uint8)
        fill(whole, true)
        mask = draw_mask(size, [as_face(sparse)], SCHEME, region)
        shared = area(np.minimum(mask, whole)) / area(np.maximum(mask, whole))
        # a closed eye is a slit that six points cannot follow
        if shoelace(true) > 0.008 * float(SCHEME.inter_ocular(sparse)) ** 2:
            assert area(whole) == pytest.approx(shoelace(true), rel=0.001)
            assert shared > (0.93 if region == "mouth" else 0.82), region


def test_regions_fit_together() -> None:
    size, sparse, dense = true_points(HEADS / "head-2026-0007.dense.json")
    masks = {name: draw_mask(size, [as_face(sparse)], SCHEME, name) for name in region_names(SCHEME)}
    assert set(masks) == {
        *("skin", "eye_right", "eye_left", "brow_right", "brow_left", "nose"),
        *("mouth", "lips", "lip_upper", "lip_lower", "mouth_opening"),
    }
    assert area(masks["lips"]) + area(masks["mouth_opening"]) == pytest.approx(area(masks["mouth"]), rel=0.01)
    assert area(masks["lip_upper"]) + area(masks["lip_lower"]) == pytest.approx(area(masks["lips"]), rel=0.05)
    for name in ("eye_right", "eye_left", "brow_right", "mouth"):
        assert not np.minimum(masks["skin"], masks[name]).max() > 140, "shared edges only"
    nose = np.round(sparse[30]).astype(int)
    assert masks["nose"][nose[1], nose[0]] == masks["skin"][nose[1], nose[0]] == 255

    fine = draw_mask(size, [as_face(dense)], DENSE, "iris_right")
    ring = dense[list(face_lines(DENSE)["limbus_right"])]
    assert 0.4 * shoelace(ring) < area(fine) < shoelace(ring), "the lids hide a part of the iris"
    lids = draw_mask(size, [as_face(dense)], DENSE, "eye_right")
    assert (fine <= lids).all()


def test_all_faces_share_a_mask() -> None:
    size, sparse, _ = true_points(HEADS / "head-2026-0022.dense.json")
    one = draw_mask(size, [as_face(sparse / 4)], SCHEME, "mouth")
    two = draw_mask(size, [as_face(sparse / 4), as_face(sparse / 4 + (size[0] / 2, 0))], SCHEME, "mouth")
    assert area(two) == pytest.approx(2 * area(one), rel=0.01)


@pytest.mark.parametrize("name", ["ear", "face", "opening", "upper", "brow_left"])
def test_a_scheme_of_ones_own_gets_what_it_draws_closed(name: str) -> None:
    """Whatever it calls it: that name may mean a part of the face in a scheme that has the others too."""
    own = parse_scheme(
        "name: cat\nlandmarks: [a, b, c, d, e]\nregions: {all: {landmarks: [0-4]}}\nnormaliser: [0, 1]\n"
        f"contours: {{{name}: {{landmarks: [0-3], closed: true}}, whisker: {{landmarks: [3, 4]}}}}"
    )
    assert region_names(own) == [name]
    ring = np.array([[10.0, 10], [30, 10], [30, 30], [10, 30], [50, 50]])
    mask = draw_mask((60, 60), [as_face(ring)], own, name)
    assert 400 < area(mask) < np.pi / 4 * 20**2 * 2
    with pytest.raises(HrlmError, match="no region nose"):
        draw_mask((60, 60), [as_face(ring)], own, "nose")
    with pytest.raises(HrlmError, match="5 landmarks"):
        draw_mask((60, 60), [as_face(ring)], SCHEME, "nose")
