from itertools import pairwise

import numpy as np
import pytest

from hrlm.render.closeups import draw_closeups
from hrlm.render.overlay import COLOURS, Look
from hrlm.render.strokes import text_width
from hrlm.results import Face
from hrlm.schemes import load_scheme

SCHEME = load_scheme("ibug68")
PIXELS = np.random.default_rng(0).integers(60, 90, (500, 400, 3), dtype=np.uint8)


def face() -> Face:
    grid = np.random.default_rng(1).uniform(0, 1, (68, 2))
    return Face(grid * (200, 260) + (100, 120), np.ones(68), (100.0, 120.0, 200.0, 260.0), 1.0)


def holds(sheet: np.ndarray, part: np.ndarray) -> bool:
    """Whether `part` stands somewhere on the sheet, pixel for pixel."""
    height, width = part.shape[:2]
    for y, x in np.argwhere((sheet == part[0, 0]).all(-1)):
        if (sheet[y : y + height, x : x + width].shape == part.shape) and (
            sheet[y : y + height, x : x + width] == part
        ).all():
            return True
    return False


def test_every_region_is_there_pixel_for_pixel() -> None:
    one = face()
    sheet = draw_closeups(PIXELS, one, SCHEME, Look())
    assert sheet.dtype == np.uint8
    for region in SCHEME.regions:
        points = one.landmarks[list(region.landmarks)]
        low, high = np.floor(points.min(0)).astype(int), np.ceil(points.max(0)).astype(int) + 1
        assert holds(sheet, PIXELS[low[1] : high[1], low[0] : high[0]]), region.name
    assert (sheet == COLOURS["points"]).all(-1).sum() > 68


def test_regions_outside_the_photo_are_left_out() -> None:
    one = face()
    whole = draw_closeups(PIXELS, one, SCHEME, Look())
    gone = Face(one.landmarks + np.where(np.arange(68) < 48, 5000, 0)[:, None], one.deviation, one.box, 1.0)
    assert draw_closeups(PIXELS, gone, SCHEME, Look()).size < whole.size
    nothing = Face(one.landmarks + 5000, one.deviation, one.box, 1.0)
    assert draw_closeups(PIXELS, nothing, SCHEME, Look()).size < 10_000


def test_labels_have_room_on_the_sheet_of_a_small_face(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[float, float, float]] = []

    def note(pixels: np.ndarray, places: list[tuple[float, float, str]], size: float, *_: object) -> None:
        written.extend((y, x, x + text_width(text, size)) for x, y, text in places)
        assert all(x + text_width(text, size) <= pixels.shape[1] for x, _, text in places)

    monkeypatch.setattr("hrlm.render.closeups.write_text", note)
    one = face()
    middle = one.landmarks.mean(0)
    small = Face(middle + (one.landmarks - middle) / 10, one.deviation, one.box, 1.0)
    draw_closeups(PIXELS, small, SCHEME, Look())
    assert len(written) == len(SCHEME.regions)
    for (y, _, end), (next_y, begin, _) in pairwise(sorted(written)):
        assert next_y > y or begin > end
