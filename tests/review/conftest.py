"""The review page's server on ready results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from review_run import HOST, TOKEN, ReviewPage, Run, Served, browsing

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from starlette.testclient import TestClient


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


@pytest.fixture
def client(run: Run) -> TestClient:
    """A client that has opened the page."""
    pytest.importorskip("starlette")
    pytest.importorskip("httpx2")
    from starlette.testclient import TestClient

    from hrlm.review.app import make_app

    app = make_app(run.results, run.photos, None, TOKEN, {HOST}, models=False)
    client = TestClient(app, base_url=f"http://{HOST}", headers={"origin": f"http://{HOST}"})
    assert client.get("/", params={"token": TOKEN}).status_code == 200
    return client


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser; the tests that want it are skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api")
    pytest.importorskip("uvicorn")
    pytest.importorskip("starlette")
    with ExitStack() as stack:
        try:
            browser = stack.enter_context(browsing())
        except sync_api.Error as e:
            pytest.skip(f"no Chromium to test in (apt install chromium, or playwright install chromium): {e}")
        yield browser


@pytest.fixture
def served(run: Run) -> Iterator[Served]:
    server = Served(run)
    yield server
    server.stop()


@pytest.fixture
def visit(browser: Browser, served: Served) -> Iterator[Callable[[], ReviewPage]]:
    """Opens the page in a tab, as often as it is called; all tabs are of one browser profile."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    context.set_default_timeout(15_000)
    yield lambda: ReviewPage(context.new_page(), served.address)
    context.close()
