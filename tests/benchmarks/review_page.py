"""How long after the click a photo can be seen, and is sharp, on the review page, in a headless Chromium.

`python tests/benchmarks/review_page.py` makes JPEGs of 24 and 100 megapixels out of a rendered portrait.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "review"))

from review_run import HEADS, ReviewPage, Run, Served, browsing, write_result

from hrlm.formats import pts

# the larger first: the next photo of the list is decoded ahead, which must not be the one that is measured
SIDES = (10_000, 4900)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, browsing() as browser:
        run = Run(Path(folder))
        truth = pts.read(HEADS / "head-2026-0031.pts")
        with Image.open(HEADS / "head-2026-0031.jpg") as image:
            for side in SIDES:
                ratio = np.array([side, side]) / image.size
                image.resize((side, side)).save(run.photos / f"{side}.jpg", quality=92)
                write_result(run.results, f"{side}.jpg", (side, side), [(truth + 0.5) * ratio - 0.5])
        server = Served(run)
        page = browser.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
        review = ReviewPage(page, server.address)
        # what the page decodes ahead of the click is not to flatter
        page.wait_for_timeout(3000)
        for side in SIDES:
            start = time.perf_counter()
            review.begin_to_open(f"{side}.jpg")
            seen = time.perf_counter() - start
            review.ready(f"{side}.jpg")
            sharp = time.perf_counter() - start
            print(f"{side * side / 1e6:.0f} megapixels: seen after {seen:.2f} s, sharp after {sharp:.2f} s")
            page.wait_for_timeout(3000)
        server.stop()


if __name__ == "__main__":
    main()
