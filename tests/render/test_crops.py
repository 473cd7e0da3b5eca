import numpy as np
import pytest
import torch

from hrlm.errors import HrlmError
from hrlm.render.crops import cut, ffhq_crop, upright_crop
from hrlm.results import Face
from hrlm.schemes import load_scheme, parse_scheme

SCHEME = load_scheme("ibug68")


def face(roll: float = 0.0, scale: float = 1.0) -> Face:
    """Eyes at ±50, 0 and a mouth at ±30, 90 from the middle between the eyes, rolled and set into a photo."""
    points = np.zeros((68, 2))
    points[:17] = np.stack([np.linspace(-100, 100, 17), np.linspace(0, 160, 17) * np.sin(np.linspace(0, np.pi, 17))], 1)
    for first, x in ((36, -50), (42, 50)):
        points[first : first + 6] = [[x - 15, 0], [x - 5, -5], [x + 5, -5], [x + 15, 0], [x + 5, 5], [x - 5, 5]]
    points[48:60, 1] = points[60:, 1] = 90
    points[48, 0], points[54, 0] = -30, 30
    c, s = np.cos(roll), np.sin(roll)
    turned = scale * points @ np.array([[c, s], [-s, c]]) + (400.3, 300.7)
    return Face(turned, np.ones(68), (0.0, 0.0, 1.0, 1.0), 1.0)


def placed(point: np.ndarray, crop: object) -> np.ndarray:
    return crop.to_crop(torch.tensor(point)[None, None])[0, 0].numpy()  # type: ignore[attr-defined]


@pytest.mark.parametrize("roll", [0.0, 0.4, -1.0])
@pytest.mark.parametrize("scale", [1.0, 1.7])
def test_ffhq_puts_eyes_and_mouth_where_its_definition_says(roll: float, scale: float) -> None:
    one = face(roll, scale)
    crop = ffhq_crop(one, SCHEME)
    # eyes 100 apart, mouth 90 below: the side is 2 max(2 x 100, 1.8 x 90) = 400, the centre 9 below the eyes
    assert crop.size == pytest.approx(400 * scale, abs=0.5)
    assert float(crop.scale[0]) == 1, "native density"
    eye_right, eye_left = one.landmarks[36:42].mean(0), one.landmarks[42:48].mean(0)
    edge = np.array([[-0.5, -0.5]]) + crop.size * np.array([[150 / 400, 191 / 400], [250 / 400, 191 / 400]])
    np.testing.assert_allclose([placed(eye_right, crop), placed(eye_left, crop)], edge, atol=0.5)
    mouth = placed((one.landmarks[48] + one.landmarks[54]) / 2, crop)
    np.testing.assert_allclose(mouth, -0.5 + crop.size * np.array([0.5, 281 / 400]), atol=0.5)


def test_a_long_face_counts_by_its_height() -> None:
    one = face()
    long = Face(one.landmarks + np.where(np.arange(68) >= 48, 60, 0)[:, None] * [0, 1], one.deviation, one.box, 1.0)
    assert ffhq_crop(long, SCHEME).size == round(2 * 1.8 * 150)


def test_a_slanting_mouth_turns_the_crop_half_way() -> None:
    one = face()
    slant = one.landmarks.copy()
    slant[48:, 0] += 90 * np.tan(0.1)
    angle = float(ffhq_crop(Face(slant, one.deviation, one.box, 1.0), SCHEME).angle[0])
    expected = np.arctan2(-90 * np.tan(0.1), 100 + 90)
    assert angle == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("roll", [0.0, 0.5])
def test_upright_crops_hold_the_level_face_unscaled(roll: float) -> None:
    one = face(roll)
    crop = upright_crop(one, SCHEME)
    right, left = placed(one.landmarks[36], crop), placed(one.landmarks[45], crop)
    assert right[1] == pytest.approx(left[1], abs=1e-6)
    assert left[0] - right[0] == pytest.approx(130)
    inside = np.array([placed(p, crop) for p in one.landmarks])
    assert (inside > 0).all()
    assert (inside < crop.size).all()


@pytest.mark.parametrize("roll", [0.0, 0.3, -0.8])
def test_cut_pixels_are_where_the_crop_says(roll: float) -> None:
    one = face(roll)
    y, x = np.mgrid[:600, :800]
    pixels = np.zeros((600, 800, 3), np.uint8)
    spots = one.landmarks[[36, 45, 48, 54]]
    for spot in spots:
        pixels[:, :, 0] = np.maximum(pixels[:, :, 0], 255 * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / 18))
    crop = ffhq_crop(one, SCHEME)
    seen = cut(pixels, crop)[:, :, 0].astype(float)
    assert seen.shape == (crop.size, crop.size)
    for spot in spots:
        px, py = placed(spot, crop)
        corner = np.array([round(px) - 8, round(py) - 8])
        part = seen[corner[1] : corner[1] + 17, corner[0] : corner[0] + 17]
        v, u = np.mgrid[:17, :17]
        found = corner + np.array([(u * part).sum(), (v * part).sum()]) / part.sum()
        np.testing.assert_allclose(found, (px, py), atol=0.1)


def test_level_crops_at_whole_pixels_keep_pixels_as_they_are() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (400, 500, 3), dtype=np.uint8)
    one = upright_crop(face(), SCHEME)
    whole = type(one).make(torch.tensor([[199.5, 149.5]], dtype=torch.float64), torch.tensor([100.0]).double(), 100)
    np.testing.assert_array_equal(cut(pixels, whole), pixels[100:200, 150:250])


def test_beyond_the_photo_stands_its_mirror_image() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    crop = upright_crop(face(), SCHEME)
    corner = type(crop).make(torch.tensor([[0.5, 99.5]], dtype=torch.float64), torch.tensor([100.0]).double(), 100)
    seen = cut(pixels, corner)
    np.testing.assert_array_equal(seen[:, 49:], pixels[50:150, :51])
    np.testing.assert_array_equal(seen[:, :49], pixels[50:150, 1:50][:, ::-1])
    far = type(crop).make(torch.tensor([[9e3, 9e3]], dtype=torch.float64), torch.tensor([50.0]).double(), 50)
    assert cut(pixels, far).shape == (50, 50, 3)


def test_what_cannot_be_cropped_is_refused() -> None:
    own = parse_scheme("name: two\nlandmarks: [a, b]\nregions: {all: {landmarks: [0, 1]}}\nnormaliser: [0, 1]")
    two = Face(np.array([[0.0, 0.0], [9.0, 9.0]]), np.ones(2), (0.0, 0.0, 1.0, 1.0), 1.0)
    with pytest.raises(HrlmError, match="two has no line"):
        ffhq_crop(two, own)
    assert upright_crop(two, own).size > 9
    with pytest.raises(HrlmError, match="2 landmarks"):
        upright_crop(two, SCHEME)
    huge = Face(1e6 * face().landmarks, np.ones(68), (0.0, 0.0, 1.0, 1.0), 1.0)
    with pytest.raises(HrlmError, match="larger than a crop"):
        ffhq_crop(huge, SCHEME)
