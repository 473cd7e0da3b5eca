from pathlib import Path

from hrlm.photos.folders import files_in, photos_of


def test_what_lies_in_a_folder(tmp_path: Path) -> None:
    """By path; links are followed, once for each folder; hidden files and folders are left out."""
    top = tmp_path / "top"
    for name in ("top/b.jpg", "top/deep/a.pts", "top/._b.jpg", "top/.thumbnails/b.jpg", "else/c.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (top / "link").symlink_to(tmp_path / "else", target_is_directory=True)
    (top / "loop").symlink_to(top, target_is_directory=True)
    (top / "gone.jpg").symlink_to(tmp_path / "nowhere")
    assert [p.relative_to(top).as_posix() for p in files_in(top)] == ["b.jpg", "deep/a.pts", "link/c.jpg"]


def test_which_files_are_photos_of_their_own() -> None:
    """Not a raw file with its JPEG beside it, nor a picture that hrlm made."""
    files = [Path(n) for n in ("a.CR2", "A.jpg", "b.cr2", "sub/a.cr2", "a.overlay.jpg", "a.pts", ".c.jpg")]
    assert photos_of(files) == [Path("A.jpg"), Path("b.cr2"), Path("sub/a.cr2")]
