"""The review page's server: `serve` runs it on this machine alone, `make_app` is the application itself."""

from __future__ import annotations

import contextlib
import secrets
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from hrlm.errors import DependencyError, HrlmError
from hrlm.photos import open_photo
from hrlm.review.album import make_album
from hrlm.review.desk import Desk
from hrlm.review.new_face import FaceMaker
from hrlm.review.storage import Store
from hrlm.runs.annotate_run import find_results

try:
    import uvicorn
    from starlette.applications import Starlette

    from hrlm.review.guard import Guard
    from hrlm.review.routes import make_routes
except ModuleNotFoundError as e:
    raise DependencyError(f"the review page needs {e.name}: pip install 'hrlm[review]'") from e

HOST = "127.0.0.1"
WEB_PORT = 80


def serve(results: Path, photos: Path | None, scheme: str | None, port: int = 0, open_browser: bool = True) -> None:
    """Serve the review page of a run until interrupted; its address goes to standard error.

    Args:
        results: the folder that `hrlm detect` wrote, or one result file. Corrections are saved there.
        photos: the folder of photos that the results were made from; None to find photos as the results name them.
        scheme: a scheme's file; None for the one that each result names.
        port: 0 for any that is free.
        open_browser: also open the page in the person's browser.

    Raises:
        HrlmError: no results there, or the port is taken.
    """
    token = secrets.token_urlsafe(24)
    try:
        listener = socket.create_server((HOST, port))
    except OSError as e:
        raise HrlmError(f"port {port} cannot be had ({e.strerror or e}): give another, or none for any") from e
    with contextlib.closing(listener):
        port = listener.getsockname()[1]
        # whoever lists this machine's programs sees the address that the browser is started with
        once = secrets.token_urlsafe(24)
        app = make_app(results, photos, scheme, token, _hosts(port), once=once)
        address = f"http://{HOST}:{port}/?token="
        print(f"review page: {address}{token}\nstop with Ctrl+C", file=sys.stderr, flush=True)
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(address + once,), daemon=True).start()
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, ws="none", lifespan="off"
        )
        uvicorn.Server(config).run(sockets=[listener])


def _hosts(port: int) -> set[str]:
    """What browsers may call the server; they leave the web's own port out."""
    names = (HOST, "localhost")
    return {f"{name}:{port}" for name in names} | ({*names} if port == WEB_PORT else set())


def make_app(
    results: Path,
    photos: Path | None,
    scheme: str | None,
    token: str,
    hosts: Collection[str],
    models: bool = True,
    once: str = "",
) -> Guard:
    """The application of a run, as an ASGI app that answers only requests with the token.

    Args:
        results, photos, scheme: as of `serve`.
        token: the secret that opens the page.
        hosts: the Host headers that it answers to, port included.
        models: whether new faces start from the model's landmarks; else from the run's mean shape.
        once: another secret that opens the page, once.

    Raises:
        HrlmError: no results there.
    """
    items = find_results([str(results)])
    if not items:
        raise HrlmError(f"{results}: holds no results: give the folder that hrlm detect wrote")
    store = Store(results if results.is_dir() else results.parent)
    if recovered := store.recover():
        print(f"completed a save that had been cut off: {recovered}", file=sys.stderr)
    desk = Desk(make_album(items, photos, scheme), store, open_photo, FaceMaker(_detector() if models else None))
    return Guard(Starlette(routes=make_routes(desk)), token, hosts, once)


def _detector() -> Callable[[str], Any]:
    def load(model: str) -> Any:
        from hrlm.detector import Detector

        return Detector(model)

    return load
