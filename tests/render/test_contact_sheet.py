from pathlib import Path

import numpy as np
from PIL import Image

from hrlm.render.overlay import COLOURS, Look
from hrlm.render.sheet import COLUMNS, MARGIN, PAGE, ROWS, THUMBNAIL, Entry, draw_thumbnail, pages
from hrlm.results import Face
from hrlm.schemes import load_scheme

SCHEME = load_scheme("ibug68")


def as_face(corner: tuple[float, float], size: float) -> Face:
    grid = np.random.default_rng(0).uniform(0, 1, (68, 2))
    grid[:2] = [[0, 0], [1, 1]]
    return Face(grid * size + corner, np.ones(68), (*corner, size, size), 1.0)


def test_thumbnails_show_the_faces_with_marks_where_the_landmarks_are() -> None:
    pixels = np.full((3000, 4000, 3), 90, np.uint8)
    pixels[:, :1000] = 10
    one = as_face((2000, 1000), 800)
    small = draw_thumbnail(pixels, [one], SCHEME, Look(("points",)))
    assert max(small.shape) == THUMBNAIL
    assert (small[:, 0] > 80).all(), "the dark part of the photo is left out"
    # 1200 photo pixels around the middle are shown
    ratio = THUMBNAIL / 1200
    for x, y in ((one.landmarks - (1800, 800)) * ratio)[:5]:
        part = small[int(y) - 1 : int(y) + 3, int(x) - 1 : int(x) + 3].astype(int)
        assert np.abs(part - COLOURS["points"]).max(-1).min() < 60
    assert draw_thumbnail(pixels, [], SCHEME, Look()).shape[:2] == (round(THUMBNAIL * 0.75), THUMBNAIL)
    assert draw_thumbnail(pixels[:50, :50], [as_face((1e7, 1e7), 5)], SCHEME, Look()).size
    assert draw_thumbnail(pixels[:90, :50], [], SCHEME, Look()).shape == (90, 50, 3), "never enlarged"


def test_pages_hold_the_thumbnails_in_order(tmp_path: Path) -> None:
    entries = []
    for i in range(COLUMNS * ROWS + 3):
        path = tmp_path / f"{i}.png"
        Image.new("RGB", (THUMBNAIL, THUMBNAIL), (i * 5, 0, 200)).save(path)
        entries.append(Entry(f"sub/{'long' * 20}_{i}.jpg", path, 0.0, "0.010"))
    first, second = pages(entries)
    assert first.size == second.size == PAGE
    inside = MARGIN + THUMBNAIL // 2
    assert first.getpixel((inside, inside)) == (0, 0, 200)
    assert first.getpixel((PAGE[0] - inside, inside)) == ((COLUMNS - 1) * 5, 0, 200)
    assert second.getpixel((inside, inside)) == (COLUMNS * ROWS * 5, 0, 200)
    assert second.getpixel((PAGE[0] - inside, inside)) == (255, 255, 255)
    names = np.asarray(first)[MARGIN + THUMBNAIL : MARGIN + THUMBNAIL + 40]
    assert (names[:, MARGIN : MARGIN + THUMBNAIL] < 60).all(-1).any(), "a name below the picture"
    assert (names[:, :MARGIN] == 255).all(), "and within its column"
