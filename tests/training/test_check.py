"""Faults planted in real files are found and named, and good data is left in peace."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from heads import SIDE, heads, save, write
from PIL import Image

from hrlm.formats import pts
from hrlm.schemes import load_scheme
from hrlm.training import faults
from hrlm.training.annotated import NOT_A_NUMBER, WRONG_SCHEME
from hrlm.training.check import Report, check, run_check
from hrlm.training.config import Source, Stage, TrainConfig
from hrlm.training.sources import NO_LABELS, NO_PHOTO

SCHEME = load_scheme("ibug68")
MIRROR = list(SCHEME.mirror)


def config(tmp_path: Path, *sources: Source) -> TrainConfig:
    return TrainConfig("m", tmp_path / "out", sources, (Stage("s", ("global",), samples=16, max_side=256),))


def coco(path: Path, photo: str, faces: list[np.ndarray], size: tuple[int, int]) -> None:
    keypoints = [[v for x, y in points for v in (x, y, 2)] for points in faces]
    path.write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": photo, "width": size[0], "height": size[1]}],
                "categories": [{"id": 1, "name": "face", "keypoints": list(SCHEME.landmarks)}],
                "annotations": [
                    {"id": i, "image_id": 1, "category_id": 1, "keypoints": k} for i, k in enumerate(keypoints)
                ],
            }
        )
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What is found in three sources full of faults beside a good one."""
    top = tmp_path_factory.mktemp("data")
    bad = top / "bad"
    write(top / "good", "abcdef")
    photos, landmarks = [p for p, _ in heads()], [t for _, t in heads()]

    def plant(name: str, points: np.ndarray, pixels: np.ndarray = photos[0]) -> None:
        save(bad / f"{name}.png", pixels)
        pts.write(bad / f"{name}.pts", points)

    bad.mkdir()
    pts.write(bad / "lost.pts", landmarks[0])
    astronaut = Path(__file__).parents[2] / "examples" / "photos" / "astronaut.png"
    (bad / "unlabelled.png").write_bytes(astronaut.read_bytes())
    plant("damaged", landmarks[0])
    (bad / "damaged.png").write_bytes((bad / "damaged.png").read_bytes()[:5000])
    plant("count66", landmarks[1][:66], photos[1])
    plant("nan", landmarks[1], photos[1])
    text = (bad / "nan.pts").read_text().splitlines()
    (bad / "nan.pts").write_text("\n".join([*text[:9], "nan 12.5", *text[10:]]))
    plant("outside", landmarks[2] + [0.8 * SIDE, 0], photos[2])
    stuck = landmarks[3].copy()
    stuck[30] = stuck[57]
    plant("coincide", stuck, photos[3])
    plant("exchanged", landmarks[4][MIRROR], photos[4])
    eyes = landmarks[5].copy()
    eyes[36:48] = landmarks[5][MIRROR][36:48]
    plant("eyes", eyes, photos[5])
    tiny = cv2.resize(photos[2], (48, 48), interpolation=cv2.INTER_AREA)
    plant("tiny", (landmarks[2] + 0.5) * 48 / SIDE - 0.5, tiny)
    plant("fractions", landmarks[3] / SIDE, photos[3])
    plant("order", landmarks[4][::-1], photos[4])
    # lying on its side in the file, upright by EXIF, labelled as it lies
    lying = Image.fromarray(np.rot90(photos[0]))
    exif = Image.Exif()
    exif[0x0112] = 6
    lying.save(bad / "exif.jpg", exif=exif, quality=95)
    pts.write(bad / "exif.pts", np.stack([landmarks[0][:, 1], SIDE - 1 - landmarks[0][:, 0]], -1))
    # the file of a good photo, labelled by a tool that counts from 0
    (bad / "shifted.png").write_bytes((top / "good" / "b.png").read_bytes())
    pts.write(bad / "shifted.pts", landmarks[1] - 1)
    # a good photo, smaller and saved anew, to validate on
    save(top / "held" / "leak.jpg", cv2.resize(photos[0], (300, 300), interpolation=cv2.INTER_AREA))
    pts.write(top / "held" / "leak.pts", (landmarks[0] + 0.5) * 300 / SIDE - 0.5)
    coco(top / "size.json", "good/c.png", [landmarks[2]], (2 * SIDE, 2 * SIDE))
    coco(top / "twice.json", "good/d.png", [landmarks[3], landmarks[3] + 1], (SIDE, SIDE))
    return check(
        config(
            top,
            Source(top / "good"),
            Source(bad),
            Source(top / "held", validate=True),
            Source(top / "size.json"),
            Source(top / "twice.json"),
            Source(top / "gone"),
        )
    )


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        (NO_PHOTO, "lost.pts", "no photo beside it"),
        (NO_LABELS, "unlabelled.png", "has no landmarks"),
        (faults.UNREADABLE_PHOTO, "damaged.png", ""),
        (WRONG_SCHEME, "count66.pts", "66 points where ibug68 has 68"),
        (NOT_A_NUMBER, "nan.pts", "nan 12.5"),
        (faults.OUTSIDE, "outside.png", "outside of it"),
        (faults.COINCIDE, "coincide.png", "nose_tip and lip_lower_outer_middle"),
        (faults.SWAPPED, "exchanged.png", "all pairs"),
        (faults.SWAPPED, "eyes.png", "eye_right_outer and eye_left_outer"),
        (faults.TOO_SMALL, "tiny.png", "px large"),
        (faults.FRACTIONS, "fractions.png", "between 0 and 1"),
        (faults.ODD_SHAPE, "order.png", "another order"),
        (faults.ORIENTATION, "exif.jpg", "orientation 6"),
        (faults.SHIFTED, "shifted.png", "-1.00, -1.00 px"),
        (faults.LEAK, "leak.jpg", "the same picture, saved anew"),
        (faults.WRONG_SIZE, "c.png", "800 x 800, the photo has 400 x 400"),
        (faults.TWICE, "d.png", "are one face"),
        (faults.UNUSABLE, "gone", "no such file"),
    ],
)
def test_each_planted_fault_is_found_and_named(report: Report, kind: str, name: str, words: str) -> None:
    messages = [p.message for p in report.problems if p.kind == kind and name in p.message]
    assert messages, [(p.kind, p.message) for p in report.problems]
    assert any(words in m for m in messages), messages


def test_no_fault_is_told_of_a_face_that_has_none(report: Report) -> None:
    """Beyond the copies that were planted of them, the good photos draw no remark."""
    copies = {faults.LEAK, faults.REPEATED, faults.SHIFTED, faults.WRONG_SIZE, faults.TWICE}
    about = [p for p in report.problems if p.kind not in copies and "good/" in p.message]
    assert about == []


def test_good_data_is_left_in_peace_and_shown(tmp_path: Path) -> None:
    write(tmp_path / "good", "abcdef")
    lines, sound = run_check(config(tmp_path, Source(tmp_path / "good", validation_every=3)))
    assert sound
    assert "no fault found" in lines
    assert any("4 faces to train on, 2 to validate on" in line for line in lines)
    assert any("68 of the 68 landmarks" in line for line in lines)
    sheet = cv2.imread(str(tmp_path / "out" / "check" / "check.png"))
    assert sheet.shape == (5 * 320, 6 * 320, 3)
    # landmarks are drawn in green
    assert ((sheet == (0, 220, 0)).all(-1)).sum() > 1000
    assert "no fault found" in (tmp_path / "out" / "check" / "check.txt").read_text()


def test_where_every_source_validates_nothing_trains(tmp_path: Path) -> None:
    write(tmp_path / "a", "ab")
    lines, sound = run_check(config(tmp_path, Source(tmp_path / "a", validate=True)))
    assert not sound
    assert [line for line in lines if line.startswith("no sheet of augmented faces: no face is left to train on")]
    # one line, not one for each landmark
    assert f"{faults.UNUSABLE}: 1" in lines
    assert not [line for line in lines if faults.UNTAUGHT in line]


def test_a_test_photo_among_the_training_photos_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a", "abc")
    write(tmp_path / "b", "cdef"[:1])
    pixels, points = heads()[2]
    save(tmp_path / "b" / "other.png", pixels)
    pts.write(tmp_path / "b" / "other.pts", points)
    (tmp_path / "test.txt").write_text("c\n")
    found = check(config(tmp_path, Source(tmp_path / "a", exclude=tmp_path / "test.txt"), Source(tmp_path / "b")))
    messages = [p.message for p in found.problems if p.kind == faults.LEAK]
    assert any("c.png (test)" in m and "other.png (training)" in m for m in messages)


def test_every_exif_orientation_is_undone_as_photos_are_turned() -> None:
    from hrlm.photos.photo import upright

    stored = np.zeros((5, 7, 3), np.uint8)
    stored[1, 4] = 255
    for orientation in range(1, 9):
        y, x = np.argwhere(upright(stored.copy(), orientation)[..., 0])[0]
        assert faults.as_stored(np.array([[4.0, 1.0]]), orientation, 7, 5).tolist() == [[x, y]]
