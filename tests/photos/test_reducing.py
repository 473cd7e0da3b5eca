"""Reduced views: the same pixels as from the whole photo at once, in a small part of its memory."""

import tracemalloc

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hrlm.photos import Photo


@settings(max_examples=30, deadline=None)
@given(st.integers(130, 900), st.integers(130, 900), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_strips_give_what_halving_the_whole_gives(width: int, height: int, times: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    whole = pixels
    for _ in range(times):
        if min(whole.shape[:2]) < 64:
            return
        h, w = (side // 2 for side in whole.shape[:2])
        whole = cv2.resize(whole[: 2 * h, : 2 * w], (w, h), interpolation=cv2.INTER_AREA)
    reduced, ratio = Photo.from_array(pixels).reduced(max(whole.shape[:2]))
    assert ratio == 0.5**times
    assert np.array_equal(reduced, whole)


def test_reducing_takes_little_memory_beside_the_photo() -> None:
    photo = Photo.from_array(np.zeros((3001, 4003, 3), np.uint8))
    photo.reduced(300)
    tracemalloc.start()
    photo.reduced(300)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # the first halving alone would be a quarter of it
    assert peak < 0.1 * photo.pixels.nbytes
