from pathlib import Path

import numpy as np
import pytest
from exchanged import FACE, POINTS, SCHEME, read, result, written

from hrlm.errors import DependencyError, FormatError
from hrlm.formats.catalogue import FORMATS, read_any


def test_the_documented_columns(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(written("parquet", tmp_path, result(FACE, FACE)))
    assert table.schema.metadata == {b"hrlm.scheme": b"s", b"hrlm.landmarks": b"first\nsecond\nthird"}
    first, second = table.to_pylist()
    assert (first["face"], second["face"]) == (0, 1)
    del first["face"]
    assert first == {
        **{"photo": "sub/a.jpg", "width": 200, "height": 100, "orientation": 6, "score": 0.875},
        **{"box_x": -0.5, "box_y": -0.5, "box_width": 200.0, "box_height": 100.0, "flags": ["cut", "small"]},
        **{"x": POINTS[:, 0].tolist(), "y": POINTS[:, 1].tolist(), "deviation": [0.5, 0.25, None]},
    }


def test_pandas_reads_it(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    pandas = pytest.importorskip("pandas")
    table = pandas.read_parquet(written("parquet", tmp_path, result(FACE, FACE)))
    np.testing.assert_array_equal(np.stack(table["x"]), [POINTS[:, 0]] * 2)


def test_rows_of_a_photo_must_stand_together(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = written("parquet", tmp_path, result(FACE), result(FACE, path="b.jpg"), result(FACE))
    with pytest.raises(FormatError, match=r"rows of sub/a\.jpg are not together"):
        read("parquet", path)


def test_a_bad_row_costs_one_face(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = written("parquet", tmp_path, result(FACE, FACE, FACE), result(FACE, path="b.jpg"))
    table = parquet.read_table(path)
    rows = table.to_pylist()
    rows[1]["x"] = [float("nan"), 1.0, 2.0]
    rows[2]["score"] = None
    rows[3]["photo"] = None
    parquet.write_table(pyarrow.Table.from_pylist(rows, table.schema), path)
    told: list[str] = []
    (only,) = read_any(FORMATS["parquet"], path, SCHEME, told)
    assert len(only.faces) == 1
    assert ["face 2" in told[0], "face 3" in told[1], "no photo" in told[2], len(told)] == [True, True, True, 3]


def test_without_pyarrow_the_cure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    monkeypatch.delitem(__import__("sys").modules, "hrlm.formats.parquet", raising=False)
    with pytest.raises(DependencyError, match=r"install hrlm\[parquet\]"):
        _ = FORMATS["parquet"].module
