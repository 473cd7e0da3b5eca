import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hrlm import detector as detector_module
from hrlm.detector import (
    SETTLED_SHIFT,
    Detector,
    choose_device,
    face_flags,
    far_off,
    first_crops,
    settled_crop,
)
from hrlm.errors import ModelError, PhotoError
from hrlm.finding import FoundFace
from hrlm.geometry import CropTransform, face_crop, resize_points, rotation_matrix
from hrlm.models.inference import run
from hrlm.models.views import View
from hrlm.photos import Photo, open_photo
from hrlm.schemes import load_scheme

RIGHT_EYE, LEFT_EYE = list(range(36, 42)), list(range(42, 48))
# pupils of the astronaut portrait, read off by eye at 800 %
PUPILS = np.array([[203.4, 101.1], [246.1, 102.9]])


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(device="cpu")


@pytest.fixture(scope="module")
def portrait() -> Photo:
    return open_photo(Path(__file__).parents[1] / "examples" / "photos" / "astronaut.png")


def eyes(landmarks: np.ndarray) -> np.ndarray:
    return np.stack([landmarks[RIGHT_EYE].mean(0), landmarks[LEFT_EYE].mean(0)])


def test_the_portrait_has_one_face_with_eyes_where_they_are(detector: Detector, portrait: Photo) -> None:
    faces = detector.detect(portrait)
    assert len(faces) == 1
    face = faces[0]
    assert np.abs(eyes(face.landmarks) - PUPILS).max() < 2
    assert face.landmarks.shape == (68, 2)
    assert 0.9 > face.deviation.mean() / detector.scheme.inter_ocular(face.landmarks) * 10 > 0.05
    assert face.flags == ()
    # mouth below nose below eyes, chin lowest
    y = face.landmarks[:, 1]
    assert y[27] < y[33] < y[51] < y[57] < y[8]


def test_path_and_photo_give_the_same(detector: Detector, portrait: Photo) -> None:
    a, b = detector.detect(portrait)[0], detector.detect(portrait.path)[0]
    assert np.array_equal(a.landmarks, b.landmarks)


def test_a_photo_gives_the_same_alone_and_in_any_batch(detector: Detector, portrait: Photo) -> None:
    alone = detector.detect(portrait)[0]
    shifted = [Photo.from_array(np.ascontiguousarray(portrait.pixels[k:, k:])) for k in (3, 9, 17, 30)]
    for photos in ([portrait, *shifted], [*shifted, portrait]):
        found = detector.detect_batch(photos)[photos.index(portrait)][0]
        assert np.abs(found.landmarks - alone.landmarks).max() < 0.01
        # to the last bit, so that a run that goes on with its last photo writes what one run would have written
        assert np.array_equal(detector.detect(portrait)[0].landmarks, alone.landmarks)
        assert np.array_equal(detector.detect_batch(photos)[photos.index(portrait)][0].landmarks, found.landmarks)


def test_what_the_caller_computes_in_changes_nothing(portrait: Photo) -> None:
    expected = Detector("ibug68-small", "cpu", quality="fast").detect(portrait)[0].landmarks
    usual = torch.get_default_dtype()
    try:
        for dtype in (torch.float32, torch.float64):
            torch.set_default_dtype(dtype)
            with torch.autocast("cpu", torch.bfloat16):
                found = Detector("ibug68-small", "cpu", quality="fast").detect_batch([portrait, portrait])
            assert np.abs(found[1][0].landmarks - expected).max() < 0.01
    finally:
        torch.set_default_dtype(usual)


def _detect_there(detector: Detector, photos: list[Photo], answers: "multiprocessing.Queue[np.ndarray]") -> None:
    answers.put(detector.detect_batch(photos)[0][0].landmarks)


@pytest.mark.parametrize(("start", "here", "there"), [("fork", 1, 1), ("fork", 1, 2), ("fork", 2, 1), ("spawn", 1, 1)])
def test_other_processes_go_on_with_a_detector(portrait: Photo, start: str, here: int, there: int) -> None:
    """Whether one photo or several were looked at before, or are then."""
    if start not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {start} on this system")
    detector = Detector("ibug68-small", "cpu", quality="fast")
    expected = detector.detect_batch([portrait] * here)[0][0].landmarks
    context = multiprocessing.get_context(start)
    answers = context.Queue()
    process = context.Process(target=_detect_there, args=(detector, [portrait] * there, answers), daemon=True)
    process.start()
    try:
        found = answers.get(timeout=60)
    finally:
        process.kill()
    assert np.abs(found - expected).max() < 0.01


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_photo_gives_the_turned_landmarks(detector: Detector, portrait: Photo, turns: int) -> None:
    upright = detector.detect(portrait)[0].landmarks
    turned = detector.detect(Photo.from_array(np.ascontiguousarray(np.rot90(portrait.pixels, turns))))
    assert len(turned) == 1
    size = portrait.width - 1  # the portrait is square
    points = turned[0].landmarks
    for _ in range(turns):  # back: np.rot90 turns counter-clockwise
        points = np.stack([size - points[:, 1], points[:, 0]], -1)
    off = np.linalg.norm(points - upright, axis=-1) / detector.scheme.inter_ocular(upright)
    assert off.mean() < 0.02
    assert "turned" in turned[0].flags


def test_an_enlarged_photo_gives_the_enlarged_landmarks(detector: Detector, portrait: Photo) -> None:
    small = detector.detect(portrait)[0].landmarks
    big = Photo.from_array(np.repeat(np.repeat(portrait.pixels, 4, 0), 4, 1))
    found = detector.detect(big)[0].landmarks
    back = resize_points(torch.from_numpy(found), 1 / 4).numpy()
    assert np.linalg.norm(back - small, axis=-1).mean() / detector.scheme.inter_ocular(small) < 0.01


def test_the_second_look_refines_the_first(detector: Detector, portrait: Photo) -> None:
    both, holistic = detector.detect(portrait)[0], Detector(device="cpu", levels=0).detect(portrait)[0]
    off = np.linalg.norm(both.landmarks - holistic.landmarks, axis=-1)
    assert 0 < off.mean() < 0.05 * detector.scheme.inter_ocular(both.landmarks)
    assert both.deviation.mean() < holistic.deviation.mean()


def test_no_face_gives_none(detector: Detector) -> None:
    grey = Photo.from_array(np.full((300, 400, 3), 128, np.uint8))
    assert detector.detect_batch([grey, grey]) == [[], []]
    assert detector.detect_batch([]) == []


def test_several_faces_largest_first(detector: Detector, portrait: Photo) -> None:
    pixels = np.full((700, 1200, 3), 90, np.uint8)
    half = portrait.reduced(256)[0]
    pixels[50:306, 50:306] = half
    pixels[100:612, 600:1112] = portrait.pixels
    faces = detector.detect(Photo.from_array(pixels))
    assert len(faces) == 2
    assert faces[0].area > faces[1].area
    assert np.abs(eyes(faces[0].landmarks) - PUPILS - (600, 100)).max() < 2
    assert len(detector.detect(Photo.from_array(pixels), faces="largest")) == 1
    assert len(detector.detect(Photo.from_array(pixels), min_face=faces[1].box[3] + 5)) == 1


def test_a_face_cut_by_the_frame_is_found_and_flagged(detector: Detector, portrait: Photo) -> None:
    whole = detector.detect(portrait)[0].landmarks
    left = int(whole[:, 0].min() + 0.15 * np.ptp(whole[:, 0]))
    faces = detector.detect(Photo.from_array(np.ascontiguousarray(portrait.pixels[:, left:])))
    assert len(faces) == 1
    assert "cut" in faces[0].flags


def test_bad_input_is_named(detector: Detector, tmp_path: Path) -> None:
    bad = tmp_path / "x.jpg"
    bad.write_bytes(b"nothing")
    with pytest.raises(PhotoError, match=r"x\.jpg"):
        detector.detect(bad)
    with pytest.raises(ModelError, match="no model named"):
        Detector("unknown")
    with pytest.raises(ModelError, match="not available"):
        choose_device("cuda:77")
    with pytest.raises(ValueError, match="faces"):
        detector.detect_batch([], faces="some")


def misplaced(crop: CropTransform, right: float, wider: float, turned: float) -> CropTransform:
    """A crop moved by a share of its side, widened and turned (radians)."""
    shift = torch.tensor([right, 0.0], dtype=torch.float64) * crop.side[:, None]
    return CropTransform.make(crop.centre + shift, crop.side * wider, crop.size, crop.angle + turned)


def test_landmarks_depend_on_the_face_and_hardly_on_the_box(
    detector: Detector, portrait: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    crop = detector.first_crops(detector.find(portrait))
    boxes = [misplaced(crop, *by) for by in ((0, 1, 0), (0.03, 1.1, 0.1), (-0.03, 0.9, -0.1), (0.02, 1.15, 0))]

    def spread() -> float:
        points = np.stack([detector.locate([portrait], [box])[0].points[0] for box in boxes])
        return float(np.linalg.norm(points - points.mean(0), axis=-1).mean())

    settled = spread()
    monkeypatch.setattr(detector_module, "better_at", lambda index, face, better: face)
    assert settled < 0.4 * spread()


def test_a_face_gives_the_same_alone_and_beside_others(detector: Detector, portrait: Photo) -> None:
    crop = detector.first_crops(detector.find(portrait))
    crops = CropTransform.cat([crop, misplaced(crop, 0.15, 1.1, 0.1), misplaced(crop, -0.05, 0.9, 0)])
    for each in (detector, Detector(device="cpu", quality="fast")):
        together = each.locate([portrait], [crops])[0].points
        alone = np.concatenate([each.locate([portrait], [crops[i : i + 1]])[0].points for i in range(3)])
        assert np.abs(together - alone).max() < 0.01


def test_fast_moves_only_a_crop_that_is_far_off(portrait: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = Detector(device="cpu", quality="fast")
    looks: list[int] = []
    look = Detector._global
    monkeypatch.setattr(
        Detector, "_global", lambda self, pixels, face, view: looks.append(len(face)) or look(self, pixels, face, view)
    )
    crop = fast.first_crops(fast.find(portrait))
    near, far = fast.locate([portrait], [CropTransform.cat([crop, misplaced(crop, 0.2, 1.1, 0.3)])])[0].points
    assert looks == [2, 1]
    assert np.linalg.norm(far - near, axis=-1).mean() < 0.02 * fast.scheme.inter_ocular(near)


@pytest.mark.parametrize(("enlarged", "aside"), [(1, []), (3, [View(aside=True)]), (8, [View(aside=True, soft=True)])])
def test_best_places_the_crop_by_one_view_before_all_look(
    detector: Detector, portrait: Photo, enlarged: int, aside: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[View] = []
    look = Detector._global
    monkeypatch.setattr(
        Detector, "_global", lambda self, pixels, face, view: looks.append(view) or look(self, pixels, face, view)
    )
    photo = Photo.from_array(np.repeat(np.repeat(portrait.pixels, enlarged, 0), enlarged, 1))
    assert len(detector.detect(photo)) == 1
    settled = [turned for view in ([View()], aside) for own in view for turned in (own, replace(own, mirrored=True))]
    assert looks == [View(), *settled, *settled]


def test_every_region_is_looked_at_at_its_own_size(portrait: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = Detector(device="cpu", quality="fast")
    fast._net.region_sizes = (192,) * 7
    usual = fast.detect(portrait)[0]
    seen: list[tuple[int, ...]] = []

    def spy(net: torch.nn.Module, pixels: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(pixels.shape))
        return run(net, pixels, *others)

    monkeypatch.setattr(detector_module, "run", spy)
    fast._net.region_sizes = (160, 160, 128, 160, 128, 128, 128)
    smaller = fast.detect(portrait)[0]
    assert seen[1:] == [(4, 3, 128, 128), (3, 3, 160, 160)]
    inter_ocular = fast.scheme.inter_ocular(usual.landmarks)
    assert 0 < np.linalg.norm(smaller.landmarks - usual.landmarks, axis=1).mean() < 0.02 * inter_ocular


def test_a_settled_crop_hardly_moves_with_one_landmark_at_the_rim() -> None:
    scheme = load_scheme("ibug68")
    points = (torch.tensor(scheme.shape, dtype=torch.float64) * 100 + 500)[None]
    crop, usual = settled_crop(points, scheme, 256, 1.5), face_crop(points, scheme.normaliser, 256, 1.5)
    assert (crop.side, crop.angle) == (usual.side, usual.angle)
    # the chin moves the box's middle by half its way, the mean by a 68th of it
    points[:, 8] += torch.tensor([0.0, 6.8])
    assert (settled_crop(points, scheme, 256, 1.5).centre - crop.centre).norm() < 0.3
    assert (face_crop(points, scheme.normaliser, 256, 1.5).centre - usual.centre).norm() > 3


def test_an_odd_face_settles_near_where_training_has_it() -> None:
    """All but one of the landmarks in one half of the box: their mean is far from its middle."""
    scheme = load_scheme("ibug68")
    points = (torch.tensor(scheme.shape, dtype=torch.float64) * 100 + 500)[None]
    points[:, 0, 0] -= 150
    crop, usual = settled_crop(points, scheme, 256, 1.5), face_crop(points, scheme.normaliser, 256, 1.5)
    assert (points.mean(1) - usual.centre).norm() > 0.1 * usual.side
    shift = crop.centre - usual.centre
    assert float(shift.norm() / usual.side) == pytest.approx(SETTLED_SHIFT)
    assert shift[0, 0] > 0.03 * usual.side
    assert not far_off(crop, usual).any()


def test_a_usual_face_settles_where_training_has_it() -> None:
    scheme = load_scheme("ibug68")
    turn = rotation_matrix(torch.tensor(0.3, dtype=torch.float64))
    points = (torch.tensor(scheme.shape, dtype=torch.float64) * 200 @ turn.T + 500)[None]
    usual = face_crop(points, scheme.normaliser, 256, 1.5)
    assert settled_crop(points, scheme, 256, 1.5).centre.numpy() == pytest.approx(usual.centre.numpy(), abs=1e-6)
    shapeless = replace(scheme, shape=None)
    assert settled_crop(points, shapeless, 256, 1.5).centre.numpy() == pytest.approx(points.mean(1).numpy())


@pytest.mark.parametrize(
    ("by", "far"),
    [((0.09, 1, 0), False), ((0.11, 1, 0), True), ((0, 1.2, 0), False), ((0, 1.25, 0), True), ((0, 1, -0.21), True)],
)
def test_far_off(by: tuple[float, float, float], far: bool) -> None:
    # turned by nearly half a turn: angles that differ by whole turns are the same
    crop = CropTransform.make(
        torch.tensor([[5.0, 6.0]]), torch.tensor([100.0]), 256, torch.tensor([3.1], dtype=torch.float64)
    )
    other = misplaced(crop, *by)
    turned = CropTransform.make(other.centre, other.side, 256, other.angle - 2 * np.pi)
    assert far_off(crop, other).tolist() == far_off(crop, turned).tolist() == [far]


def test_the_first_crop_turns_with_the_face() -> None:
    five = np.array([[-10.0, -10], [10, -10], [0, 0], [-8, 10], [8, 10]])
    upright = FoundFace((80, 80, 40, 40), 0.9, five + 100)
    turned = FoundFace((80, 80, 40, 40), 0.9, five @ np.array([[0.0, 1], [-1, 0]]) + 100)
    crops = first_crops([upright, turned], 256, 1.5)
    assert crops.angle.tolist() == pytest.approx([0, np.pi / 2], abs=1e-6)
    below = crops.centre - 100
    assert below[0, 1] > 0
    # what was below the middle of an upright face lies left of a face turned clockwise
    assert below[1].tolist() == pytest.approx([-float(below[0, 1]), 0], abs=1e-6)


def test_flags() -> None:
    photo = Photo.from_array(np.zeros((100, 100, 3), np.uint8))
    points = np.array([[10.0, 10], [90, 10], [50, 80]])
    sure = np.ones(3)
    assert face_flags(points, sure, 0.1, 80, photo) == ()
    assert face_flags(points + 20, sure, 0.1, 80, photo) == ("cut",)
    assert face_flags(points, sure, 2.0, 20, photo) == ("small", "turned")
    assert face_flags(points, sure * 9, 0.0, 80, photo) == ("uncertain",)


def test_annotators_habits_may_be_left_out(detector: Detector, portrait: Photo) -> None:
    """Without them a mirrored photo gives the mirrored landmarks; those of ibug68 put them further right in both."""
    plain = Detector(device="cpu", habits=False)
    mirrored = Photo.from_array(np.ascontiguousarray(portrait.pixels[:, ::-1]))

    def difference(of: Detector) -> np.ndarray:
        own, other = (of.detect(photo)[0].landmarks for photo in (portrait, mirrored))
        back = np.stack([portrait.width - 1 - other[:, 0], other[:, 1]], 1)[list(of.scheme.mirror)]
        return (own - back) / of.scheme.inter_ocular(own)

    without, usual = difference(plain), difference(detector)
    assert abs(without[:, 0].mean()) < 0.003
    assert np.linalg.norm(without, axis=1).mean() < 0.01
    assert 0.008 < usual[:, 0].mean() < 0.03
    assert detector.detect(portrait)[0].deviation == pytest.approx(plain.detect(portrait)[0].deviation)


def test_a_face_that_its_crop_reduces_is_looked_at_in_two_more_views(detector: Detector, portrait: Photo) -> None:
    large = open_photo(Path(__file__).parents[1] / "examples" / "heads" / "head-2026-0000.jpg")
    photos = [portrait, large, portrait]
    crops = [detector.first_crops(detector.find(photo)[:1]) for photo in photos]
    assert [float(crop.scale) > 1 for crop in crops] == [False, True, False]
    views = {tuple(some): own for some, own in detector._batches(CropTransform.cat(crops))}
    assert {some: len(own) for some, own in views.items()} == {(0, 2): 2, (1,): 4}
    together = detector.locate(photos, crops)
    for photo, crop, one in zip(photos, crops, together, strict=True):
        assert np.abs(one.points - detector.locate([photo], [crop])[0].points).max() < 0.01


def test_the_dense_model_finds_pupils_and_irises(portrait: Photo) -> None:
    dense = Detector("frl189", device="cpu")
    faces = dense.detect(portrait)
    assert len(faces) == 1
    points = dict(zip(dense.scheme.landmarks, faces[0].landmarks, strict=True))
    assert np.abs(np.stack([points["pupil_right"], points["pupil_left"]]) - PUPILS).max() < 2
    for side, pupil in zip(("right", "left"), PUPILS, strict=True):
        iris = np.stack([at for name, at in points.items() if name.startswith(f"iris_{side}")])
        assert np.abs(iris.mean(0) - pupil).max() < 2
        assert np.linalg.norm(iris - iris.mean(0), axis=1).max() < 8
    assert dense.metadata["terms"][0].endswith("CC BY 4.0")
