import json as plain_json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hrlm.errors import FormatError
from hrlm.formats import json
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult

COORDINATE = st.floats(-1e5, 1e5)


@st.composite
def results(draw: st.DrawFn) -> PhotoResult:
    count = draw(st.integers(1, 5))
    row = st.lists(COORDINATE, min_size=count, max_size=count)
    faces = [
        Face(
            np.column_stack([draw(row), draw(row)]),
            np.array(draw(st.lists(st.floats(0, 100) | st.just(float("nan")), min_size=count, max_size=count))),
            tuple(draw(st.tuples(COORDINATE, COORDINATE, st.floats(1, 1e4), st.floats(1, 1e4)))),
            draw(st.floats(0, 1)),
            tuple(draw(st.lists(st.text(), max_size=2))),
        )
        for _ in range(draw(st.integers(0, 3)))
    ]
    # surrogates too: a file name need not be valid text
    name = draw(st.text(st.characters(exclude_categories=()), min_size=1))
    photo = PhotoInfo(name, draw(st.integers(1, 10**5)), draw(st.integers(1, 10**5)), draw(st.integers(1, 8)))
    return PhotoResult(photo, ModelInfo("a", "b", "c"), tuple(faces))


# building the table of all characters takes a second on the first draw
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(results())
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, result: PhotoResult) -> None:
    path = tmp_path_factory.getbasetemp() / "round.json"
    json.write(path, result)
    again = json.read(path)
    assert json.looks_like_result(path)
    assert (again.photo, again.model) == (result.photo, result.model)
    assert len(again.faces) == len(result.faces)
    for a, b in zip(again.faces, result.faces, strict=True):
        np.testing.assert_allclose(a.landmarks, b.landmarks, atol=5.01e-4)
        np.testing.assert_allclose(a.deviation, b.deviation, atol=5.01e-4)
        np.testing.assert_allclose(a.box, b.box, atol=5.01e-4)
        assert a.score == pytest.approx(b.score, abs=1e-4)
        assert a.flags == b.flags


def example() -> dict:
    photo = PhotoInfo("sub/IMG_1.jpg", 6000, 4000)
    face = Face(np.array([[1.23456, 2.0], [3.0, -0.00001]]), np.array([0.5, 0.25]), (0.0, 0.0, 4.0, 4.0), 0.987654)
    return plain_json.loads(json.dumps(PhotoResult(photo, ModelInfo("ibug68", "ibug68", "1"), (face,))))


def test_the_documented_shape() -> None:
    assert example() == {
        "schema": "hrlm.landmarks/1",
        "photo": {"path": "sub/IMG_1.jpg", "width": 6000, "height": 4000, "orientation": 1},
        "model": {"name": "ibug68", "scheme": "ibug68", "version": "1"},
        "faces": [
            {
                "box": [0.0, 0.0, 4.0, 4.0],
                "score": 0.9877,
                "landmarks": [[1.235, 2.0], [3.0, 0.0]],
                "deviation": [0.5, 0.25],
                "flags": [],
            }
        ],
    }


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        (["schema"], "other/1", "not a result of hrlm"),
        (["schema"], "hrlm.landmarks/9", "update hrlm"),
        (["photo"], [], "'photo' must be an object"),
        (["photo", "width"], "6000", "'width' must be a whole number"),
        (["photo", "width"], True, "'width' must be a whole number"),
        (["photo", "height"], 0, "at least 1"),
        (["photo", "orientation"], 9, "1 to 8"),
        (["model", "scheme"], None, "'scheme' must be a text"),
        (["faces"], {}, "'faces' must be a list"),
        (["faces", 0], 3, r"faces\[0\] must be an object"),
        (["faces", 0, "box"], [1, 2, 3], r"faces\[0\]"),
        (["faces", 0, "score"], "high", "'score' must be a number"),
        (["faces", 0, "landmarks"], [[1, 2], [3]], "landmarks must be numbers"),
        (["faces", 0, "landmarks"], [["1", "2"], ["3", "4"]], "landmarks must be numbers"),
        (["faces", 0, "landmarks"], [[1, 2, 3], [4, 5, 6]], "landmarks must be"),
        (["faces", 0, "landmarks"], [], "landmarks must be"),
        (["faces", 0, "deviation"], [0.5], "deviation must be"),
    ],
)
def test_faults_are_named(tmp_path: Path, where: list, value: object, said: str) -> None:
    data = example()
    entry = data
    for key in where[:-1]:
        entry = entry[key]
    entry[where[-1]] = value
    path = tmp_path / "a.json"
    path.write_text(plain_json.dumps(data))
    with pytest.raises(FormatError, match=said) as caught:
        json.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b'{"schema": "hrlm.landmarks/1", "pho', b"\xff\xfe\x00", b"[" * 100_000, b"[]"]
)
def test_damaged_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"a\.json"):
        json.read(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be read"):
        json.read(tmp_path / "a.json")
    assert not json.looks_like_result(tmp_path / "a.json")
