import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrlm.errors import FormatError
from hrlm.formats import corrections, pts
from hrlm.formats import json as result_json
from hrlm.formats.corrections import CorrectedFace, Correction, from_data
from hrlm.results import ModelInfo, PhotoInfo

INFO = PhotoInfo("sub/ä.jpg", 400, 300, 6)
MODEL = ModelInfo("ibug68", "ibug68", "2")
numbers = st.floats(-1e4, 1e4).map(lambda v: round(v, 3))


@settings(deadline=None)
@given(
    st.lists(st.tuples(numbers, numbers), min_size=3, max_size=3),
    st.sets(st.integers(0, 2)),
    st.sets(st.integers(0, 2)),
    st.none() | st.integers(0, 9),
    st.booleans(),
)
def test_what_is_written_is_read(
    points: list[tuple[float, float]], moved: set[int], unseen: set[int], predicted: int | None, checked: bool
) -> None:
    came = np.array(points)[::-1] if predicted is None else None
    face = CorrectedFace(np.array(points), predicted, tuple(sorted(moved)), tuple(sorted(unseen)), came)
    made = Correction(INFO, "../p/ä.jpg", MODEL, 4, "2026-01-02T03:04:05Z", checked, (face, face))
    text = corrections.dumps(made)
    assert text.isascii()
    back = from_data(json.loads(text))
    assert (back.photo, back.file, back.model, back.revision, back.saved, back.checked) == (
        made.photo,
        made.file,
        made.model,
        made.revision,
        made.saved,
        made.checked,
    )
    for one in back.faces:
        assert one.landmarks == pytest.approx(face.landmarks, abs=1e-9)
        assert (one.predicted, one.moved, one.invisible) == (face.predicted, face.moved, face.invisible)
        assert (one.came is None) if came is None else one.came == pytest.approx(came, abs=1e-9)


def made(count: int = 1) -> Correction:
    faces = tuple(CorrectedFace(np.full((3, 2), float(k)), k) for k in range(count))
    return Correction(INFO, "ä.jpg", MODEL, 1, "", True, faces)


def test_a_correction_is_no_result_and_its_pts_are_its_own(tmp_path: Path) -> None:
    path = corrections.path_of(tmp_path / "a.jpg.json")
    assert path.name == "a.jpg.corrected.json"
    # another photo's, whose name begins alike
    other = tmp_path / "a.jpg.corrected_x.corrected_2.pts"
    other.touch()
    corrections.write(path, made(3))
    assert not result_json.looks_like_result(path)
    assert corrections.is_correction(path)
    files = [tmp_path / f"a.jpg.corrected{k}.pts" for k in ("", "_2", "_3")]
    assert [pts.read(f)[0, 0] for f in files] == [0, 1, 2]
    assert all(corrections.is_corrected_pts(f) for f in files)
    assert not corrections.is_corrected_pts(tmp_path / "b.corrected.pts")
    corrections.write(path, made(1))
    assert [f.exists() for f in files] == [True, False, False]
    assert other.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "hrlm.correction/9"},
        {"revision": 0},
        {"revision": "1"},
        {"revision": True},
        {"photo": {}},
        {"photo": 3},
        {"faces": [{}]},
        {"faces": [{"landmarks": [[1, 2, 3]]}]},
        {"faces": [{"landmarks": [[1, True]]}]},
        {"faces": [{"landmarks": [[1, 2]], "moved": [1]}]},
        {"faces": [{"landmarks": [[1, 2]], "invisible": [-1]}]},
        {"faces": [{"landmarks": [[1, 2]], "predicted": -1}]},
        {"faces": [{"landmarks": [[1, 2]]}, {"landmarks": [[1, 2], [3, 4]]}]},
        {"faces": 5},
    ],
)
def test_damage_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "a.corrected.json"
    data = json.loads(corrections.dumps(made())) | change
    path.write_text(json.dumps(data))
    with pytest.raises(FormatError, match=r"a\.corrected\.json"):
        corrections.read(path)


def test_files_that_are_no_json_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.corrected.json"
    path.write_text("{")
    with pytest.raises(FormatError, match=r"corrections\.jsonl"):
        corrections.read(path)
    with pytest.raises(FormatError, match="cannot be read"):
        corrections.read(tmp_path / "absent.corrected.json")
