"""Detect, correct through the page, benchmark and train on what was corrected: the loop is closed."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from review_run import HEADS, ReviewPage, Served

from hrlm.models.build import load_model

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_corrected_results_are_ground_truth(browser: "Browser", tmp_path: Path) -> None:
    import correction_loop as steps

    loop = steps.detect([HEADS / f"head-2026-{k}.jpg" for k in ("0000", "0013", "0029")], tmp_path)
    assert len(loop.truth) == 3
    server = Served(loop)
    page = browser.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    review = ReviewPage(page, server.address)
    moved = steps.correct(review, loop, 0.06)
    page.close()
    server.stop()
    assert review.told == []
    assert moved > 3
    made = steps.corrected(loop)
    assert loop.error(made) < 0.9 * loop.error(steps.predicted(loop))

    figures = steps.benchmark(loop, tmp_path)
    measured = figures["summaries"]["all"]["full"]
    assert (measured["faces"], measured["missed"]) == (3, 0)
    # what the benchmark measures against is what the person left
    found = steps.predicted(loop)
    wanted = [
        np.linalg.norm(found[n] - made[n], axis=1).mean() / np.linalg.norm(made[n][36] - made[n][45]) for n in made
    ]
    assert measured["nme"] == pytest.approx(np.mean(wanted), rel=0.02)

    weights = load_model(steps.train(loop, tmp_path, samples=4))
    assert weights.metadata["faces"] == 3
