import json
from pathlib import Path

import numpy as np
import pytest

from hrlm.anatomy import face_lines
from hrlm.formats import pts
from hrlm.measures import COLUMNS, header, measure_face, row
from hrlm.measures.faces import _values
from hrlm.results import Face
from hrlm.schemes import load_scheme, parse_scheme

HEADS = sorted((Path(__file__).parents[1] / "examples" / "heads").glob("*.dense.json"))
# the portraits that tests take by number, whichever others there are
FIRST = [h for h in HEADS if h.name[10:14] in ("0000", "0007", "0013", "0022", "0029", "0031")]
# bent forward, turned and tilted at once: the roll comes out 4.9 degrees off
POSED = [
    pytest.param(h, marks=pytest.mark.xfail(strict=True, reason="roll is 4.9 degrees off")) if "0014" in h.name else h
    for h in HEADS
]
SCHEME = load_scheme("ibug68")


def as_face(points: np.ndarray, deviation: float = 1.0, covariance: np.ndarray | None = None) -> Face:
    return Face(points, np.full(len(points), deviation), (0.0, 0.0, 1.0, 1.0), 1.0, (), covariance)


def values(points: np.ndarray) -> dict[str, float]:
    return {name: measure.value for name, measure in measure_face(as_face(points), SCHEME).items()}


def landmarks(dense: Path) -> np.ndarray:
    return pts.read(dense.with_name(dense.name.replace(".dense.json", ".pts")))


def head(number: int) -> np.ndarray:
    return landmarks(FIRST[number])


def plain_face() -> np.ndarray:
    """A symmetric face: eyes of 30 x 10 at 50 from the middle, brows 40 above, a mouth of 60 x 20 at 90 below."""
    points = np.zeros((68, 2))
    points[:17, 0] = np.linspace(-80, 80, 17)
    points[:17, 1] = 150 * np.sin(np.linspace(0, np.pi, 17))
    points[17:22, 0], points[17:27, 1] = np.linspace(-70, -30, 5), -40
    points[22:27, 0] = np.linspace(30, 70, 5)
    points[27:31, 1] = np.linspace(0, 50, 4)
    points[31:36] = np.stack([np.linspace(-15, 15, 5), np.full(5, 60)], 1)
    for first, x in ((36, -50), (42, 50)):
        points[first : first + 6] = [[x - 15, 0], [x - 5, -5], [x + 5, -5], [x + 15, 0], [x + 5, 5], [x - 5, 5]]
    half = np.array([[-30, 0], [-20, -8], [-10, -10], [0, -10], [10, -10], [20, -8], [30, 0]])
    points[48:55], points[55:60] = half, half[5:0:-1] * [1, -1]
    points[60:65] = np.stack([np.linspace(-25, 25, 5), [0, -3, -3, -3, 0]], 1)
    points[65:68] = [[12.5, 3], [0, 3], [-12.5, 3]]
    points[48:] += (0, 90)
    return points


def turned(points: np.ndarray, angle: float, scale: float = 1.0) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return scale * points @ np.array([[c, s], [-s, c]]) + (700, 500)


@pytest.mark.parametrize(("angle", "scale"), [(0.0, 1.0), (0.5, 1.0), (-0.3, 4.0)])
def test_a_plain_face_measures_what_it_was_drawn_with(angle: float, scale: float) -> None:
    found = values(turned(plain_face(), angle, scale))
    expected = {
        "inter_ocular_px": 130,
        "eye_opening_right_px": 10,
        "eye_opening_left_px": 10,
        "eye_width_left_px": 30,
        "brow_height_right_px": 40,
        "mouth_corner_excursion_left_px": np.hypot(30, 10),
        "mouth_opening_px": 6,
        "mouth_width_px": 60,
        "mouth_corner_drop_left_px": 0,
        "nose_tip_offset_px": 0,
        "chin_offset_px": 0,
        "mirror_asymmetry_px": 0,
    }
    for name, length in expected.items():
        assert found[name] == pytest.approx(length * scale, abs=1e-6), name
        if name != "inter_ocular_px":
            assert found[name.replace("_px", "_io")] == pytest.approx(length / 130, abs=1e-9)
    assert found["eye_aspect_left"] == pytest.approx(1 / 3)
    assert found["eye_opening_asymmetry"] == pytest.approx(0, abs=1e-9)
    assert found["yaw_degrees"] == pytest.approx(0, abs=1e-6)
    assert found["roll_degrees"] == pytest.approx(np.degrees(angle), abs=1e-6)


def test_signs_of_asymmetry_follow_the_person_s_left() -> None:
    points = plain_face()
    points[43:45, 1] -= 10
    points[25, 1] = points[24, 1] = -60
    points[54] += (20, 8)
    points[8] += (12, 0)
    points[30] -= (7, 0)
    found = values(turned(points, 0.2))
    assert found["eye_opening_asymmetry"] == pytest.approx((20 - 10) / 30)
    assert found["brow_height_asymmetry"] == pytest.approx((60 - 40) / 100)
    assert found["mouth_corner_excursion_asymmetry"] > 0.1
    assert found["mouth_corner_drop_left_px"] == pytest.approx(8)
    # inner corners of the eyes at 35, 0; corners of the mouth at -30, 90 and at 50, 98
    expected = np.hypot(15, 98) - np.hypot(5, 90)
    assert found["canthus_to_mouth_corner_difference_px"] == pytest.approx(expected)
    assert found["chin_offset_px"] == pytest.approx(12)
    assert found["nose_tip_offset_px"] == pytest.approx(-7)
    # of the 29 pairs three and a half moved: lids by 10 twice, brow points by 20 twice, the corner by its shift
    assert found["mirror_asymmetry_px"] == pytest.approx((10 + 10 + 20 + 20 + np.hypot(20, 8)) / 29)


def test_a_mirrored_photo_swaps_sides_and_turns_signs_round() -> None:
    points = head(1)
    here = values(points)
    there = values((points * [-1, 1] + [5000, 0])[list(SCHEME.mirror)])
    for name, value in here.items():
        other = name.replace("right", "\0").replace("left", "right").replace("\0", "left")
        signed = name.startswith(("yaw", "roll", "nose", "chin", "mouth_corner_drop", "canthus")) or (
            "asymmetry" in name and "mirror" not in name
        )
        if name.startswith("mouth_corner_drop"):
            other = name
        assert there[other] == pytest.approx(-value if signed else value, rel=1e-6, abs=1e-6), name


@pytest.mark.parametrize("correlated", [False, True], ids=["deviation", "covariance"])
def test_deviations_are_those_of_a_simulation(correlated: bool) -> None:
    points = head(1)
    scale = 0.003 * float(SCHEME.inter_ocular(points))
    random = np.random.default_rng(5)
    roots = scale * (random.normal(size=(68, 2, 2)) if correlated else np.broadcast_to(np.eye(2), (68, 2, 2)))
    covariance = roots @ roots.transpose(0, 2, 1)
    stated = measure_face(as_face(points, scale, covariance if correlated else None), SCHEME)
    count = 3000
    noise = np.einsum("nij,cnj->cni", roots, random.normal(size=(count, 68, 2)))
    spread = _values(points + noise, SCHEME).std(0)
    for (name, measure), simulated in zip(stated.items(), spread, strict=True):
        assert measure.deviation == pytest.approx(simulated, rel=0.08), name


@pytest.mark.parametrize("path", POSED, ids=lambda p: p.name[:14])
def test_pose_of_rendered_heads(path: Path) -> None:
    truth = json.loads(path.read_text())
    sparse = values(landmarks(path))
    dense = np.array(truth["dense"]["landmarks"])
    fine = measure_face(as_face(dense), load_scheme("portrait"))
    bounds = {"yaw": 8, "pitch": 9, "roll": 3}
    for name, bound in bounds.items():
        assert sparse[f"{name}_degrees"] == pytest.approx(truth["pose"][name], abs=bound), name
        assert fine[f"{name}_degrees"].value == pytest.approx(truth["pose"][name], abs=bound), name


def test_an_unknown_deviation_spoils_only_its_own_measures() -> None:
    points = plain_face()
    deviation = np.ones(68)
    deviation[62] = np.nan
    found = measure_face(Face(points, deviation, (0.0, 0.0, 1.0, 1.0), 1.0), SCHEME)
    assert np.isnan(found["mouth_opening_px"].deviation)
    assert found["mouth_opening_px"].value == pytest.approx(6)
    assert found["mouth_width_px"].deviation == pytest.approx(np.sqrt(2))


def test_rows_fit_their_header_and_leave_out_what_is_not_known() -> None:
    own = parse_scheme("name: two\nlandmarks: [a, b]\nregions: {all: {landmarks: [0, 1]}}\nnormaliser: [0, 1]")
    assert face_lines(own) == {}
    cells = dict(zip(header(), row(as_face(np.array([[0.0, 0.0], [3.0, 4.0]])), own), strict=True))
    assert cells.pop("inter_ocular_px") == "5"
    assert float(cells.pop("inter_ocular_px_deviation")) == pytest.approx(np.sqrt(2), abs=1e-4)
    assert set(cells.values()) == {""}
    assert len(header()) == 2 * len(COLUMNS)
    together = np.zeros((68, 2))
    assert len(row(as_face(together), SCHEME)) == len(header()), "a face of no size at all is no error"
