"""What every request must show before anything answers it, and what every answer carries.

Other pages in the same browser, other programs on the machine and names that were made to point at it can all send
requests to a local server. So the address carries a random token, which becomes a cookie; the Host must be the server's
own (or a name rebound to this address would pass); requests that change something must come from the page itself.
Browsers send a cookie to every port of a host: who opens pages of other users' servers on this machine trusts them.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 4 << 20
"""Bytes of a request: a correction of hundreds of faces is smaller."""

_SAFE = ("GET", "HEAD")
# OpenSeadragon puts one <style> into the page; this is its text's hash, so that no other inline style is let in
_OSD_STYLE = "'sha256-9xTiqzfwFaL2SGb1rmr8gysEwVVjIvqWAgmZgqFqpEE='"
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'; "
        f"style-src 'self' {_OSD_STYLE}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Guard:
    """ASGI middleware that lets only the page's own requests through.

    Args:
        app: what answers them.
        token: the secret of the address.
        hosts: what the Host header may be, port included.
        once: another secret of the address, for one opening; none if empty.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: Collection[str], once: str = "") -> None:
        self._app, self._token, self._hosts, self._once = app, token, frozenset(hosts), once

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        query = QueryParams(scope["query_string"])
        opening = scope["method"] == "GET" and scope["path"] == "/" and self._opens(query.get("token", ""))

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                out.update(_HEADERS)
                out.setdefault("cache-control", "no-store")
                if opening and message["status"] == 200:
                    out.append(
                        "set-cookie", f"{self._cookie(headers)}={self._token}; Path=/; HttpOnly; SameSite=Strict"
                    )
            await send(message)

        refused = self._refusal(scope, headers, opening)
        if opening and refused is None and _equal(query["token"], self._once):
            self._once = ""
        if refused is None:
            await self._app(scope, _limited(receive), answer)
        else:
            await refused(scope, receive, answer)

    def _refusal(self, scope: Scope, headers: Headers, opening: bool) -> Response | None:
        host = headers.get("host", "")
        if host not in self._hosts:
            return PlainTextResponse("this server answers only to its own address", 421)
        if not opening and not self._has_cookie(headers):
            return PlainTextResponse("open the address that hrlm printed: it carries the key to this page", 403)
        origin = headers.get("origin")
        foreign = scope["method"] not in _SAFE if origin is None else origin != f"http://{host}"
        if foreign or headers.get("sec-fetch-site", "same-origin") not in _sites(opening):
            return PlainTextResponse("requests must come from the page itself", 403)
        if not headers.get("content-length", "0").isdecimal() or int(headers.get("content-length", "0")) > MAX_BODY:
            return PlainTextResponse("the request is too large", 413)
        return None

    def _has_cookie(self, headers: Headers) -> bool:
        # not http.cookies, which gives up at an odd cookie of another program on this host
        own = self._cookie(headers)
        cookies = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
        return any(name == own and _equal(value, self._token) for name, _, value in cookies)

    def _opens(self, value: str) -> bool:
        return _equal(value, self._token) or bool(self._once and _equal(value, self._once))

    @staticmethod
    def _cookie(headers: Headers) -> str:
        # cookies are shared by all ports of a host: two review pages at once must not take each other's
        return f"hrlm-review-{headers.get('host', '').rpartition(':')[2]}"


def _equal(value: str, secret: str) -> bool:
    return secrets.compare_digest(value.encode("utf-8", "replace"), secret.encode())


def _sites(opening: bool) -> tuple[str, ...]:
    """Sec-Fetch-Site of allowed requests: a link to the page may be followed from anywhere."""
    own = ("same-origin", "none")
    return (*own, "same-site", "cross-site") if opening else own


class BodyTooLargeError(Exception):
    """A request that sends more than `MAX_BODY`, whatever it said of its length."""


def _limited(receive: Receive) -> Receive:
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_BODY:
            raise BodyTooLargeError
        return message

    return limited
