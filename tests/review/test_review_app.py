"""The review page's server from list to saved correction, without a browser."""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("httpx2")

from review_run import HOST, NASTY, TOKEN, Run, write_result
from starlette.testclient import TestClient

from hrlm.errors import HrlmError
from hrlm.formats import corrections, pts
from hrlm.photos import open_photo
from hrlm.review.app import make_app
from hrlm.review.tiles import TILE


def listed(client: TestClient) -> list[dict[str, Any]]:
    photos: list[dict[str, Any]] = client.get("/api/photos").json()["photos"]
    return photos


def opened(client: TestClient, name: str) -> dict[str, Any]:
    key = next(p["id"] for p in listed(client) if p["name"] == name)
    document: dict[str, Any] = client.get(f"/api/photos/{key}").json()
    return document


def saved(client: TestClient, document: dict[str, Any], **changes: Any) -> Any:
    body = {k: document[k] for k in ("revision", "version", "checked", "faces")} | changes
    return client.put(f"/api/photos/{document['id']}/correction", json=body)


def test_photos_that_deserve_a_look_come_first(client: TestClient) -> None:
    photos = listed(client)
    assert {p["name"] for p in photos} == {"a.jpg", "sub/b.jpg", NASTY}
    assert photos[0]["name"] == "sub/b.jpg"
    assert photos[0]["flags"] == ["uncertain"]
    assert [p["concern"] for p in photos] == sorted((p["concern"] for p in photos), reverse=True)
    assert not any(p["checked"] or p["corrected"] or p["problem"] for p in photos)


def test_ids_say_nothing_of_paths(client: TestClient) -> None:
    assert all(p["id"].isalnum() and p["name"] not in p["id"] for p in listed(client))


def test_tiles_are_the_photos_own_pixels(client: TestClient, run: Run) -> None:
    document = opened(client, "a.jpg")
    pixels = open_photo(run.photos / "a.jpg").pixels
    assert (document["width"], document["height"]) == pixels.shape[1::-1]

    def tile(level: int, x: int, y: int) -> np.ndarray:
        data = client.get(f"/api/photos/{document['id']}/tiles/{level}/{x}/{y}").content
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)

    def error(a: np.ndarray, b: np.ndarray) -> float:
        assert a.shape == b.shape
        return float(np.abs(a - b.astype(int)).mean())

    columns, rows = (-(-n // TILE) for n in pixels.shape[1::-1])
    assert error(tile(0, 0, 0), pixels[:TILE, :TILE]) < 2
    assert error(tile(0, columns - 1, rows - 1), pixels[(rows - 1) * TILE :, (columns - 1) * TILE :]) < 2
    half = cv2.resize(pixels[: TILE * 2, : TILE * 2], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    assert error(tile(1, 0, 0), half) < 2


def test_a_correction_is_kept_beside_the_prediction(client: TestClient, run: Run) -> None:
    before = (run.results / "a.json").read_bytes()
    document = opened(client, "a.jpg")
    face = document["faces"][0]
    face["landmarks"][30] = [123.4567, -5.25]
    face["moved"], face["invisible"] = [30], [3, 4]
    answer = saved(client, document, checked=True)
    assert answer.json()["revision"] == 1
    assert (run.results / "a.json").read_bytes() == before
    correction = corrections.read(run.results / "a.corrected.json")
    assert correction.checked
    assert correction.faces[0].landmarks[30].tolist() == [123.457, -5.25]
    assert (correction.faces[0].moved, correction.faces[0].invisible) == ((30,), (3, 4))
    assert pts.read(run.results / "a.corrected.pts") == pytest.approx(correction.faces[0].landmarks, abs=1e-3)
    assert (run.results / correction.file).resolve() == (run.photos / "a.jpg").resolve()
    again = opened(client, "a.jpg")
    assert again["faces"][0]["landmarks"][30] == [123.457, -5.25]
    assert again["predicted"] == document["predicted"]
    state = next(p for p in listed(client) if p["name"] == "a.jpg")
    assert state["checked"]
    assert state["corrected"]


def test_faces_come_and_go_with_their_files(client: TestClient, run: Run) -> None:
    document = opened(client, "a.jpg")
    face = document["faces"][0]
    added = {**face, "predicted": None}
    assert saved(client, document, faces=[face, added, added]).status_code == 200
    names = ["a.corrected.pts", "a.corrected_2.pts", "a.corrected_3.pts"]
    assert sorted(p.name for p in run.results.glob("a.corrected*.pts")) == names
    assert saved(client, document, revision=1, faces=[added]).status_code == 200
    assert [p.name for p in run.results.glob("a.corrected*.pts")] == names[:1]
    assert saved(client, document, revision=2, faces=[]).status_code == 200
    assert not list(run.results.glob("a.corrected*.pts"))
    assert opened(client, "a.jpg")["faces"] == []


def test_a_stale_save_changes_nothing_and_brings_what_is_there(client: TestClient, run: Run) -> None:
    mine, theirs = opened(client, "a.jpg"), opened(client, "a.jpg")
    theirs["faces"][0]["landmarks"][0] = [10, 20]
    assert saved(client, theirs).status_code == 200
    written = (run.results / "a.corrected.json").read_bytes()
    answer = saved(client, mine)
    assert answer.status_code == 409
    current = answer.json()["current"]
    assert current["revision"] == 1
    assert current["faces"][0]["landmarks"][0] == [10, 20]
    assert (run.results / "a.corrected.json").read_bytes() == written
    assert saved(client, mine, revision=1).json()["revision"] == 2


def test_the_rest_follows_what_was_moved(client: TestClient) -> None:
    document = opened(client, "a.jpg")
    shape = np.array(document["faces"][0]["landmarks"])
    body = {"shape": shape.tolist(), "placed": [45, 36], "places": (shape[[45, 36]] + (7, -3)).tolist()}
    answer = client.post(f"/api/photos/{document['id']}/fit", json=body)
    assert np.array(answer.json()["landmarks"]) == pytest.approx(shape + np.array([7, -3]), abs=2e-3)
    for wrong in ({"placed": [45, 45]}, {"placed": [99, 1]}, {"places": [[0, 0]]}, {"shape": [[0, 0]]}):
        assert client.post(f"/api/photos/{document['id']}/fit", json=body | wrong).status_code == 422


def test_a_new_face_without_a_model_is_the_mean_shape_in_the_box(client: TestClient) -> None:
    document = opened(client, "a.jpg")
    url = f"/api/photos/{document['id']}/faces"
    answer = client.post(url, json={"box": [100, 200, 300, 300]}).json()
    points = np.array(answer["landmarks"])
    assert answer["source"] == "mean"
    assert points.min(0).min() >= 99.9
    assert np.ptp(points, axis=0).max() == pytest.approx(300, abs=0.1)
    assert points[36, 0] < points[45, 0]
    for box in ([0, 0, 1, 1], [0, 0, 100], ["a", 0, 9, 9], [0, 0, 1e9, 1e9], [1e9, 0, 50, 50], [True, 0, 50, 50]):
        assert client.post(url, json={"box": box}).status_code == 422


def test_a_new_face_starts_from_the_models_landmarks(run: Run) -> None:
    app = make_app(run.results, run.photos, None, TOKEN, {HOST})
    client = TestClient(app, base_url=f"http://{HOST}", headers={"origin": f"http://{HOST}"})
    client.get("/", params={"token": TOKEN})
    document = opened(client, "sub/b.jpg")
    truth = run.truth["sub/b.jpg"]
    low, size = truth.min(0), np.ptp(truth, axis=0)
    # drawn by hand: a bit off and too large
    box = [*(low - 0.08 * size), *(1.2 * size)]
    answer = client.post(f"/api/photos/{document['id']}/faces", json={"box": box}).json()
    error = np.linalg.norm(np.array(answer["landmarks"]) - truth, axis=1).mean()
    assert answer["source"] == "model"
    assert error < 0.06 * np.linalg.norm(truth[36] - truth[45])


def test_what_cannot_be_reviewed_is_listed_last_with_its_reason(run: Run) -> None:
    write_result(run.results, "gone.jpg", (10, 10), [])
    (run.results / "broken.json").write_text('{"schema": "hrlm.landmarks/1"}')
    write_result(run.results, "five.jpg", (100, 100), [np.random.default_rng(0).uniform(0, 9, (5, 2))])
    shutil.copy(run.photos / "a.jpg", run.photos / "other.jpg")
    write_result(run.results, "other.jpg", (50, 60), [run.truth["a.jpg"]])
    app = make_app(run.results, run.photos, None, TOKEN, {HOST}, models=False)
    client = TestClient(app, base_url=f"http://{HOST}")
    client.get("/", params={"token": TOKEN})
    photos = listed(client)
    problems = {p["name"]: p["problem"] for p in photos if p["problem"]}
    assert set(problems) == {"gone.jpg", "broken", "five"}
    assert {p["name"] for p in photos[-3:]} == set(problems)
    assert "is not found" in problems["gone.jpg"]
    key = next(p["id"] for p in photos if p["name"] == "other.jpg")
    answer = client.get(f"/api/photos/{key}")
    assert answer.status_code == 422
    assert "its result is of one of 50 x 60" in answer.json()["error"]


def test_a_photo_that_is_broken_is_told(client: TestClient, run: Run) -> None:
    (run.photos / "a.jpg").write_bytes(b"no photo")
    answer = client.get(f"/api/photos/{next(p['id'] for p in listed(client) if p['name'] == 'a.jpg')}")
    assert answer.status_code == 422
    assert "a.jpg" in answer.json()["error"]


def test_a_result_that_has_the_corrections_name_is_never_overwritten(client: TestClient, run: Run) -> None:
    # of a photo called a.corrected.jpg
    other = write_result(run.results, "a.corrected.x.jpg", (10, 10), [])
    other = other.rename(run.results / "a.corrected.json")
    before = other.read_bytes()
    answer = saved(client, opened(client, "a.jpg"))
    assert answer.status_code == 422
    assert other.read_bytes() == before


def test_a_damaged_correction_is_told_and_kept(client: TestClient, run: Run) -> None:
    (run.results / "a.corrected.json").write_text('{"schema": ')
    key = next(p["id"] for p in listed(client) if p["name"] == "a.jpg")
    answer = client.get(f"/api/photos/{key}")
    assert answer.status_code == 422
    assert "corrections.jsonl" in answer.json()["error"]


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HrlmError, match="holds no results"):
        make_app(tmp_path, None, None, TOKEN, {HOST})


def test_every_save_is_in_the_journal(client: TestClient, run: Run) -> None:
    document = opened(client, "sub/b.jpg")
    for revision in range(3):
        document["faces"][0]["landmarks"][0] = [revision, revision]
        assert saved(client, document, revision=revision).status_code == 200
    entries = [json.loads(line) for line in (run.results / "corrections.jsonl").read_text().splitlines()]
    kept = [e["correction"] for e in entries if "correction" in e]
    assert [c["revision"] for c in kept] == [1, 2, 3]
    assert [c["faces"][0]["landmarks"][0][0] for c in kept] == [0, 1, 2]
    assert entries[-1] == {"file": "sub/b.corrected.json", "revision": 3, "written": True}


def test_a_photo_that_is_replaced_while_it_is_open_gets_no_correction_of_the_one_before(
    client: TestClient, run: Run
) -> None:
    document = opened(client, "a.jpg")
    photo = run.photos / "a.jpg"
    pixels = open_photo(photo).pixels
    # tagged: the file is another, the picture is not
    photo.write_bytes(photo.read_bytes() + b"tag")
    assert saved(client, document).json()["revision"] == 1
    document["revision"] = 1
    cv2.imwrite(str(photo), pixels[::-1])
    answer = saved(client, document, checked=True)
    assert answer.status_code == 422
    assert "reload the page" in answer.json()["error"]
    assert not corrections.read(run.results / "a.corrected.json").checked
    # what is there now may be corrected, and also what is no longer there
    document = opened(client, "a.jpg")
    assert saved(client, document).json()["revision"] == 2
    photo.unlink()
    assert saved(client, document, revision=2).json()["revision"] == 3


def test_an_added_face_keeps_where_it_came_from(client: TestClient, run: Run) -> None:
    document = opened(client, "a.jpg")
    came = document["faces"][0]["landmarks"]
    moved = [[x + 5, y] for x, y in came]
    added = {"predicted": None, "landmarks": moved, "moved": [3], "invisible": [], "came": came}
    assert saved(client, document, faces=[added]).status_code == 200
    assert opened(client, "a.jpg")["faces"] == [added]
    too_few = {**added, "came": came[:3]}
    assert saved(client, document, revision=1, faces=[too_few]).status_code == 422


def test_a_correction_of_another_photo_is_neither_shown_nor_overwritten(client: TestClient, run: Run) -> None:
    document = opened(client, "a.jpg")
    assert saved(client, document, checked=True).status_code == 200
    path = run.results / "a.corrected.json"
    before = path.read_bytes()
    # another folder's photo of the same name was detected into the same results
    cv2.imwrite(str(run.photos / "a.jpg"), np.zeros((300, 200, 3), np.uint8))
    write_result(run.results, "a.jpg", (200, 300), [np.full((68, 2), 50.0) + np.arange(68)[:, None]])
    answer = client.get(f"/api/photos/{document['id']}")
    assert answer.status_code >= 400
    assert "move the correction away" in answer.text
    document["version"] = str((run.photos / "a.jpg").stat().st_mtime_ns)
    again = saved(client, document, revision=1, checked=True, faces=[])
    assert again.status_code >= 400
    assert "move the correction away" in again.text
    assert path.read_bytes() == before
    # nor is it listed as done
    app = make_app(run.results, run.photos, None, TOKEN, {HOST}, models=False)
    fresh = TestClient(app, base_url=f"http://{HOST}")
    fresh.get("/", params={"token": TOKEN})
    assert not any(p["checked"] or p["corrected"] for p in listed(fresh))
    path.unlink()
    assert len(opened(client, "a.jpg")["faces"]) == 1
