from pathlib import Path

import pytest

from hrlm.formats import json as result_json
from hrlm.results import ModelInfo, PhotoInfo, PhotoResult
from hrlm.runs.annotate_run import find_results


def results(folder: Path, *names: str) -> None:
    for name in names:
        info = PhotoInfo(f"{name}.jpg", 40, 30)
        result_json.write(folder / f"{name}.json", PhotoResult(info, ModelInfo("m", "ibug68", "0"), ()))


def places(*paths: Path | str) -> list[str]:
    return [item.result.as_posix() for item in find_results([str(path) for path in paths])]


def test_results_of_two_folders_keep_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results(tmp_path, "x/a", "x/sub/b", "y/a")
    assert places(tmp_path / "x") == ["a", "sub/b"]
    assert places(tmp_path / "x", tmp_path / "y") == ["x/a", "x/sub/b", "y/a"]
    assert places(tmp_path / "x" / "a.json", tmp_path / "y" / "a.json") == ["x/a", "y/a"]
    assert places(tmp_path / "x" / "sub" / "b.json") == ["b"]
    monkeypatch.chdir(tmp_path / "x")
    # each once, however it is named
    assert places(".", "sub/../a.json", "../y/../x/sub") == ["a", "sub/b"]
