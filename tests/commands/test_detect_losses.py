"""What a person or an earlier run has made is not lost."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detecting import FakeDetector, files, photo, run

from hrlm.errors import FormatError
from hrlm.formats import corrections
from hrlm.formats import json as result_json
from hrlm.formats.atomic import WriteError
from hrlm.formats.corrections import CorrectedFace, Correction
from hrlm.results import PhotoInfo
from hrlm.runs.pipeline import Item


def entries(out: Path) -> dict[str, dict[str, object]]:
    return {e["path"]: e for e in map(json.loads, (out / "run.jsonl").read_text().splitlines())}


def correct(out: Path, of: Path, width: int = 40) -> Path:
    result = result_json.read(out / "a.json")
    info = PhotoInfo("a.png", width, 30, 1)
    path = out / "a.corrected.json"
    file = corrections.relative_photo(path, of)
    face = CorrectedFace(np.full((68, 2), 5.0), 0)
    corrections.write(path, Correction(info, file, result.model, 1, "2024-01-01T00:00:00Z", True, (face,)))
    return path


def test_a_format_that_fails_costs_itself_alone(tmp_path: Path, fake: type[FakeDetector]) -> None:
    out = tmp_path / "out"
    for name in "ab":
        photo(tmp_path / "in" / f"{name}.png")
    run(tmp_path / "in", "--out", out)
    (out / "a.xmp").write_text("no xmp")
    result = run(tmp_path / "in", "--out", out, "--overwrite", "--format", "xmp,pts")
    assert result.exit_code == 1
    assert "2 photos, 2 faces" in result.stderr
    assert {"a.json", "a.pts", "b.json", "b.pts", "b.xmp"} <= files(out)
    assert (out / "a.xmp").read_text() == "no xmp"
    assert "a.xmp" in (out / "errors.jsonl").read_text()
    assert entries(out)["a.png"]["formats"] == ["pts"]
    # tried again without the networks, and remembered until it is there
    for _ in range(2):
        fake.batches = []
        assert run(tmp_path / "in", "--out", out, "--format", "xmp,pts").exit_code == 1
        assert fake.batches == []
    assert run(tmp_path / "in", "--out", out, "--format", "pts").exit_code == 0
    (out / "a.xmp").unlink()
    assert run(tmp_path / "in", "--out", out, "--format", "xmp,pts").exit_code == 0
    assert fake.batches == []
    assert "reason" not in entries(out)["a.png"]
    assert {"a.xmp"} <= files(out)
    assert "errors.jsonl" not in files(out)


def test_a_full_disk_keeps_the_old_result(
    tmp_path: Path, fake: type[FakeDetector], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    photo(tmp_path / "in" / "a.png")
    run(tmp_path / "in", "--out", out)
    before = (out / "a.json").read_bytes()

    def full(path: Path, data: object) -> None:
        raise WriteError(path, OSError(28, "No space left on device"))

    with monkeypatch.context() as patch:
        patch.setattr("hrlm.formats.json.write_whole", full)
        assert run(tmp_path / "in", "--out", out, "--overwrite").exit_code == 1
    assert (out / "a.json").read_bytes() == before
    with monkeypatch.context() as patch:
        patch.setattr("hrlm.formats.pts.write", full)
        result = run(tmp_path / "in", "--out", out, "--overwrite", "--format", "pts")
    assert "free some space" in result.stderr
    assert (out / "a.json").read_bytes() == before
    assert run(tmp_path / "in", "--out", out, "--format", "pts").exit_code == 0
    assert "a.pts" in files(out)


def test_an_interrupt_forgets_no_format_that_failed(tmp_path: Path, fake: type[FakeDetector]) -> None:
    from hrlm.runs.journal import Journal

    out = tmp_path / "out"
    one = photo(tmp_path / "in" / "a.png")
    out.mkdir()
    (out / "a.xmp").write_text("no xmp")
    run(one.parent, "--out", out, "--format", "xmp")
    from hrlm.runs.discovery import find_photos

    [source] = find_photos([str(one.parent)], {".png"}).sources
    journal = Journal(out)
    mark = str(entries(out)["a.png"]["fingerprint"])
    assert journal.find(source, mark, out / "a.json")
    assert journal.error(source, ["xmp"])
    assert journal.error(source, []) is None


def test_a_correction_of_another_photo_is_not_given_a_new_result(tmp_path: Path, fake: type[FakeDetector]) -> None:
    out = tmp_path / "out"
    own, other = photo(tmp_path / "in" / "a.png"), photo(tmp_path / "other" / "a.png", 2)
    run(own.parent, "--out", out)
    path = correct(out, own)
    before = (out / "a.json").read_bytes()
    result = run(other.parent, "--out", out, "--overwrite")
    assert result.exit_code == 1
    assert "correction of another photo" in result.stderr
    assert "another --out" in result.stderr
    assert (out / "a.json").read_bytes() == before
    # of the very same photo
    assert run(own.parent, "--out", out, "--overwrite").exit_code == 0
    assert path.exists()
    # a photo that was moved is known by its size
    own.rename(tmp_path / "in" / "b.png")
    assert run(other.parent, "--out", out).exit_code == 0
    correct(out, own, width=41)
    assert run(other.parent, "--out", out, "--overwrite").exit_code == 1


@pytest.mark.parametrize("name", ["coco", "csv", "cvat", "dlib", "label-studio", "labelme", "pts"])
def test_hand_made_files_are_not_replaced(tmp_path: Path, fake: type[FakeDetector], name: str) -> None:
    from hrlm.formats.catalogue import FORMATS

    photo(tmp_path / "in" / "a.png")
    suffix, out = FORMATS[name].suffix, tmp_path / ("in" if name != "pts" else "out")
    out.mkdir(exist_ok=True)
    mine = out / (f"a{suffix}" if FORMATS[name].per_photo else suffix)
    mine.write_text("mine")
    result = run(tmp_path / "in", "--out", out, "--format", name)
    assert result.exit_code == 2
    assert mine.name in result.stderr
    assert mine.read_text() == "mine"
    # what a run has made is replaced
    mine.unlink()
    for _ in range(2):
        assert run(tmp_path / "in", "--out", out, "--format", name, "--overwrite").exit_code == 0


def test_annotate_does_not_replace_what_is_not_hrlms(tmp_path: Path, fake: type[FakeDetector]) -> None:
    from hrlm.photos import open_photo
    from hrlm.results import ModelInfo, PhotoResult
    from hrlm.runs.annotate_run import Collected, Order, annotate_sink
    from hrlm.runs.discovery import find_photos
    from hrlm.runs.pictures import Wanted
    from hrlm.schemes import load_scheme

    one = photo(tmp_path / "a.png")
    (tmp_path / "a.json").write_text('{"version": "5.0", "shapes": []}')
    [source] = find_photos([str(tmp_path)], {".png"}).sources
    sink = annotate_sink(Order(tmp_path, Wanted()), load_scheme("ibug68"), Collected())
    result = PhotoResult(PhotoInfo("a.png", 40, 30, 1), ModelInfo("m", "ibug68", "0"), (FakeDetector.face(0),))
    with pytest.raises(FormatError, match="is not hrlm's"):
        sink(source, open_photo(str(one)), result)
    assert "shapes" in (tmp_path / "a.json").read_text()


def test_pts_of_faces_that_are_gone_are_removed(tmp_path: Path, fake: type[FakeDetector]) -> None:
    out = tmp_path / "out"
    one = photo(tmp_path / "in" / "a.png", 4)
    run(one, "--out", out, "--format", "pts")
    photo(one, 2)
    # the result of another photo that an earlier run has left
    (out / "a_4.json").write_bytes((out / "a.json").read_bytes())
    run(one, "--out", out, "--format", "pts")
    assert files(out) == {"a.json", "a.pts", "a_2.pts", "a_4.json", "a_4.pts"}
    photo(one, 0)
    run(one, "--out", out, "--format", "pts")
    assert files(out) == {"a.json", "a_4.json"} | {"a_4.pts"}
    # another photo of the same run
    photo(one, 1)
    photo(tmp_path / "in" / "a_2.png", 1)
    run(one.parent, "--out", out, "--format", "pts", "--overwrite")
    photo(one, 0)
    run(one.parent, "--out", out, "--format", "pts", "--overwrite")
    assert "a_2.pts" in files(out)
    assert "a.pts" not in files(out)


@pytest.mark.parametrize(
    "name", ["run.jsonl", "errors.jsonl", "review.csv", "run.2of3.jsonl", "coco.json", "landmarks.1of2.csv", "a.json"]
)
def test_lines_do_not_go_into_the_runs_own_files(tmp_path: Path, fake: type[FakeDetector], name: str) -> None:
    photo(tmp_path / "in" / "a.png")
    result = run(tmp_path / "in", "--out", tmp_path / "out", "--jsonl", tmp_path / "in" / ".." / "out" / name)
    assert result.exit_code == 2
    assert "--jsonl" in result.stderr
    assert not (tmp_path / "out").exists()
    assert run(tmp_path / "in", "--out", tmp_path / "out", "--jsonl", tmp_path / name).exit_code == 0


def test_lines_do_not_go_into_a_photo(tmp_path: Path, fake: type[FakeDetector]) -> None:
    one = photo(tmp_path / "in" / "a.png")
    before = one.read_bytes()
    assert run(one, "--out", tmp_path / "out", "--jsonl", one).exit_code == 2
    assert one.read_bytes() == before


def test_a_photo_that_changes_before_its_further_format_is_made(
    tmp_path: Path, fake: type[FakeDetector], monkeypatch: pytest.MonkeyPatch
) -> None:
    from hrlm.runs import resumable

    out, planned = tmp_path / "out", resumable.plan
    one = photo(tmp_path / "in" / "a.png", 1)
    run(one, "--out", out)

    def plan(*arguments: Any) -> list[Item]:
        items = planned(*arguments)
        photo(one, 3)
        return items

    with monkeypatch.context() as patch:
        patch.setattr(resumable, "plan", plan)
        assert "1 photo, 1 face," in run(one, "--out", out, "--format", "pts").stderr
    assert "1 photo, 3 faces" in run(one, "--out", out, "--format", "pts").stderr


def test_another_photos_result_is_not_replaced(tmp_path: Path, fake: type[FakeDetector]) -> None:
    out = tmp_path / "out"
    for card, faces in (("day1", 1), ("day2", 2)):
        photo(tmp_path / card / "IMG_1.png", faces)
    photo(tmp_path / "day2" / "IMG_2.png", 1)
    run(tmp_path / "day1", "--out", out)
    before = (out / "IMG_1.json").read_bytes()
    result = run(tmp_path / "day2", "--out", out)
    assert result.exit_code == 1
    assert "IMG_1.json is the result of" in result.stderr
    assert "day1/IMG_1.png: give another --out" in result.stderr
    assert (out / "IMG_1.json").read_bytes() == before
    assert "IMG_2.json" in files(out)
    assert set(entries(out)) == {"IMG_1.png", "IMG_2.png"}
    # what is still the same photo, or a photo that has moved, goes on
    assert run(tmp_path / "day1", "--out", out).exit_code == 0
    (tmp_path / "day1").rename(tmp_path / "archive")
    assert run(tmp_path / "archive", "--out", out).exit_code == 0
    assert run(tmp_path / "day2", "--out", out, "--overwrite").exit_code == 0
    assert (out / "IMG_1.json").read_bytes() != before


def test_further_faces_never_take_another_photos_file(tmp_path: Path, fake: type[FakeDetector]) -> None:
    out, folder = tmp_path / "out", tmp_path / "in"
    photo(folder / "a.png", 2)
    photo(folder / "a_2.png", 1)
    run(folder, "--out", out, "--format", "pts")
    before = (out / "a_2.pts").read_bytes()
    # a run over the one photo alone
    run(folder / "a.png", "--out", out, "--format", "pts", "--overwrite")
    assert (out / "a_2.pts").read_bytes() == before
    assert "a.png_2.pts" in files(out)


def test_a_photo_that_comes_later_takes_its_file_and_the_face_moves(tmp_path: Path, fake: type[FakeDetector]) -> None:
    out, folder = tmp_path / "out", tmp_path / "in"
    photo(folder / "a.png", 2)
    run(folder, "--out", out, "--format", "pts")
    second = (out / "a_2.pts").read_bytes()
    photo(folder / "a_2.png", 1)
    assert run(folder, "--out", out, "--format", "pts").exit_code == 0
    assert (out / "a.png_2.pts").read_bytes() == second
    assert (out / "a_2.pts").read_bytes() == (out / "a.pts").read_bytes()


def test_a_format_that_is_there_stays_when_another_is_added(tmp_path: Path, fake: type[FakeDetector]) -> None:
    out = tmp_path / "out"
    photo(tmp_path / "in" / "a.png", 1)
    run(tmp_path / "in", "--out", out, "--format", "labelme")
    file = out / "a.labelme.json"
    file.write_text(file.read_text().replace('"shapes"', '"shapes" '))
    edited = file.read_bytes()
    assert run(tmp_path / "in", "--out", out, "--format", "labelme,pts").exit_code == 0
    assert "a.pts" in files(out)
    assert file.read_bytes() == edited


def test_a_long_name_is_no_reason_to_fail(tmp_path: Path, fake: type[FakeDetector]) -> None:
    out = tmp_path / "out"
    # NAME.json just fits, NAME.corrected.json and NAME.labelme.json do not
    name = "n" * 245
    photo(tmp_path / "in" / f"{name}.png", 1)
    photo(tmp_path / "in" / "b.png", 1)
    out.mkdir()
    result = run(tmp_path / "in", "--out", out, "--format", "labelme")
    assert result.exit_code == 1
    assert {f"{name}.json", "b.json", "b.labelme.json"} <= files(out)
