"""A landmark that is there twice is of two faces: that face is told, the others are read."""

import json
from pathlib import Path

import numpy as np
import pytest
from drawn import SCHEME

from hrlm.schemes import parse_scheme
from hrlm.training.annotated import WRONG_SCHEME, PhotoLabels, read_dlib, read_labelme

MARKS = parse_scheme(SCHEME)
POINTS = np.array([[40.0, 70.0], [100.0, 70.0], [70.0, 100.0], [70.0, 40.0]])


def shapes(points: np.ndarray, group: int | None, names: tuple[str, ...] = MARKS.landmarks) -> list[dict]:
    return [
        {"label": name, "points": [point], "shape_type": "point", "group_id": group}
        for name, point in zip(names, (points + 0.5).tolist(), strict=True)
    ]


def read(path: Path, *faces: list[dict]) -> tuple[PhotoLabels, list[tuple[str, str]]]:
    path.write_text(json.dumps({"imagePath": "a.png", "shapes": [s for face in faces for s in face]}))
    told: list[tuple[str, str]] = []
    (labels,) = read_labelme(path, MARKS, lambda kind, message: told.append((kind, message)))
    return labels, told


@pytest.mark.parametrize("names", [MARKS.landmarks, ("0", "1", "2", "3")])
def test_two_faces_of_labelme_without_a_group_are_told(tmp_path: Path, names: tuple[str, ...]) -> None:
    labels, told = read(tmp_path / "a.json", shapes(POINTS, None), shapes(POINTS + 50, None, names))
    assert labels.faces == ()
    ((kind, message),) = told
    assert kind == WRONG_SCHEME
    assert f"a.json: has {names[0]} twice (give each face a group id)" in message


def test_faces_with_groups_of_their_own_are_read(tmp_path: Path) -> None:
    labels, told = read(
        tmp_path / "a.json", shapes(POINTS, 1), shapes(POINTS + 50, 2), shapes(POINTS + 7, None), shapes(POINTS, None)
    )
    assert [f.points[0, 0] for f in labels.faces] == [40, 90]
    assert len(told) == 1
    assert "face 3: has right twice" in told[0][1]


def test_two_faces_in_a_box_of_dlib_are_told_and_the_other_box_is_read(tmp_path: Path) -> None:
    parts = "".join(f'<part name="{i}" x="{x:.0f}" y="{y:.0f}"/>' for i, (x, y) in enumerate(POINTS))
    box = '<box top="30" left="30" width="80" height="80">{}</box>'
    images = "".join(
        f'<image file="{n}.png">{b}</image>' for n, b in (("a", box.format(parts * 2) + box.format(parts)),)
    )
    (tmp_path / "d.xml").write_text(f"<dataset><images>{images}</images></dataset>")
    told: list[str] = []
    (labels,) = read_dlib(tmp_path / "d.xml", MARKS, lambda kind, message: told.append(message))
    assert [f.points.tolist() for f in labels.faces] == [POINTS.tolist()]
    assert len(told) == 1
    assert "a.png: face 1: has the part 0 twice (give each face a box of its own)" in told[0]
