"""The addresses of the review page, each answered by the desk; photos go by id, never by path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from hrlm.errors import HrlmError
from hrlm.formats.atomic import WriteError
from hrlm.review.desk import Desk, NotHereError, parse_body
from hrlm.review.guard import BodyTooLargeError
from hrlm.review.storage import StaleError

STATIC = Path(__file__).parent / "static"
Handler = Callable[[Request], Awaitable[Response]]


def make_routes(desk: Desk) -> list[BaseRoute]:
    """All routes of a run."""

    def page(_: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    def photos(_: Request) -> Response:
        return JSONResponse({"photos": desk.listing()})

    def document(request: Request) -> Response:
        return _told(lambda: JSONResponse(desk.document(request.path_params["id"])))

    def tile(request: Request) -> Response:
        key, level, x, y = (request.path_params[name] for name in ("id", "level", "x", "y"))
        # the address names the photo's version, so what it shows never changes
        headers = {"cache-control": "private, max-age=86400, immutable"}
        return _told(lambda: Response(desk.tile(key, level, x, y), media_type="image/jpeg", headers=headers))

    def save(key: str, data: Any) -> Response:
        try:
            return JSONResponse(desk.save(key, data))
        except StaleError:
            return JSONResponse({"current": desk.current(key)}, 409)

    def fit(key: str, data: Any) -> Response:
        return JSONResponse(desk.fit(key, data))

    def add_face(key: str, data: Any) -> Response:
        return JSONResponse(desk.add_face(key, data))

    return [
        Route("/", page),
        Route("/api/photos", photos),
        Route("/api/photos/{id}", document),
        Route("/api/photos/{id}/tiles/{level:int}/{x:int}/{y:int}", tile),
        Route("/api/photos/{id}/correction", _taking(save), methods=["PUT"]),
        Route("/api/photos/{id}/fit", _taking(fit), methods=["POST"]),
        Route("/api/photos/{id}/faces", _taking(add_face), methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]


def _taking(answer: Callable[[str, Any], Response]) -> Handler:
    """A handler that reads a JSON body and answers in a thread."""

    async def handler(request: Request) -> Response:
        try:
            body = await request.body()
        except BodyTooLargeError:
            return JSONResponse({"error": "the request is too large"}, 413)
        key = request.path_params["id"]
        return await run_in_threadpool(_told, lambda: answer(key, parse_body(body)))

    return handler


def _told(answer: Callable[[], Response]) -> Response:
    """The answer, or what went wrong as a line for the page to show."""
    try:
        return answer()
    except NotHereError as e:
        status, message = 404, str(e)
    except WriteError as e:
        status, message = 507, str(e)
    except HrlmError as e:
        status, message = 422, str(e)
    return JSONResponse({"error": message.encode("utf-8", "replace").decode()}, status)
