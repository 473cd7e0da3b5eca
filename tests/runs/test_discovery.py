import os
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrlm.photos import PHOTO_SUFFIXES
from hrlm.runs.discovery import Found, find_photos, read_list, result_names

SUFFIXES = {".jpg", ".png"}


def make(top: Path, *names: str) -> None:
    for name in names:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(b"")


def places(found: Found) -> dict[str, str]:
    return {s.name: s.result.as_posix() for s in found.sources}


def test_a_folder_is_mirrored(tmp_path: Path) -> None:
    make(tmp_path, "b.JPG", "sub/deep/a.png", "notes.txt", ".hidden/c.jpg", "._b.jpg", "old.overlay.jpg", "a.jpg")
    found = find_photos([str(tmp_path)], SUFFIXES)
    assert list(places(found).items()) == [("a.jpg", "a"), ("b.JPG", "b"), ("sub/deep/a.png", "sub/deep/a")]
    assert all(s.file.exists() for s in found.sources)
    assert not found.problems


def test_the_output_folder_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "results/a.jpg", "results/sub/b.jpg")
    assert list(places(find_photos([str(tmp_path)], SUFFIXES, exclude=tmp_path / "results"))) == ["a.jpg"]
    # results beside the photos
    assert len(find_photos([str(tmp_path)], SUFFIXES, exclude=tmp_path).sources) == 3


def test_files_and_folders_mirror_what_they_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "x/1.jpg", "x/2.raw", "y/1.jpg")
    monkeypatch.chdir(tmp_path)
    assert places(find_photos(["x", "y"], SUFFIXES)) == {"x/1.jpg": "x/1", "y/1.jpg": "y/1"}
    # a file that is named is taken whatever its suffix, and once
    assert places(find_photos(["x/2.raw", "x/1.jpg", "x"], SUFFIXES)) == {"x/2.raw": "2", "x/1.jpg": "1"}
    absolute = str(tmp_path / "x" / "1.jpg")
    assert places(find_photos([absolute, "y/../y"], SUFFIXES)) == {absolute: "x/1", "y/../y/1.jpg": "y/1"}


def test_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "x/1.jpg", "x/y/2.jpg", "x/notes.txt", "[1].jpg")
    monkeypatch.chdir(tmp_path)
    assert places(find_photos(["x/**/*"], SUFFIXES)) == {"x/1.jpg": "1", "x/y/2.jpg": "y/2"}
    # a name that exists is no pattern
    assert places(find_photos(["[1].jpg"], SUFFIXES)) == {"[1].jpg": "[1]"}
    assert "pattern" in find_photos(["*.webp"], SUFFIXES).problems[0].reason
    assert "no such" in find_photos(["x/*"], SUFFIXES, globs=False).problems[0].reason


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    found = find_photos([str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")], SUFFIXES)
    assert len(found.sources) == 1
    assert [p.name for p in found.problems] == [str(tmp_path / "b.jpg")]


def test_an_unreadable_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a.jpg", "locked/b.jpg")
    scandir = os.scandir

    # rights do not bind an administrator, who may run this
    def locked(path: str) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    found = find_photos([str(tmp_path)], SUFFIXES)
    assert list(places(found)) == ["a.jpg"]
    assert found.problems[0].name.endswith("locked")
    assert "Permission denied" in found.problems[0].reason


def test_links_in_a_circle(tmp_path: Path) -> None:
    make(tmp_path, "x/a.jpg")
    (tmp_path / "x" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert list(places(find_photos([str(tmp_path)], SUFFIXES))) == ["x/a.jpg"]


def test_odd_names(tmp_path: Path) -> None:
    names = [b"a b.jpg", b"line\nend.jpg", b"\xff\xfe.jpg", "ä.jpg".encode()]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(b"")
    found = find_photos([str(tmp_path)], SUFFIXES)
    assert {os.fsencode(s.name) for s in found.sources} == set(names)
    assert all(s.file.exists() for s in found.sources)


def test_lists() -> None:
    assert read_list(b"a b.jpg\r\n\n\xff.jpg") == ["a b.jpg", "\udcff.jpg"]
    assert read_list(b"line\nend.jpg\0b.jpg\0", null_separated=True) == ["line\nend.jpg", "b.jpg"]


def names(*photos: str) -> list[str]:
    return [p.as_posix() for p in result_names([PurePath(p) for p in photos])]


def test_photos_that_share_a_stem_keep_their_extensions() -> None:
    assert names("a.jpg", "a.png", "b.jpg", "sub/a.jpg") == ["a.jpg", "a.png", "b", "sub/a"]
    assert names("A.jpg", "a.png") == ["A.jpg", "a.png"]
    # keeping an extension makes a new clash
    assert names("a.jpg", "a.png", "a.jpg.png") == ["a.jpg", "a.png", "a.jpg.png"]


def test_a_result_never_has_the_name_of_another_file_of_hrlms() -> None:
    assert names("coco.jpg", "sub/coco.jpg", "Label-Studio.png", "rococo.jpg") == [
        "coco.jpg",
        "sub/coco",
        "Label-Studio.png",
        "rococo",
    ]
    assert names("a.jpg", "a.labelme.jpg", "a.corrected.jpg") == ["a", "a.labelme.jpg", "a.corrected.jpg"]


@given(st.sets(st.text("aA_2.", min_size=1, max_size=4).map(lambda s: f"n{s}"), max_size=12))
def test_no_two_results_alike(stems: set[str]) -> None:
    photos = sorted({f"{s}{e}".lower() for s in stems for e in (".jpg", ".png")})
    assert len({n.casefold() for n in names(*photos)}) == len(photos)


def test_numbered_files_do_not_meet_another_photo(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "a_2.jpg", "b.jpg")
    found = find_photos([str(tmp_path)], SUFFIXES)
    assert {s.name: s.numbered.as_posix() for s in found.sources} == {
        "a.jpg": "a.jpg",
        "a_2.jpg": "a_2",
        "b.jpg": "b",
    }


def test_a_raw_file_beside_its_photo_is_the_same_shot(tmp_path: Path) -> None:
    for name in ("a.jpg", "A.NEF", "b.nef", "sub/a.cr3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_photos([str(tmp_path)], PHOTO_SUFFIXES)
    assert [s.name for s in found.sources] == ["a.jpg", "b.nef", "sub/a.cr3"]
    assert found.paired == 1
    # named one by one, it is wanted
    named = find_photos([str(tmp_path / "a.jpg"), str(tmp_path / "A.NEF")], PHOTO_SUFFIXES)
    assert len(named.sources) == 2


@pytest.mark.parametrize(
    "made", ["a.overlay.jpg", "a.compare.png", "a.closeups.jpg", "a.ffhq_2.jpg", "a.upright.jpg", "a.mask_left_eye.png"]
)
def test_pictures_that_hrlm_made_are_no_photos(tmp_path: Path, made: str) -> None:
    (tmp_path / made).touch()
    (tmp_path / "maskerade.v2.jpg").touch()
    assert [s.name for s in find_photos([str(tmp_path)], PHOTO_SUFFIXES).sources] == ["maskerade.v2.jpg"]
