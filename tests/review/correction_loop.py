"""Detect, correct through the review page, benchmark on the corrections, train some steps on them, benchmark again.

As a script, on a folder of photos with one `.pts` file each:
`python tests/review/correction_loop.py FOLDER --count 20`
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from PIL import Image, ImageOps
from review_run import HEADS, LANDMARKS, ReviewPage, Served, browsing
from typer.testing import CliRunner

from hrlm.cli import app
from hrlm.detector import Detector
from hrlm.formats import corrections, pts
from hrlm.formats import json as result_json
from hrlm.photos import open_photo
from hrlm.results import PhotoInfo, PhotoResult
from hrlm.schemes import load_scheme

# of the inter-ocular distance: what is less off than this a person would let stand
WORTH_MOVING = 0.02
SHIPPED = Path(__file__).parents[2] / "weights" / "hrlm-ibug68.safetensors"


@dataclass
class Loop:
    """A run that is corrected: photos with one annotated face each, and their results.

    Args:
        photos, results: folders.
        truth: landmarks `(68, 2)` by photo name.
    """

    photos: Path
    results: Path
    truth: dict[str, np.ndarray]

    def error(self, landmarks: dict[str, np.ndarray]) -> float:
        """Mean distance from the truth, as a fraction of the inter-ocular distance."""
        off = [
            np.linalg.norm(landmarks[name] - t, axis=1).mean() / np.linalg.norm(t[36] - t[45])
            for name, t in self.truth.items()
        ]
        return float(np.mean(off))


def portraits(folder: Path, count: int) -> list[Path]:
    """Small annotated portraits: the rendered heads of the examples reduced, some mirrored too."""
    folder.mkdir()
    heads = sorted(HEADS.glob("*.jpg"))
    mirror = np.array(load_scheme("ibug68").mirror)
    made = []
    for number in range(count):
        turn, head = number // len(heads), heads[number % len(heads)]
        width = 480 >> (turn // 2)
        with Image.open(head) as image:
            landmarks = (pts.read(head.with_suffix(".pts")) + 0.5) * (width / image.width) - 0.5
            image.draft("RGB", (width, width))
            small = image.resize((width, round(width * image.height / image.width)), Image.Resampling.BOX)
        if turn % 2:
            small = ImageOps.mirror(small)
            landmarks = np.column_stack([width - 1 - landmarks[:, 0], landmarks[:, 1]])[mirror]
        made.append(folder / f"portrait{number:02}.jpg")
        small.save(made[-1], quality=95)
        pts.write(made[-1].with_suffix(".pts"), landmarks)
    return made


def detect(annotated: list[Path], folder: Path) -> Loop:
    """Detect photos that have a `.pts` file beside them; photos of which no face fits the truth are left out."""
    loop = Loop(folder / "photos", folder / "results", {})
    loop.photos.mkdir(parents=True)
    detector = Detector(device="cpu", quality="fast")
    for file in annotated:
        truth = pts.read(file.with_suffix(".pts"))
        photo = open_photo(file)
        faces = detector.detect(photo)
        near = [f for f in faces if np.abs(f.landmarks - truth).mean() < 0.3 * np.ptp(truth[:, 0])]
        if near:
            shutil.copy(file, loop.photos)
            info = PhotoInfo(file.name, photo.width, photo.height, photo.orientation)
            result = PhotoResult(info, detector.info, (near[0],))
            result_json.write((loop.results / file.name).with_suffix(".json"), result)
            loop.truth[file.name] = truth
    return loop


def correct(review: ReviewPage, loop: Loop, worth_moving: float) -> int:
    """Drag landmarks to where they belong, photo after photo; returns how many were moved.

    Args:
        worth_moving: what is less off than this share of the inter-ocular distance stays.
    """
    moved = 0
    for name, truth in loop.truth.items():
        review.open(name)
        found = result_json.read((loop.results / name).with_suffix(".json")).faces[0].landmarks.copy()
        worth = np.linalg.norm(found - truth, axis=1) > worth_moving * np.linalg.norm(truth[36] - truth[45])
        now = found.copy()
        for i in np.flatnonzero(worth):
            # the mouse takes the nearest one: where another lies, only a close look tells them apart
            crowded = np.sort(np.linalg.norm(now - now[i], axis=1))[1] * review.scale < 2
            if crowded:
                while review.chosen() != LANDMARKS[i]:
                    review.keys("d")
                review.keys("e")
            review.drag(found[i], truth[i])
            assert review.chosen() == LANDMARKS[i]
            if crowded:
                review.keys("x")
            now[i] = truth[i]
            moved += 1
        review.keys("Enter")
        review.page.locator(f'#list button[title="{name}"] .mark.checked').wait_for()
    return moved


def corrected(loop: Loop) -> dict[str, np.ndarray]:
    """The corrected landmarks by photo name."""
    files = {name: corrections.path_of((loop.results / name).with_suffix(".json")) for name in loop.truth}
    return {name: corrections.read(file).faces[0].landmarks for name, file in files.items()}


def predicted(loop: Loop) -> dict[str, np.ndarray]:
    """The predicted landmarks by photo name."""
    files = {name: (loop.results / name).with_suffix(".json") for name in loop.truth}
    return {name: result_json.read(file).faces[0].landmarks for name, file in files.items()}


def benchmark(loop: Loop, folder: Path, weights: Path = SHIPPED) -> dict[str, float]:
    """The full system's figures of `hrlm benchmark` on the results folder as it is."""
    file = folder / "figures.json"
    arguments = ["benchmark", str(loop.results), "--json", str(file), "--quality", "fast", "--device", "cpu", "--quiet"]
    ended = CliRunner().invoke(app, [*arguments, "--model", str(weights)], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    figures: dict[str, float] = json.loads(file.read_text())["summaries"]["all"]["full"]
    return figures


def train(loop: Loop, folder: Path, samples: int) -> Path:
    """The weights that `hrlm train` makes of the results folder as it is, in some steps from the shipped ones."""
    stage = {"name": "more", "train": ["regional"], "samples": samples, "batch": 2, "rate": 3e-4, "max_side": 512}
    settings = {
        "name": "corrected",
        # of so few steps the last ones count
        "ema": 0.5,
        "out": "trained",
        "start": str(SHIPPED),
        "data": [{"path": str(loop.results)}],
        "stages": [stage],
    }
    file = folder / "train.yaml"
    file.write_text(yaml.safe_dump(settings))
    ended = CliRunner().invoke(app, ["train", str(file), "--device", "cpu", "--quiet"], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return folder / "trained" / "hrlm-corrected.safetensors"


def main() -> None:
    """Run the loop on a folder and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--worth", type=float, default=WORTH_MOVING, help="share of the inter-ocular distance")
    parser.add_argument("--samples", type=int, default=80, help="faces that the training sees")
    given = parser.parse_args()
    every = sorted(f for f in given.folder.iterdir() if f.suffix != ".pts" and f.with_suffix(".pts").is_file())
    with tempfile.TemporaryDirectory() as made, browsing() as browser:
        folder = Path(made)
        loop = detect(every[:: max(1, len(every) // given.count)][: given.count], folder)
        server = Served(loop)
        page = browser.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
        moved = correct(ReviewPage(page, server.address), loop, given.worth)
        server.stop()
        before, after = loop.error(predicted(loop)), loop.error(corrected(loop))
        print(f"{len(loop.truth)} faces, {moved} landmarks moved: error {100 * before:.2f} % to {100 * after:.2f} %")
        print("benchmark before:", json.dumps(benchmark(loop, folder)))
        print("benchmark after:", json.dumps(benchmark(loop, folder, train(loop, folder, given.samples))))


if __name__ == "__main__":
    main()
