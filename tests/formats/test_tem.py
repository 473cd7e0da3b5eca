from pathlib import Path

import numpy as np
import pytest

from hrlm.errors import FormatError
from hrlm.formats import tem


def write(folder: Path, text: str) -> Path:
    path = folder / "a.tem"
    path.write_text(text)
    return path


@pytest.mark.parametrize("end", ["", "1\n0\n3\n0 1 2\n", "\n# lines\n2\n0\n2\n0 1\n"])
def test_points_are_read_as_they_stand_and_lines_left(tmp_path: Path, end: str) -> None:
    points = tem.read(write(tmp_path, f"3\n0.0\t0.5\n 10, 20.25 \n-1 7\n{end}"))
    assert points.tolist() == [[0, 0.5], [10, 20.25], [-1, 7]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "number of points"),
        ("x\n1 2\n", "number of points"),
        ("3\n1 2\n3 4\n", "says 3 points and holds 2"),
        ("0\n", "says 0 points"),
        ("2\n1 2\n3\n", "point 2 must be 'x y'"),
        ("1\nnan 2\n", "point 1"),
    ],
)
def test_what_is_no_template_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(FormatError, match=rf"a\.tem: .*{said}"):
        tem.read(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be read"):
        tem.read(tmp_path / "absent.tem")


def test_the_london_set(shared: Path) -> None:
    points = tem.read(shared / "london189" / "001_03.tem")
    assert points.shape == (189, 2)
    assert 190 < np.linalg.norm(points[0] - points[1]) < 230
