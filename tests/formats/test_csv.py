from pathlib import Path

import numpy as np
import pytest

from hrlm.errors import FormatError
from hrlm.formats import csv
from hrlm.formats.values import fail
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult
from hrlm.schemes import parse_scheme

SCHEME = parse_scheme("{name: s, landmarks: [a, b], regions: {r: {landmarks: [0-1]}}, normaliser: [0, 1]}")


def face(shift: float = 0.0) -> Face:
    points = np.array([[1.5, 2.0], [3.0, 4.0]]) + shift
    return Face(points, np.array([0.5, np.nan]), (shift, 0.0, 5.0, 6.0), 0.9, ("cut", "small"))


def write(path: Path, photos: list[tuple[str, list[Face]]]) -> None:
    model = ModelInfo("m", "s", "1")
    csv.write_run(path, [PhotoResult(PhotoInfo(photo, 0, 0), model, tuple(faces)) for photo, faces in photos], SCHEME)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "landmarks.csv"
    write(path, [("a, b\n.jpg", [face(), face(7)]), ("none.jpg", []), ('"c".jpg', [face(1)])])
    rows = csv.read(path)
    assert [(r.photo, r.index) for r in rows] == [("a, b\n.jpg", 0), ("a, b\n.jpg", 1), ('"c".jpg', 0)]
    assert rows[1].face.flags == ("cut", "small")
    assert rows[1].face.box == (7.0, 0.0, 5.0, 6.0)
    np.testing.assert_allclose(rows[1].face.landmarks, face(7).landmarks)
    np.testing.assert_allclose(rows[1].face.deviation, [0.5, np.nan])


def test_the_documented_columns(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", [("a.jpg", [face()])])
    assert (tmp_path / "a.csv").read_text() == (
        "photo,width,height,orientation,face,score,box_x,box_y,box_width,box_height,flags,"
        "x0,y0,deviation0,x1,y1,deviation1\n"
        "a.jpg,,,,0,0.9000,0.000,0.000,5.000,6.000,cut small,1.500,2.000,0.500,3.000,4.000,\n"
    )


def test_a_name_that_is_not_text_leaves_the_table_readable(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", [("\udcff.jpg", [face()])])
    assert csv.read(tmp_path / "a.csv")[0].photo == r"\udcff.jpg"


@pytest.mark.parametrize("change", [("x1", "u1"), ("4.000,", "4.000"), ("1.500", "wide"), (",deviation1", "")])
def test_faults_are_named(tmp_path: Path, change: tuple[str, str]) -> None:
    path = tmp_path / "a.csv"
    write(path, [("a.jpg", [face()])])
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(FormatError, match=r"a\.csv: "):
        csv.read(path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a,b\n"])
def test_other_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(FormatError, match=r"a\.csv"):
        csv.read(tmp_path / "a.csv")


def test_a_name_that_a_spreadsheet_would_run_is_defused(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", [("=cmd|' /C calc'!A0.jpg", [face()])])
    assert (tmp_path / "a.csv").read_text().splitlines()[1].startswith("./=cmd|")
    assert csv.read(tmp_path / "a.csv")[0].photo == "=cmd|' /C calc'!A0.jpg"


def test_rows_of_a_photo_must_stand_together(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write(path, [("a.jpg", [face()]), ("b.jpg", [face()]), ("a.jpg", [face()])])
    with pytest.raises(FormatError, match=r"rows of a\.jpg are not together"):
        list(csv.read_results(path, SCHEME, fail))


def test_a_bad_row_costs_one_face(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write(path, [("a.jpg", [face()]), ("b.jpg", [face(), face(1), face(2)]), ("c.jpg", [face()])])
    lines = path.read_text().splitlines(keepends=True)
    lines[2] = lines[2].replace("b.jpg,,", "b.jpg,9,")
    lines[3] = lines[3].replace(",2.500,", ",wide,")
    lines[5] = lines[5].replace("c.jpg", "")
    path.write_text("".join([*lines, "d.jpg,1\n"]))
    told: list[str] = []
    results = []
    for result in csv.read_results(path, SCHEME, told.append):
        # a photo's faults are known when it is given, and no other's
        results.append((result.photo.path, len(result.faces), len(told)))
    assert results == [("a.jpg", 1, 0), ("b.jpg", 1, 2), ("", 0, 3), ("d.jpg", 0, 4)]
    assert [t.partition(": ")[2][:5] for t in told] == ["row 4", "row 5", "row 6", "row 7"]
    assert "its photo has no name" in told[2]
    with pytest.raises(FormatError, match="row 4 cannot be read"):
        list(csv.read_results(path, SCHEME, fail))


def test_pandas_reads_it(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    write(tmp_path / "a.csv", [("a.jpg", [face(), face(7)])])
    table = pandas.read_csv(tmp_path / "a.csv")
    assert table[["x0", "y1", "deviation0"]].to_numpy().tolist() == [[1.5, 4.0, 0.5], [8.5, 11.0, 0.5]]


def test_a_carriage_return_in_a_name_ends_no_row(tmp_path: Path) -> None:
    names = ["a\rb.jpg", "c\r\nd.jpg", "e.jpg"]
    write(tmp_path / "t.csv", [(name, [face()]) for name in names])
    assert [row.photo for row in csv.read(tmp_path / "t.csv")] == names
