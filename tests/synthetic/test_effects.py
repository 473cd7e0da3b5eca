import io

import numpy as np
import pytest
from PIL import Image

from hrlm.synthetic import effects


def spot() -> np.ndarray:
    pixels = np.zeros((41, 41, 3), np.uint8)
    pixels[20, 20] = 255
    return pixels


@pytest.mark.parametrize("length", [2.0, 5.0, 8.5])
@pytest.mark.parametrize("direction", [0.0, 0.7, 2.5])
def test_motion_blur_spreads_light_along_its_direction_and_moves_nothing(length: float, direction: float) -> None:
    bright = np.zeros((41, 41, 3), np.uint8)
    bright[18:23, 18:23] = 250
    blurred = effects.motion_blur(bright, length, direction)[..., 0].astype(float)
    y, x = np.mgrid[:41, :41]
    assert (blurred * x).sum() / blurred.sum() == pytest.approx(20, abs=0.02)
    assert (blurred * y).sum() / blurred.sum() == pytest.approx(20, abs=0.02)
    along = (x - 20) * np.cos(direction) + (y - 20) * np.sin(direction)
    across = (y - 20) * np.cos(direction) - (x - 20) * np.sin(direction)
    assert (blurred * along**2).sum() > (blurred * across**2).sum() * 1.05


def test_noise_has_the_deviation_and_no_bias() -> None:
    grey = np.full((300, 300, 3), 128, np.uint8)
    noisy = effects.sensor_noise(grey, 4.0, np.random.default_rng(0)).astype(float)
    assert noisy.mean() == pytest.approx(128, abs=0.1)
    assert noisy.std() == pytest.approx(4 * (1.3 - 0.6 * 128 / 255) * np.hypot(0.8, 0.4), rel=0.05)


def test_a_jpeg_is_one() -> None:
    data = effects.jpeg(spot(), 90)
    assert Image.open(io.BytesIO(data)).size == (41, 41)
    assert len(effects.jpeg(effects.sensor_noise(spot(), 9, np.random.default_rng(0)), 30)) < len(
        effects.jpeg(effects.sensor_noise(spot(), 9, np.random.default_rng(0)), 95)
    )
