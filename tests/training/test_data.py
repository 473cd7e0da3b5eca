from pathlib import Path

import numpy as np
import pytest
from drawn import COLOURS, SCHEME, draw
from loading import load_samples
from PIL import Image

from hrlm.errors import DataError
from hrlm.formats import pts
from hrlm.models.build import ModelConfig
from hrlm.schemes import parse_scheme
from hrlm.training.augment import augment_photo
from hrlm.training.batches import augmented_item, places_in_groups, training_batches
from hrlm.training.config import Source, Stage
from hrlm.training.data import Memory, load_sources

MARKS = parse_scheme(SCHEME)
MODEL = ModelConfig("marks", SCHEME, face_size=64, region_size=64, global_width=8, regional_width=8)


def colour_errors(pixels: np.ndarray, points: np.ndarray) -> list[float]:
    """Distance of the colour at each landmark from the drawn one."""
    at = [pixels[round(y), round(x)].astype(float) for x, y in points]
    return [float(np.abs(a - c).max()) for a, c in zip(at, COLOURS, strict=True)]


def test_samples_are_cut_with_their_points(tmp_path: Path) -> None:
    draw(tmp_path, 4)
    samples, problems = load_samples(tmp_path, MARKS, 1000)
    assert not problems
    assert len(samples) == 4
    for sample in samples:
        assert max(sample.pixels.shape) < 160
        assert max(colour_errors(sample.pixels, sample.points)) < 12
    small = samples[0].reduced(64)
    assert max(small.pixels.shape) == 64
    assert max(colour_errors(small.pixels, small.points)) < 30


def test_several_faces_of_a_photo_and_faulty_files(tmp_path: Path) -> None:
    draw(tmp_path, 3)
    (tmp_path / "d00.pts").rename(tmp_path / "d00_1.pts")
    (tmp_path / "d00_2.pts").write_bytes((tmp_path / "d00_1.pts").read_bytes())
    (tmp_path / "d01.pts").write_text("version: 1\nn_points: 2\n{\n1 1\n2 2\n}\n")
    (tmp_path / "d02.png").write_bytes(b"no photo")
    samples, problems = load_samples(tmp_path, MARKS, 1000)
    assert [s.name.split("/")[1] for s in samples] == ["d00_1", "d00_2"]
    assert len(problems) == 2
    assert "has 2 points where marks4 has 4" in problems[0]
    assert "d02.png" in problems[1]


def test_folders_without_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        load_samples(tmp_path / "gone", MARKS, 1000)
    with pytest.raises(DataError, match="no landmark file of a known format"):
        load_samples(tmp_path, MARKS, 1000)


def table(folder: Path, sizes: dict[str, tuple[int, int]], faces: int = 1) -> Source:
    """A table of the drawn photos that states these sizes."""
    rows = [",".join(["photo", "width", "height", *(f"{k}{i}" for i in range(4) for k in "xy")])]
    for name, size in sizes.items():
        points = pts.read(folder / f"{name}.pts")
        # a second face lies to the right of the photo
        for k in range(faces):
            rows.append(",".join(map(str, [f"{name}.png", *size, *(points + np.array([130 * k, 0])).ravel()])))
    (folder / "table.csv").write_text("\n".join(rows))
    return Source(folder / "table.csv")


def test_labels_of_a_photo_of_another_size_do_not_train(tmp_path: Path) -> None:
    draw(tmp_path, 3)
    lines: list[str] = []
    source = table(tmp_path, {"d00": (160, 160), "d01": (1280, 1600), "d02": (160, 160)}, faces=2)
    loaded = load_sources([source], MARKS, 1000, Memory(1 << 30), lines.append)[0]
    assert [e.photo.name for e in loaded.training.entries] == ["d00.png", "d02.png"]
    beyond, resized, last = lines
    # the faces beyond the edge each by its name, the photo of another size once for both
    assert "(table/d00#2): most of its landmarks lie outside of it, which has 160 x 160" in beyond
    assert "d01.png: its labels are of a photo of 1280 x 1600, it has 160 x 160: export" in resized
    assert "d02#2" in last
    # without room in memory they are found out when they are shown
    lines.clear()
    entries = load_sources([source], MARKS, 1000, Memory(0), lines.append)[0].training
    assert max(max(s.pixels.shape) for s in entries[:]) < 160
    (tmp_path / "d00.png").unlink()
    Image.new("RGB", (80, 80)).save(tmp_path / "d00.png")
    assert entries[0].name == entries[1].name
    assert "d00.png: its labels are of a photo of 160 x 160, it has 80 x 80" in lines[-1]


@pytest.mark.parametrize(("stated", "trains"), [((160, 120), True), ((120, 160), False)])
def test_a_photos_size_is_that_of_the_upright_photo(tmp_path: Path, stated: tuple[int, int], trains: bool) -> None:
    draw(tmp_path, 2)
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = Image.open(tmp_path / "d00.png").crop((0, 0, 160, 120))
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "d00.png", exif=exif)
    lines: list[str] = []
    loaded = load_sources(
        [table(tmp_path, {"d00": stated, "d01": (160, 160)})], MARKS, 1000, Memory(1 << 30), lines.append
    )[0]
    assert len(loaded.training) == (2 if trains else 1)
    if trains:
        assert lines == []
        assert max(colour_errors(loaded.training[0].pixels, loaded.training[0].points)) < 12
    else:
        assert (
            "its labels are of a photo of 120 x 160, upright it has 160 x 120: label it as a person sees it" in lines[0]
        )


def test_a_larger_face_crop_finds_the_photo_around_the_face(tmp_path: Path) -> None:
    draw(tmp_path, 1)
    image = Image.new("RGB", (640, 640), (250, 0, 250))
    image.paste(Image.open(tmp_path / "d00.png"), (240, 240))
    image.save(tmp_path / "d00.png")
    points = pts.read(tmp_path / "d00.pts") + 240
    pts.write(tmp_path / "d00.pts", points)
    extent = float(np.ptp(points, axis=0).max())

    def side(**margin: float) -> float:
        loaded = load_sources([Source(tmp_path)], MARKS, 1000, Memory(1 << 30), print, **margin)[0]
        return max(loaded.training[0].pixels.shape) / extent

    assert side() == side(margin=1.2) == side(margin=1.5) == pytest.approx(2.2, abs=0.05)
    assert side(margin=3) == pytest.approx(4.4, abs=0.05)


def test_every_so_many_th_photo_validates_and_none_twice(tmp_path: Path) -> None:
    draw(tmp_path, 10)
    loaded = load_sources([Source(tmp_path, validation_every=5)], MARKS, 1000, Memory(1 << 30), print)[0]
    training, validation = ([s.name[-3:] for s in part] for part in (loaded.training, loaded.validation))
    assert validation == ["d00", "d05"]
    assert len(training) == 8
    assert not set(training) & set(validation)


def test_augmentation_keeps_points_on_their_marks(tmp_path: Path) -> None:
    draw(tmp_path, 6)
    samples, _ = load_samples(tmp_path, MARKS, 1000)
    kept = 0
    for seed in range(60):
        sample = augment_photo(samples[seed % 6], np.random.default_rng(seed), samples)
        assert sample.pixels.dtype == np.uint8
        # colours change and things cover marks, so only the order of channels is asked for, and only mostly
        at = [sample.pixels[round(y), round(x)].astype(int) for x, y in sample.points]
        kept += sum(int(a.argmax()) == int(np.argmax(c)) for a, c in zip(at[:3], COLOURS[:3], strict=True))
    assert kept > 0.6 * 180


def test_a_mirrored_face_has_its_twins_exchanged(tmp_path: Path) -> None:
    draw(tmp_path, 1)
    samples, _ = load_samples(tmp_path, MARKS, 1000)
    seen = set()
    for seed in range(12):
        item = augmented_item(samples[0], MARKS, MODEL, samples, np.random.default_rng(seed))
        right, left = item.face.to_crop(item.points)[0, :2]
        seen.add(bool(item.face.mirrored[0]))
        # whichever way it was flipped, "right" is on the left of the picture that the network sees
        assert right[0] < left[0]
    assert seen == {True, False}


def test_batches_do_not_depend_on_workers_or_where_they_start(tmp_path: Path) -> None:
    draw(tmp_path, 5)
    samples, _ = load_samples(tmp_path, MARKS, 1000)
    stage = Stage("s", ("global",), samples=12, batch=3)

    def batches(start: int, workers: int) -> list[np.ndarray]:
        made = training_batches([samples], [0.0], MARKS, MODEL, stage, (1, 0), start, workers)
        return [b.pixels.numpy() for b in made]

    whole = batches(0, 1)
    assert len(whole) == 4
    for a, b in zip(whole, batches(0, 3), strict=True):
        assert np.array_equal(a, b)
    for a, b in zip(whole[2:], batches(2, 2), strict=True):
        assert np.array_equal(a, b)


def test_places_follow_the_shares_everywhere_in_line() -> None:
    group, draw_of = places_in_groups([300, 100, 50], [0.0, 0.0, 0.4], 1000)
    # what the third leaves goes to the others by their size
    assert np.bincount(group) == pytest.approx([450, 150, 400], abs=3)
    for start in range(0, 1000, 100):
        assert (group[start : start + 100] == 2).mean() == pytest.approx(0.4, abs=0.03)
    for g in range(3):
        assert (draw_of[group == g] == np.arange((group == g).sum())).all()


def test_one_group_without_a_share_takes_every_place() -> None:
    group, draw_of = places_in_groups([7], [0.0], 20)
    assert (group == 0).all()
    assert (draw_of == np.arange(20)).all()
