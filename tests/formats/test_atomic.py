import errno
from pathlib import Path

import pytest

from hrlm.formats.atomic import WriteError, replacing, write_whole


def test_makes_folders_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_whole(tmp_path / "a" / "b" / "c.json", b"one")
    write_whole(tmp_path / "a" / "b" / "c.json", b"two")
    assert [p.name for p in (tmp_path / "a" / "b").iterdir()] == ["c.json"]
    assert (tmp_path / "a" / "b" / "c.json").read_bytes() == b"two"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.json", b"old")]


def test_a_full_disk_is_told_in_one_line_and_is_hopeless(tmp_path: Path) -> None:
    with pytest.raises(WriteError) as caught, replacing(tmp_path / "a.json"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.hopeless
    assert "a.json" in str(caught.value)
    assert "free some space" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(WriteError, match=r"b\.json") as caught:
        write_whole(tmp_path / "a" / "b.json", b"one")
    assert not caught.value.hopeless


def test_the_longest_allowed_name(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250 + ".json")
    write_whole(path, b"one")
    assert path.read_bytes() == b"one"
