from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrlm.errors import FormatError
from hrlm.formats import pts


def test_the_file_is_one_based(tmp_path: Path) -> None:
    pts.write(tmp_path / "a.pts", np.array([[0.0, 0.0], [10.25, 20.0]]))
    assert (tmp_path / "a.pts").read_text() == "version: 1\nn_points: 2\n{\n1.000 1.000\n11.250 21.000\n}\n"


@given(st.lists(st.tuples(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5)), min_size=1, max_size=9))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, points: list[tuple[float, float]]) -> None:
    path = tmp_path_factory.getbasetemp() / "round.pts"
    pts.write(path, np.array(points))
    np.testing.assert_allclose(pts.read(path), points, atol=5.01e-4)


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\r\nn_points:  2\r\n{\r\n1 2\r\n3.5 4\r\n}\r\n",
        "\ufeff# made by hand\nversion: 1\nn_points: 2\nimage: a.jpg\n{\n\n1 2 # outer corner\n// nothing\n3.5, 4\n}",
        "{1 2\n3.5 4}",
        "1 2\n3.5\t4\n",
    ],
)
def test_tolerant(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.pts"
    path.write_text(text, encoding="utf-8", newline="")
    np.testing.assert_allclose(pts.read(path), [[0, 1], [2.5, 3]])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no points"),
        ("version: 1\nn_points: 3\n{\n1 2\n}\n", "says 3 points and holds 1"),
        ("version: 1\nn_points: many\n{\n1 2\n}\n", "n_points must be"),
        ("{\n1 2\n1 2 3\n}\n", "line 3"),
        ("{\n1 nan\n}\n", "line 2"),
        ("\x00\x01\x02", "line 1"),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.pts"
    path.write_text(text)
    with pytest.raises(FormatError, match=said) as caught:
        pts.read(path)
    assert str(path) in str(caught.value)


def test_real_files(shared: Path) -> None:
    files = sorted((shared / "helen_dev").glob("*.pts"))
    assert len(files) == 165
    assert {pts.read(f).shape for f in files} == {(68, 2)}
