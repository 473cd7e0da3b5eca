"""Photos of wide gamut and 16 bits: the colours, and so the landmarks, of their sRGB 8-bit versions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from photo_files import SPACES, deep_png, in_space, profile_of
from PIL import Image

from hrlm.detector import Detector
from hrlm.geometry import CropTransform, face_crop
from hrlm.photos import Photo, open_photo

# of the inter-ocular distance
FAR = 0.002


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(device="cpu", quality="fast")


@dataclass
class Known:
    """A photo, the crop of its largest face, and the landmarks found there."""

    photo: Photo
    crop: CropTransform
    landmarks: np.ndarray


@pytest.fixture(scope="module", params=["photos/astronaut.png", "heads/head-2026-0000.jpg"])
def known(request: pytest.FixtureRequest, astronaut: Path, detector: Detector) -> Known:
    photo = open_photo(astronaut.parents[1] / request.param)
    photo = Photo.from_array(photo.reduced(800)[0])
    face = detector.detect(photo, "largest")[0]
    # what colours change is asked for here, not where a finder's box lies
    crop = face_crop(torch.from_numpy(face.landmarks)[None], detector.scheme.normaliser, 256, 1.4)
    return Known(photo, crop, detector.locate([photo], [crop])[0].points[0])


@pytest.mark.parametrize("space", SPACES)
def test_wide_gamut(tmp_path: Path, known: Known, detector: Detector, space: str) -> None:
    there, profile = in_space(known.photo.pixels, space), profile_of(space)
    (tmp_path / "deep.png").write_bytes(deep_png(there, profile))
    Image.fromarray((there >> 8).astype(np.uint8)).save(tmp_path / "wide.tif", icc_profile=profile)
    deep, wide = open_photo(tmp_path / "deep.png"), open_photo(tmp_path / "wide.tif")
    for photo in (deep, wide):
        assert np.abs(photo.pixels.astype(int) - known.photo.pixels).mean() < 0.5
    points = detector.locate([deep], [known.crop])[0].points[0]
    far = np.linalg.norm(points - known.landmarks, axis=1).mean() / detector.scheme.inter_ocular(known.landmarks)
    assert far < FAR


def test_sixteen_bits_are_the_same_to_the_last_bit(tmp_path: Path, astronaut: Path) -> None:
    plain = open_photo(astronaut).pixels
    deep = plain.astype(np.uint16) * 257
    (tmp_path / "deep.png").write_bytes(deep_png(deep))
    assert (open_photo(tmp_path / "deep.png").pixels == plain).all()
    tifffile = pytest.importorskip("tifffile")
    pytest.importorskip("imagecodecs")
    tifffile.imwrite(
        tmp_path / "deep.tif", deep, photometric="rgb", compression="zlib", predictor=True, tile=(256, 256)
    )
    assert (open_photo(tmp_path / "deep.tif").pixels == plain).all()
