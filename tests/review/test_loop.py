"""Detect, correct through the page, train on what was corrected, benchmark before and after: the loop is closed."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from review_run import ReviewPage, Served

from hrlm.models.build import load_model

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_faces_corrected_through_the_page_make_the_model_better(browser: "Browser", tmp_path: Path) -> None:
    import correction_loop as steps

    loop = steps.detect(steps.portraits(tmp_path / "annotated", 6), tmp_path)
    assert len(loop.truth) == 6
    server = Served(loop)
    page = browser.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    review = ReviewPage(page, server.address)
    steps.correct(review, loop, 0.03)
    page.close()
    server.stop()
    assert review.told == []
    made, found = steps.corrected(loop), steps.predicted(loop)
    # every face was corrected, and what was worth it lies where it belongs
    assert all((made[name] != found[name]).any() for name in made)
    assert loop.error(made) < 0.5 * loop.error(found)

    before = steps.benchmark(loop, tmp_path)
    assert (before["faces"], before["missed"]) == (6, 0)
    # what the benchmark measures against is what the person left
    wanted = [
        np.linalg.norm(found[n] - made[n], axis=1).mean() / np.linalg.norm(made[n][36] - made[n][45]) for n in made
    ]
    assert before["nme"] == pytest.approx(np.mean(wanted), rel=0.02)

    weights = steps.train(loop, tmp_path, samples=40)
    assert load_model(weights).metadata["faces"] == 6
    after = steps.benchmark(loop, tmp_path, weights)
    assert after["missed"] == 0
    assert after["nme"] < 0.95 * before["nme"]
