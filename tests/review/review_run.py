"""Ready results of drawn portraits for the review page."""

from __future__ import annotations

import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hrlm.formats import json as result_json
from hrlm.formats import pts
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult
from hrlm.schemes import load_scheme

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HEADS = Path(__file__).parents[2] / "examples" / "heads"
NASTY = "<img src=x onerror=alert(1)>.jpg"
HOST = "127.0.0.1:4321"
TOKEN = "the-token"
LANDMARKS = load_scheme("ibug68").landmarks


def predicted(truth: np.ndarray, seed: int) -> np.ndarray:
    """Landmarks as a detector might find them: the truth with noise of 1 % of the face."""
    size = float(np.ptp(truth, axis=0).max())
    return truth + np.random.default_rng(seed).normal(0, 0.01 * size, truth.shape)


def write_result(
    folder: Path, name: str, size: tuple[int, int], faces: list[np.ndarray], flags: tuple[str, ...] = ()
) -> Path:
    """A result file as `hrlm detect` writes it."""
    made = []
    for points in faces:
        low, high = points.min(0), points.max(0)
        box = (float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
        made.append(Face(points, np.full(len(points), 3.0), box, 0.97, flags))
    path = folder / (Path(name).with_suffix(".json"))
    info = PhotoInfo(name, *size)
    result_json.write(path, PhotoResult(info, ModelInfo("ibug68", "ibug68", "2"), tuple(made)))
    return path


class Run:
    """A folder of photos and the results mirrored from it; the second photo has a flag, so it comes first."""

    def __init__(self, folder: Path) -> None:
        from PIL import Image

        self.photos, self.results = folder / "photos", folder / "results"
        self.truth: dict[str, np.ndarray] = {}
        names = ["a.jpg", "sub/b.jpg", NASTY]
        for i, (name, source) in enumerate(zip(names, ["0000", "0013", "0022"], strict=True)):
            photo = self.photos / name
            photo.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(HEADS / f"head-2026-{source}.jpg", photo)
            with Image.open(photo) as image:
                size = image.size
            self.truth[name] = pts.read(HEADS / f"head-2026-{source}.pts")
            write_result(self.results, name, size, [predicted(self.truth[name], i)], ("uncertain",) if i == 1 else ())


class Folders(Protocol):
    """What a server needs of a run."""

    photos: Path
    results: Path


class Served:
    """The review page's server, in a thread of this process."""

    def __init__(self, run: Folders, models: bool = False) -> None:
        import uvicorn

        from hrlm.review.app import make_app

        listener = socket.create_server(("127.0.0.1", 0))
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        self.address = f"http://{host}/?token={TOKEN}"
        app = make_app(run.results, run.photos, None, TOKEN, {host}, models)
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)


class ReviewPage:
    """The page as a person uses it: by mouse and keys, seeing what it shows."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.told: list[str] = []
        self.asked: list[str] = []
        # what offends against the page's own policy is told as an error too
        page.on("console", lambda m: self.told.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: self.told.append(f"error: {e}"))
        page.on("dialog", lambda d: (self.told.append(f"dialog: {d.message}"), d.accept()))
        page.on("request", lambda r: self.asked.append(r.url))
        page.goto(address)
        self.ready()

    def ready(self, name: str = "") -> None:
        """Wait until a photo (the one of the name) can be seen."""
        self.page.locator("#title", has_text=name or ".").wait_for()
        self.page.locator("#busy").wait_for(state="hidden")

    def open(self, name: str) -> None:
        self.page.locator("#list button", has_text=name).click()
        self.ready(name)

    def begin_to_open(self, name: str) -> bool:
        """Open a photo and wait until it can be seen, though perhaps not sharply."""
        row = self.page.locator("#list button", has_text=name)
        row.click()
        self.page.locator(f'#stage[data-seen="{row.get_attribute("data-id")}"]').wait_for()
        return self.page.locator("#title").inner_text().endswith(name)

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    @property
    def scale(self) -> float:
        """Screen pixels for a pixel of the photo."""
        return self._frame()[2]

    def screen(self, *points: np.ndarray) -> list[tuple[float, float]]:
        """Where places of the photo are on the screen."""
        x, y, scale = self._frame()
        box = self.page.locator("#overlay").bounding_box()
        assert box is not None
        return [(box["x"] + x + float(p[0]) * scale, box["y"] + y + float(p[1]) * scale) for p in points]

    def choose(self, point: np.ndarray) -> None:
        self.page.mouse.click(*self.screen(point)[0])

    def chosen(self) -> str:
        """The chosen landmark's name."""
        return self.page.locator("#landmark-name").inner_text()

    def settled(self) -> None:
        """Wait until the picture stands still: after a change of view it is drawn with the next frames."""
        before: tuple[float, float, float] | None = None
        while (now := self._frame()) != before:
            before = now
            self.page.wait_for_timeout(50)

    def drag(self, start: np.ndarray, end: np.ndarray) -> None:
        self.settled()
        first, *further = self.screen(start, (start + end) / 2, end)
        self.page.mouse.move(*first)
        self.page.mouse.down()
        for place in further:
            self.page.mouse.move(*place)
        self.page.mouse.up()

    def place(self) -> np.ndarray:
        """Where the chosen landmark is, as the page tells it, to 0.1 pixel."""
        return np.array([float(v) for v in self.page.locator("#landmark-place").inner_text().split(",")])

    def saved(self) -> None:
        self.page.locator("#status", has_text=re.compile("^Saved$")).wait_for()

    def _frame(self) -> tuple[float, float, float]:
        x, y, scale = map(float, (self.page.locator("#overlay").get_attribute("data-frame") or "").split())
        return x, y, scale


@contextmanager
def browsing() -> Iterator[Browser]:
    """A headless Chromium: the system's, or the one that `playwright install chromium` brings.

    Raises:
        playwright.sync_api.Error: there is none.
    """
    from playwright.sync_api import sync_playwright

    system = next((p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))), None)
    with sync_playwright() as playwright:
        # in containers people are root and shared memory is small
        browser = playwright.chromium.launch(
            executable_path=system, args=["--no-sandbox", "--disable-dev-shm-usage"], timeout=60_000
        )
        yield browser
        browser.close()
