import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from detecting import FakeDetector, files, photo, run

from hrlm.formats import json as result_json


@pytest.fixture
def folder(tmp_path: Path, fake: type[FakeDetector]) -> Path:
    for name, faces in {"a": 1, "b": 0, "d": 2, "e": 0}.items():
        photo(tmp_path / "in" / f"{name}.png", faces)
    (tmp_path / "in" / "c.png").write_bytes(b"no photo")
    return tmp_path / "in"


def test_a_line_for_every_photo(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(folder, "--out", out, "--jsonl", "-")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["photo"]["path"] if "photo" in line else line["path"] for line in lines] == [
        f"{name}.png" for name in "abcde"
    ]
    assert "c.png" in lines[2]["reason"]
    assert lines[3] == json.loads((out / "d.json").read_text())
    # once more: what is done is told as well, in the same words
    assert run(folder, "--out", out, "--jsonl", "-").stdout == result.stdout
    # into a file, whatever stood there
    (out / "lines.jsonl").write_text("old")
    run(folder, "--out", out, "--jsonl", out / "lines.jsonl")
    assert (out / "lines.jsonl").read_text() == result.stdout


def test_a_result_that_is_told_reads_back(folder: Path, tmp_path: Path) -> None:
    lines = run(folder, "--out", tmp_path / "out", "--jsonl", "-").stdout.splitlines()
    (tmp_path / "one.json").write_text(lines[3])
    assert len(result_json.read(tmp_path / "one.json").faces) == 2


def test_lines_that_cannot_be_written_end_the_run(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run(folder, "--out", tmp_path / "out", "--jsonl", tmp_path / "file" / "lines.jsonl")
    assert result.exit_code in (1, 2)
    assert "cannot be written" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pipes differ there")
def test_a_reader_that_has_enough(folder: Path, tmp_path: Path) -> None:
    for k in range(200):
        photo(folder / f"{k:03}.png", 3)
    code = "import sys, stand_in; stand_in.main(sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "detect", str(folder), "--out", str(tmp_path / "out"), "--jsonl", "-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parent,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["photo"]["path"] == "000.png"
    process.stdout.close()
    said = process.stderr.read().decode()
    assert process.wait() == 141, said
    assert "Traceback" not in said
    assert "Broken" not in said
    done = [json.loads(line) for line in (tmp_path / "out" / "run.jsonl").read_text().splitlines()]
    assert 0 < len(done) < 200
    assert all(f"{line['result']}.json" in files(tmp_path / "out") for line in done)


def test_the_review_lists_the_worst_first(
    folder: Path, tmp_path: Path, fake: type[FakeDetector], monkeypatch: pytest.MonkeyPatch
) -> None:
    worst = {"a": 5.0, "d": 1.0}

    def found(self: FakeDetector, photos: list, faces: str, min_face: float) -> list:  # type: ignore[type-arg]
        flags = {"d": ("cut", "small")}
        return [
            [
                replace(self.face(k), deviation=self.face(k).deviation * worst[name], flags=flags.get(name, ()))
                for k in range(p.pixels[0, 0, 0])
            ]
            for p in photos
            if (name := Path(p.path).stem)
        ]

    monkeypatch.setattr(fake, "detect_batch", found)
    out = tmp_path / "out"
    run(folder, "--out", out, "--review")
    with (out / "review.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["photo"], r["face"]) for r in rows[:3]] == [("c.png", ""), ("b.png", ""), ("e.png", "")]
    assert [(r["photo"], r["face"], r["reason"], r["result"]) for r in rows[3:]] == [
        ("a.png", "0", "uncertain", "a.json"),
        ("d.png", "0", "cut small", "d.json"),
        ("d.png", "1", "cut small", "d.json"),
    ]
    concerns = [float(r["concern"]) for r in rows[3:]]
    assert concerns == sorted(concerns, reverse=True)
    assert min(concerns) > 0.06


@pytest.mark.parametrize("faces", [0, 1])
def test_no_name_in_the_review_is_a_formula(
    tmp_path: Path, fake: type[FakeDetector], monkeypatch: pytest.MonkeyPatch, faces: int
) -> None:
    cut = replace(FakeDetector.face(0), flags=("cut",))
    monkeypatch.setattr(fake, "face", staticmethod(lambda _: cut))
    photo(tmp_path / "in" / "=1+1.png", faces)
    (tmp_path / "in" / "@no.jpg").write_bytes(b"no photo")
    run(tmp_path / "in", "--out", tmp_path / "out", "--review")
    with (tmp_path / "out" / "review.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["photo"], r["result"]) for r in rows] == [("./@no.jpg", ""), ("./=1+1.png", "=1+1.json")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--max-memory", "much"], "no amount"),
        (["--max-pixels", "0"], "no amount"),
        (["--shard", "4/3"], "--shard"),
        (["--timeout", "0"], "--timeout"),
    ],
)
def test_wrong_amounts(folder: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    result = run(folder, "--out", tmp_path / "out", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_little_memory_changes_nothing_in_the_results(folder: Path, tmp_path: Path) -> None:
    run(folder, "--out", tmp_path / "1")
    run(folder, "--out", tmp_path / "2", "--max-memory", "1K")
    for name in files(tmp_path / "1"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
