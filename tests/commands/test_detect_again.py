"""A second command into the same folder: what the first one made, and what is not hrlm's, stays."""

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from detecting import FakeDetector, files, photo, run

from hrlm.formats import correcting, corrections, pts
from hrlm.formats import json as result_json
from hrlm.formats.corrections import CorrectedFace, Correction
from hrlm.photos import Photo
from hrlm.runs.journal import VOID


def test_a_new_photo_of_the_same_stem_renames_no_result(tmp_path: Path, fake: type[FakeDetector]) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    for name in ("a.png", "b.png"):
        photo(folder / name)
    assert run(folder, "--out", out).exit_code == 0
    photo(folder / "b.jpg")
    result = run(folder, "--out", out)
    assert result.exit_code == 0
    assert "2 already done" in result.stderr
    assert {f for f in files(out) if f.endswith(".json")} == {"a.json", "b.json", "b.jpg.json"}
    assert result_json.read(out / "b.json").photo.path == "b.png"
    # and again: nothing is left to do
    fake.batches = []
    assert run(folder, "--out", out).exit_code == 0
    assert fake.batches == []


def test_jpegs_that_are_developed_later_take_the_place_of_their_raw_files(
    tmp_path: Path, fake: type[FakeDetector]
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    photo(folder / "a.cr2")
    assert run(folder, "--out", out).exit_code == 0
    photo(folder / "a.png", 2)
    result = run(folder, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert result_json.read(out / "a.json").photo.path == "a.png"


def test_tables_say_whose_they_are(tmp_path: Path, fake: type[FakeDetector]) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    for name in ("a.png", "b.png"):
        photo(folder / name)
    (folder / "bad.jpg").write_bytes(b"no photo")
    assert run(folder, "--out", out, "--format", "csv").exit_code == 1
    os.utime(folder / "a.png")
    result = run(folder / "a.png", "--out", out, "--format", "csv")
    assert result.exit_code == 0
    assert "landmarks.csv, errors.jsonl: of this command's photos" in result.stderr
    assert "2 photos more, of which 1 failed" in result.stderr
    assert '"bad.jpg"' in (out / "run.jsonl").read_text()
    # all of them again: nothing is left to say
    assert "of this command's photos" not in run(folder, "--out", out, "--format", "csv").stderr


def test_overwriting_that_was_stopped_goes_on_without_the_option(tmp_path: Path, fake: type[FakeDetector]) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    for number in range(12):
        photo(folder / f"{number:02}.png")
    assert run(folder, "--out", out).exit_code == 0

    def stop(photos: Sequence[Photo]) -> None:
        if len(fake.batches) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    fake.before = staticmethod(stop)
    result = run(folder, "--out", out, "--overwrite", "--batch", "2")
    assert result.exit_code == 143
    assert "without --overwrite" in result.stderr
    done = sum(json.loads(line)["fingerprint"] != VOID for line in (out / "run.jsonl").read_text().splitlines())
    assert 0 < done < 12
    fake.before = staticmethod(lambda photos: None)
    result = run(folder, "--out", out)
    assert result.exit_code == 0
    assert f"{done} already done" in result.stderr
    assert len((out / "run.jsonl").read_text().splitlines()) == 12


@pytest.mark.parametrize("name", ["errors.jsonl", "run.jsonl"])
def test_another_programs_file_of_our_name_stays(tmp_path: Path, fake: type[FakeDetector], name: str) -> None:
    photo(tmp_path / "in" / "a.png")
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text('{"mine": 1}\n')
    result = run(tmp_path / "in", "--out", out)
    assert result.exit_code == 2
    assert name in result.stderr
    assert (out / name).read_text() == '{"mine": 1}\n'


def test_hand_made_points_stay_also_beside_a_journal(tmp_path: Path, fake: type[FakeDetector]) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    photo(folder / "a.png")
    assert run(folder, "--out", out).exit_code == 0
    # one for a photo that is done, and one for a photo that is new
    photo(folder / "b.png")
    for name in "ab":
        pts.write(out / f"{name}.pts", np.zeros((68, 2)))
    before = [(out / f"{name}.pts").read_bytes() for name in "ab"]
    result = run(folder, "--out", out, "--format", "pts")
    assert result.exit_code == 1
    assert {json.loads(line)["path"] for line in (out / "errors.jsonl").read_text().splitlines()} == {"a.png", "b.png"}
    assert [(out / f"{name}.pts").read_bytes() for name in "ab"] == before
    for name in "ab":
        (out / f"{name}.pts").unlink()
    assert run(folder, "--out", out, "--format", "pts").exit_code == 0
    assert {"a.pts", "b.pts"} <= files(out)


def test_a_hand_made_file_of_a_photo_without_a_face_stays(tmp_path: Path, fake: type[FakeDetector]) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    photo(folder / "a.png", 0)
    assert run(folder, "--out", out).exit_code == 0
    pts.write(out / "a.pts", np.zeros((68, 2)))
    assert run(folder, "--out", out, "--format", "pts", "--overlay").exit_code == 1
    assert (out / "a.pts").exists()


def test_points_of_an_earlier_run_are_ours(tmp_path: Path, fake: type[FakeDetector]) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    photo(folder / "a.png")
    assert run(folder, "--out", out, "--format", "pts").exit_code == 0
    pts.write(out / "a.pts", np.zeros((68, 2)))
    assert run(folder, "--out", out, "--quality", "fast").exit_code == 0
    assert run(folder, "--out", out, "--quality", "fast", "--format", "pts").exit_code == 0
    assert pts.read(out / "a.pts").max() > 1


def end_at_once(fake: type[FakeDetector], *arguments: str | Path) -> None:
    """A run that ends at its first photo."""

    def end(photos: Sequence[Photo]) -> None:
        raise KeyboardInterrupt

    fake.before = staticmethod(end)
    run(*arguments)
    fake.before = staticmethod(lambda photos: None)


def test_a_name_outlives_overwriting_that_was_killed(tmp_path: Path, fake: type[FakeDetector]) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    photo(folder / "a.jpg", 2)
    photo(folder / "c.png")
    assert run(folder, "--out", out, "--format", "pts").exit_code == 0
    for name in ("a.png", "a_2.png"):
        photo(folder / name)
    end_at_once(fake, folder, "--out", out, "--overwrite", "--format", "pts")
    result = run(folder, "--out", out, "--format", "pts")
    assert result.exit_code == 0
    assert "already done" not in result.stderr
    assert result_json.read(out / "a.json").photo.path == "a.jpg"
    # its second face has made way for the photo that came later, at once
    assert {"a.pts", "a.jpg_2.pts", "a.png.pts", "a_2.pts"} <= files(out)
    before = {name: (out / name).read_bytes() for name in files(out)}
    assert run(folder, "--out", out, "--format", "pts").exit_code == 0
    assert {name: (out / name).read_bytes() for name in files(out)} == before


def test_a_share_that_was_stopped_overwriting_goes_on(tmp_path: Path, fake: type[FakeDetector]) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    for number in range(12):
        photo(folder / f"{number:02}.png")
    assert run(folder, "--out", out).exit_code == 0
    end_at_once(fake, folder, "--out", out, "--overwrite", "--shard", "1/2")
    result = run(folder, "--out", out, "--shard", "1/2")
    assert result.exit_code == 0
    assert "already done" not in result.stderr
    assert "12 already done" in run(folder, "--out", out).stderr


def test_a_list_with_nul_needs_its_option(tmp_path: Path, fake: type[FakeDetector]) -> None:
    listed = os.fsencode(photo(tmp_path / "a.png")) + b"\0" + os.fsencode(photo(tmp_path / "b.png")) + b"\0"
    result = run("-", "--out", tmp_path / "out", stdin=listed)
    assert result.exit_code == 2
    assert "give -0" in result.stderr
    assert run("-0", "-", "--out", tmp_path / "out", stdin=listed).exit_code == 0


def corrected(out: Path, of: Path) -> Path:
    result = result_json.read(out / "a.json")
    path = out / "a.corrected.json"
    face = CorrectedFace(result.faces[0].landmarks + 0.5, 0)
    file, mark = corrections.relative_photo(path, of), correcting.photo_digest(of)
    saved = Correction(result.photo, file, result.model, 1, "2024-01-01T00:00:00Z", True, (face,), mark)
    corrections.write(path, saved)
    return path


def test_a_photo_that_took_the_place_of_a_corrected_one_is_refused(tmp_path: Path, fake: type[FakeDetector]) -> None:
    shot, out = photo(tmp_path / "in" / "a.png"), tmp_path / "out"
    assert run(tmp_path / "in", "--out", out).exit_code == 0
    path = corrected(out, shot)
    # other bytes, the same picture: such as keywords that another program has written
    shot.write_bytes(shot.read_bytes() + b"keywords")
    assert run(tmp_path / "in", "--out", out).exit_code == 0
    before = (out / "a.json").read_bytes()
    photo(shot, 0)
    result = run(tmp_path / "in", "--out", out)
    assert result.exit_code == 1
    assert path.name in result.stderr
    assert "replaced" in result.stderr
    assert (out / "a.json").read_bytes() == before
    path.unlink()
    assert run(tmp_path / "in", "--out", out).exit_code == 0
    assert not result_json.read(out / "a.json").faces
