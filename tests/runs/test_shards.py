from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrlm.errors import HrlmError
from hrlm.runs.discovery import Source
from hrlm.runs.shards import WHOLE, Shard, files_of_all


def source(name: str) -> Source:
    return Source(Path(name), name, PurePath(name), PurePath(name))


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.integers(1, 40))
def test_a_photo_is_in_one_share(name: str, count: int) -> None:
    assert sum(Shard(number, count).takes(source(name)) for number in range(1, count + 1)) == 1


def test_shares_are_alike_in_size() -> None:
    photos = [source(f"sub/IMG_{k:04}") for k in range(4000)]
    sizes = [sum(Shard(number, 8).takes(p) for p in photos) for number in range(1, 9)]
    assert min(sizes) > 400
    # the same on every machine and in every version
    assert [k for k in range(20) if Shard(1, 8).takes(photos[k])] == [1]


@pytest.mark.parametrize("text", ["", "3", "0/3", "4/3", "-1/3", "1/0", "1/3/4", "a/b", " 1/3"])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(HrlmError, match="--shard"):
        Shard.parse(text)


def test_names_of_files(tmp_path: Path) -> None:
    share = Shard.parse("3/16")
    names = [share.file("run.jsonl"), share.file("label-studio.json"), share.file(".hrlm-run.lock")]
    assert names == ["run.3of16.jsonl", "label-studio.3of16.json", ".hrlm-run.3of16.lock"]
    assert WHOLE.file("run.jsonl") == "run.jsonl"
    for name in ("run.jsonl", "run.3of16.jsonl", "run.jsonl.bak", "rerun.jsonl", "run.of.jsonl"):
        (tmp_path / name).touch()
    assert [p.name for p in files_of_all(tmp_path, "run.jsonl")] == ["run.3of16.jsonl", "run.jsonl"]
