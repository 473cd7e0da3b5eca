from pathlib import Path

import numpy as np
import pytest
import yaml

from hrlm.errors import SchemeError
from hrlm.schemes import Scheme, builtin_schemes, load_scheme, parse_scheme

SMALL = """
name: small
landmarks: [right_eye, left_eye, nose, mouth_right, mouth_left]
mirror: [[0, 1], [3, 4]]
contours: {mouth: {landmarks: [3-4]}, loop: {landmarks: [0, 1, 2], closed: true}}
regions:
  right: {landmarks: [0, 2-3]}
  left: {mirror_of: right}
normaliser: [0, 1]
subsets: {mouth: [3-4]}
"""


@pytest.mark.parametrize("name", builtin_schemes())
def test_built_in_schemes_are_whole(name: str) -> None:
    scheme = load_scheme(name)
    everything = set(range(len(scheme)))
    assert scheme.name == name
    assert [scheme.mirror[m] for m in scheme.mirror] == list(everything), "a mirror image's mirror image is itself"
    assert set().union(*(r.landmarks for r in scheme.regions)) == everything
    a, b = scheme.normaliser
    assert scheme.mirror[a] == b
    for contour in scheme.contours:
        assert len(set(contour.landmarks)) == len(contour.landmarks) > 1


def test_mirror_pairs_of_ibug68_name_the_same_part_of_the_other_side() -> None:
    scheme = load_scheme("ibug68")
    assert len(scheme) == 68
    for i, j in enumerate(scheme.mirror):
        swapped = scheme.landmarks[i].replace("right", "\0").replace("left", "right").replace("\0", "left")
        assert scheme.landmarks[j] == swapped


def test_subsets_of_ibug68() -> None:
    subsets = load_scheme("ibug68").subsets
    assert {name: len(chosen) for name, chosen in subsets.items()} == {
        "inner": 51,
        "jaw": 17,
        "brows": 10,
        "nose": 9,
        "eyes": 12,
        "mouth": 20,
    }
    assert set(subsets["inner"]) | set(subsets["jaw"]) == set(range(68))


def test_a_scheme_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    scheme = load_scheme(path)
    assert len(scheme) == 5
    assert scheme.title == "small"
    assert scheme.mirror == (1, 0, 2, 4, 3)
    assert [(r.landmarks, r.mirrored) for r in scheme.regions] == [((0, 2, 3), False), ((1, 2, 4), True)]
    assert [c.closed for c in scheme.contours] == [False, True]
    assert scheme.subsets == {"mouth": (3, 4)}


def test_the_source_rebuilds_the_scheme() -> None:
    scheme = load_scheme("ibug68")
    assert parse_scheme(scheme.source) == scheme


def test_inter_ocular_is_the_normalisers_distance() -> None:
    scheme: Scheme = parse_scheme(SMALL)
    points = np.zeros((2, 3, 5, 2))
    points[1, 2, 0] = (3, 4)
    distance = scheme.inter_ocular(points)
    assert distance.shape == (2, 3)
    assert distance[1, 2] == 5
    assert distance.sum() == 5


FAULTS: list[tuple[dict[str, object], str]] = [
    ({"name": None}, "lacks 'name'"),
    ({"landmarks": []}, "lacks 'landmarks'"),
    ({"landmarks": "five"}, "landmarks must be a list"),
    ({"landmarks": ["a", "b", "c", "d", "a"]}, "'a' twice"),
    ({"mirror": [[0, 1], [1, 2]]}, "landmark 1 stands in two pairs"),
    ({"mirror": [[0, 1, 2]]}, "not a pair"),
    ({"mirror": [[0, 5]]}, "no landmark 5"),
    ({"normaliser": [1, 1]}, "two different landmarks"),
    ({"normaliser": [0, 1, 2]}, "two different landmarks"),
    ({"regions": {"a": {"landmarks": ["0-3"]}}}, "landmark 4 is in no region"),
    ({"regions": {"a": {"mirror_of": "b"}, "b": {"landmarks": ["0-4"]}}}, "not a region above it"),
    ({"regions": {"a": {"landmarks": ["0-9"]}}}, "region a: there is no landmark 5"),
    ({"regions": {"a": {"landmarks": []}}}, "region a: is empty"),
    ({"regions": ["0-4"]}, "regions must be a mapping"),
    ({"subsets": {"mouth": ["three"]}}, "subset mouth: 'three'"),
    ({"contours": {"lips": {"landmarks": [7]}}}, "contour lips"),
    ({"contours": {"lips": {"landmarks": ["2-0", 1]}}}, "contour lips: '2-0' runs backwards"),
    ({"contours": {"lips": {"landmarks": ["0-99999999999"]}}}, "no landmark 5"),
    ({"contours": {"lips": {"landmarks": [0, 1], "closed": "no"}}}, "contour lips: closed is 'no'"),
    ({"subsets": [0, 1]}, "subsets must be a mapping"),
    ({"mirror": 5}, "mirror must be a list"),
    ({"mirror": [5]}, "mirror must be a list"),
    ({"regions": {"r": {"landmarks": ["0-4"]}, "l": {"mirror_of": ["r"]}}}, "mirror_of names ['r']"),
    ({"regions": {"r": {"landmarks": ["0-4", 2, 2]}}}, "region r: lists landmark 2 twice"),
    ({"shape": [[0, 0], [1, 0], [0, 1], [1, 1], [float("nan"), 0]]}, "shape has places that are no numbers"),
    ({"shape": [[1, 2]] * 5}, "or all alike"),
]


@pytest.mark.parametrize(("change", "said"), FAULTS)
def test_a_contradiction_is_named_with_its_file(tmp_path: Path, change: dict[str, object], said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(SMALL) | change, sort_keys=False))
    with pytest.raises(SchemeError) as caught:
        load_scheme(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["landmarks: [", "just words", "- a\n- b", "", "name: 2020-13-45", "? [a]\n: b", "[" * 5000]
)
def test_what_is_no_scheme_at_all_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(SchemeError) as caught:
        parse_scheme(text)
    assert "\n" not in str(caught.value)


def test_unknown_names_and_missing_files_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(SchemeError, match=r"use one of .*ibug68"):
        load_scheme("ibug69")
    with pytest.raises(SchemeError, match=r"absent\.yaml: cannot be read"):
        load_scheme(tmp_path / "absent.yaml")


def test_other_encodings_are_named_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes("name: Gesicht für alle".encode("latin-1"))
    with pytest.raises(SchemeError, match=r"mine\.yaml: is not text in UTF-8: save"):
        load_scheme(tmp_path / "mine.yaml")


def test_regions_may_be_named_by_numbers() -> None:
    scheme = parse_scheme(SMALL.replace("right: {", "1: {").replace("left: {mirror_of: right}", "2: {mirror_of: 1}"))
    assert [(r.name, r.mirrored) for r in scheme.regions] == [("1", False), ("2", True)]
