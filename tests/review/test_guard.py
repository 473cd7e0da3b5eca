"""What the review page's server lets through, and what it does not."""

import pytest

pytest.importorskip("starlette")
pytest.importorskip("httpx2")

from review_run import HOST, TOKEN, Run
from starlette.testclient import TestClient

from hrlm.review import app as app_module
from hrlm.review.app import make_app
from hrlm.review.guard import MAX_BODY


@pytest.fixture
def stranger(run: Run) -> TestClient:
    """A client that does not know the token."""
    return TestClient(make_app(run.results, run.photos, None, TOKEN, {HOST}, models=False), base_url=f"http://{HOST}")


def ids(client: TestClient) -> dict[str, str]:
    return {p["name"]: p["id"] for p in client.get("/api/photos").json()["photos"]}


@pytest.mark.parametrize(
    "path", ["/", "/api/photos", "/static/js/main.js", "/static/openseadragon/openseadragon.min.js", "/nowhere"]
)
def test_nothing_answers_without_the_token(stranger: TestClient, path: str) -> None:
    assert stranger.get(path).status_code == 403
    assert stranger.get(path, params={"token": "wröng"}).status_code == 403
    assert stranger.get(path, headers={"cookie": "hrlm-review-4321=the-tokem; a"}).status_code == 403


def test_the_token_opens_the_page_alone_and_becomes_a_cookie(stranger: TestClient) -> None:
    assert stranger.get("/api/photos", params={"token": TOKEN}).status_code == 403
    answer = stranger.get("/", params={"token": TOKEN})
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert stranger.get("/api/photos").status_code == 200


def test_the_browser_s_own_secret_opens_the_page_once(run: Run) -> None:
    app = make_app(run.results, run.photos, None, TOKEN, {HOST}, models=False, once="once")
    first, second = (TestClient(app, base_url=f"http://{HOST}") for _ in range(2))
    assert first.get("/", params={"token": "once"}, headers={"sec-fetch-site": "same-site", "host": "x"}).is_error
    assert first.get("/", params={"token": "once"}).status_code == 200
    assert first.get("/api/photos").status_code == 200
    assert second.get("/", params={"token": "once"}).status_code == 403
    assert second.get("/", params={"token": ""}).status_code == 403
    # who opened it before may load it again
    assert first.get("/", params={"token": "once"}).status_code == 200
    assert second.get("/", params={"token": TOKEN}).status_code == 200


def test_browsers_leave_the_web_s_own_port_out() -> None:
    assert app_module._hosts(80) == {"127.0.0.1", "localhost", "127.0.0.1:80", "localhost:80"}
    assert app_module._hosts(8080) == {"127.0.0.1:8080", "localhost:8080"}


@pytest.mark.parametrize(
    "others", ['prefs={"a":"b"}; ', "novalue; ", 'a="; ', "b=é@,[]; =; ", "hrlm-review-4321=old; "]
)
def test_odd_cookies_of_other_programs_do_no_harm(stranger: TestClient, others: str) -> None:
    cookie = f"{others}hrlm-review-4321={TOKEN}; last"
    assert stranger.get("/api/photos", headers={"cookie": cookie.encode("latin-1")}).status_code == 200
    cookie = f"{others}x-hrlm-review-4321={TOKEN}"
    assert stranger.get("/api/photos", headers={"cookie": cookie.encode("latin-1")}).status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:4321", "127.0.0.1", "127.0.0.1:1", "localhost:4321"])
def test_a_name_that_was_made_to_point_here_is_refused(client: TestClient, host: str) -> None:
    for path in ("/", "/api/photos", "/static/style.css"):
        assert client.get(path, headers={"host": host}, params={"token": TOKEN}).status_code == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:4321", "http://127.0.0.1:1", ""])
def test_other_pages_can_change_and_read_nothing(client: TestClient, origin: str) -> None:
    key = ids(client)["a.jpg"]
    body = {"revision": 0, "checked": True, "faces": []}
    for answer in (
        client.put(f"/api/photos/{key}/correction", json=body, headers={"origin": origin}),
        client.post(f"/api/photos/{key}/fit", json={}, headers={"origin": origin}),
        client.get("/api/photos", headers={"origin": origin}),
    ):
        assert answer.status_code == 403
    assert not client.get(f"/api/photos/{key}").json()["revision"]


def test_a_change_without_an_origin_is_refused(stranger: TestClient) -> None:
    stranger.get("/", params={"token": TOKEN})
    key = ids(stranger)["a.jpg"]
    assert stranger.put(f"/api/photos/{key}/correction", json={}).status_code == 403


def test_requests_that_another_site_starts_are_refused(client: TestClient) -> None:
    assert client.get("/api/photos", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.get("/api/photos", headers={"sec-fetch-site": "same-site"}).status_code == 403
    assert client.get("/api/photos", headers={"sec-fetch-site": "same-origin"}).status_code == 200


def test_every_answer_carries_a_strict_policy(client: TestClient) -> None:
    for path in ("/", "/api/photos", "/static/style.css", "/nowhere"):
        headers = client.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e%2f%2e%2e%2f__init__.py",
        "/static//etc/passwd",
        "/static/....//app.py",
        "/api/photos/..%2f..%2fa",
        "/api/photos/%2e%2e",
        "/api/photos/a.jpg",
        "/api/photos/sub%2fb.jpg",
        "/api/photos/a/tiles/0/0/..%2f0",
        "/api/photos/a/tiles/-1/0/0",
    ],
)
def test_paths_lead_nowhere_outside(client: TestClient, path: str) -> None:
    assert client.get(path).status_code in (404, 405)


def test_tiles_that_there_are_not(client: TestClient) -> None:
    key = ids(client)["a.jpg"]
    assert client.get(f"/api/photos/{key}/tiles/0/0/0").headers["content-type"] == "image/jpeg"
    for place in ("99/0/0", "0/999999999999/0", "0/0/77"):
        assert client.get(f"/api/photos/{key}/tiles/{place}").status_code == 404


def test_large_bodies_are_refused_whatever_they_say_of_their_length(client: TestClient) -> None:
    url = f"/api/photos/{ids(client)['a.jpg']}/correction"
    assert client.put(url, content=b" " * (MAX_BODY + 1)).status_code == 413

    def endless() -> object:
        for _ in range(MAX_BODY // 65536 + 2):
            yield b" " * 65536

    assert client.put(url, content=endless()).status_code == 413
    assert client.put(url, content=b"{}", headers={"content-length": "-5"}).status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[" * 5000,
        b"[]",
        b'{"revision": 0}',
        b'{"revision": true, "checked": true, "faces": []}',
        b'{"revision": -1, "checked": true, "faces": []}',
        b'{"revision": 0, "checked": true, "faces": [1]}',
        b'{"revision": 0, "checked": true, "faces": [{"landmarks": [[0, 0]], "moved": [], "invisible": []}]}',
        b'{"revision": 0, "checked": true, "faces": [{"landmarks": [[NaN, 0]]}]}',
        b'{"revision": 0, "checked": true, "faces": [{"landmarks": [[1e999, 0]]}]}',
        b'{"revision": 0, "checked": true, "faces": [{"landmarks": [["1", 0]]}]}',
    ],
)
def test_nonsense_is_told_and_saves_nothing(client: TestClient, run: Run, body: bytes) -> None:
    key = ids(client)["a.jpg"]
    version = client.get(f"/api/photos/{key}").json()["version"]
    body = body.replace(b"{", b'{"version": "%b", ' % version.encode(), 1)
    answer = client.put(f"/api/photos/{key}/correction", content=body)
    assert answer.status_code == 422
    assert "version" not in answer.json()["error"]
    assert answer.json()["error"]
    assert not list(run.results.rglob("*.corrected.*"))
