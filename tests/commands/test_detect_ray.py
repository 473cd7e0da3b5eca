import json
from pathlib import Path

import pytest
from detecting import FakeDetector, files, photo, run

ray = pytest.importorskip("ray")


def test_a_run_over_a_cluster_ends_as_one_without(
    tmp_path: Path, fake: type[FakeDetector], monkeypatch: pytest.MonkeyPatch
) -> None:
    # the actors are processes of their own, which find this folder's modules
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    for k in range(20):
        photo(tmp_path / "in" / f"{k:02}.png", k % 3)
    (tmp_path / "in" / "07.png").write_bytes(b"no photo")
    options = ["--format", "csv,pts", "--batch", "2", "--overlay"]
    plain = run(tmp_path / "in", "--out", tmp_path / "plain", *options)
    done = run(tmp_path / "in", "--out", tmp_path / "ray", "--ray", "local", "--jsonl", "-", *options)
    assert (done.exit_code, plain.exit_code) == (1, 1), done.stderr
    assert files(tmp_path / "ray") == files(tmp_path / "plain")
    for name in (*files(tmp_path / "ray"), "run.jsonl"):
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes(), name
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 20
    # nothing was done in this process but by the plain run
    assert sum(fake.batches) == 0
    assert "19 already done" in run(tmp_path / "in", "--out", tmp_path / "ray", *options).stderr
    assert not ray.is_initialized()


def test_a_cluster_that_is_not_there(tmp_path: Path, fake: type[FakeDetector]) -> None:
    photo(tmp_path / "a.png")
    result = run(tmp_path / "a.png", "--out", tmp_path / "out", "--ray", "auto")
    assert result.exit_code == 2
    assert "no Ray cluster" in result.stderr
    assert len(result.stderr.splitlines()) == 1
