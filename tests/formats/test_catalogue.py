"""What is written is read: every format, on the examples' landmarks, on odd names and on any numbers."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from hrlm.errors import FormatError
from hrlm.formats import pts
from hrlm.formats.catalogue import FORMATS, Format, read_any, write_photo, write_run
from hrlm.formats.values import writable
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult
from hrlm.schemes import Scheme, load_scheme, parse_scheme

HEADS = Path(__file__).parents[2] / "examples" / "heads"
IBUG = load_scheme("ibug68")
SMALL = parse_scheme(
    "{name: small, landmarks: [left <&>, 'right \"é\"', tip], regions: {all: {landmarks: [0-2]}}, normaliser: [0, 1],"
    " contours: {line: {landmarks: [0-2], closed: true}}}"
)
MODEL = ModelInfo("m", "small", "1")
# the farthest that a coordinate may be off after one file: rounding to 0.001 px, for dlib to whole pixels
EXACT = dict.fromkeys(FORMATS, 5.1e-4) | {"parquet": 0, "dlib": 0.5}
NO_DEVIATION = {"dlib", "pts"}
NO_ORIENTATION = {"cvat", "dlib"}
NO_EMPTY = {"csv", "parquet"}
# what the JSON formats hold and the others write as an escape
ANY_NAME = {"labelme", "coco", "label-studio"}


@pytest.fixture(params=[f for f in FORMATS if f != "pts"])
def format(request: pytest.FixtureRequest) -> Format:
    if request.param == "parquet":
        pytest.importorskip("pyarrow")
    return FORMATS[request.param]


def there_and_back(format: Format, folder: Path, results: list[PhotoResult], scheme: Scheme) -> Iterator[PhotoResult]:
    if not format.per_photo:
        write_run(format, folder / format.suffix, iter(results), scheme)
        yield from read_any(format, folder / format.suffix, scheme)
        return
    for number, result in enumerate(results):
        path = folder / f"{number}{format.suffix}"
        path.unlink(missing_ok=True)
        write_photo(format, path, result, scheme)
        yield from read_any(format, path, scheme)


def assert_same(format: Format, back: list[PhotoResult], results: list[PhotoResult]) -> None:
    name = format.name
    results = [r for r in results if r.faces or name not in NO_EMPTY]
    assert len(back) == len(results)
    for a, b in zip(back, results, strict=True):
        path = b.photo.path if name in ANY_NAME else writable(b.photo.path)
        orientation = 1 if name in NO_ORIENTATION else b.photo.orientation
        assert a.photo == replace(b.photo, path=path, orientation=orientation)
        assert a.model == ModelInfo("imported", a.model.scheme, name)
        assert len(a.faces) == len(b.faces)
        for face, truth in zip(a.faces, b.faces, strict=True):
            np.testing.assert_allclose(face.landmarks, truth.landmarks, atol=EXACT[name], rtol=1e-12)
            if name == "dlib":
                # a box of whole pixels, never empty
                edges = np.cumsum(np.reshape(truth.box, (2, 2)), axis=0)
                np.testing.assert_allclose(np.cumsum(np.reshape(face.box, (2, 2)), axis=0), edges, atol=1.5)
            else:
                np.testing.assert_allclose(face.box, truth.box, atol=2 * EXACT[name], rtol=1e-12)
            unknown = np.full(len(truth.deviation), np.nan)
            expected = unknown if name in NO_DEVIATION else truth.deviation
            np.testing.assert_allclose(face.deviation, expected, atol=EXACT[name])
            assert face.score == pytest.approx(truth.score, abs=5.1e-5)
            kept = {"cut", "ignore"} if name == "dlib" else set(truth.flags)
            assert set(face.flags) == set(truth.flags) & kept


def some_face(points: np.ndarray, flags: tuple[str, ...] = ()) -> Face:
    low, high = points.min(0) - 3, points.max(0) + 7
    deviation = np.linspace(0.1, 2, len(points)).round(3)
    deviation[1] = np.nan
    x, y = low.tolist()
    width, height = (high - low).tolist()
    return Face(points, deviation, (x, y, width, height), 0.9871, flags)


@pytest.fixture(scope="module")
def heads() -> list[PhotoResult]:
    results = []
    for file in sorted(HEADS.glob("*.pts")):
        photo = file.with_suffix(".jpg")
        with Image.open(photo) as image:
            info = PhotoInfo(f"sub/{photo.name}", *image.size)
        points = pts.read(file)
        # a second, smaller face, of which a part lies outside of the photo
        other = some_face(points / 3 - [900, 0], ("cut", "small"))
        results.append(PhotoResult(info, MODEL, (some_face(points), other)))
    results[1] = replace(results[1], faces=())
    results[2] = replace(results[2], faces=results[2].faces[:1])
    assert len(results) == 10
    return results


def test_the_examples(format: Format, tmp_path: Path, heads: list[PhotoResult]) -> None:
    assert_same(format, list(there_and_back(format, tmp_path, heads, IBUG)), heads)


ODD_NAMES = [
    "plain.jpg",
    "Ünïcödé 日本語 😀.jpg",
    "a & b <c> \"d\" 'e'.jpg",
    "]]> <!-- & --> &amp;.jpg",
    "=1+1.jpg",
    "+x.jpg",
    "-x.jpg",
    "@x, y; z.jpg",
    "per%20cent?d=a&b=c#d.jpg",
    "back\\slash.jpg",
    "two\nlines\tand tab.jpg",
    "stray\udcff byte.jpg",
    "bell\x07.jpg",
    " spaces .jpg",
    "sub/./x.jpg",
]


def test_odd_names(format: Format, tmp_path: Path) -> None:
    face = some_face(np.array([[1.0, 2.0], [3.5, 4.25], [5.0, 6.0]]))
    results = [PhotoResult(PhotoInfo(name, 40, 30, 6), MODEL, (face,)) for name in ODD_NAMES]
    assert_same(format, list(there_and_back(format, tmp_path, results, SMALL)), results)


COORDINATE = st.floats(-5e4, 5e4)


@st.composite
def small_results(draw: st.DrawFn) -> PhotoResult:
    def face() -> Face:
        x, y = (draw(st.lists(COORDINATE, min_size=3, max_size=3)) for _ in range(2))
        deviation = draw(st.lists(st.floats(0, 100) | st.just(float("nan")), min_size=3, max_size=3))
        box = draw(st.tuples(COORDINATE, COORDINATE, st.floats(1, 1e4), st.floats(1, 1e4)))
        flags = draw(st.lists(st.sampled_from(["cut", "small", "ignore"]), unique=True))
        return Face(np.column_stack([x, y]), np.array(deviation), box, draw(st.floats(0, 1)), tuple(flags))

    size = draw(st.integers(1, 10**5)), draw(st.integers(1, 10**5))
    info = PhotoInfo("a.jpg", *size, draw(st.integers(1, 8)))
    return PhotoResult(info, MODEL, tuple(face() for _ in range(draw(st.integers(0, 2)))))


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(result=small_results())
def test_any_numbers(format: Format, tmp_path: Path, result: PhotoResult) -> None:
    assert_same(format, list(there_and_back(format, tmp_path, [result], SMALL)), [result])


def test_an_empty_run(format: Format, tmp_path: Path) -> None:
    assert list(there_and_back(format, tmp_path, [], SMALL)) == []


def test_a_run_that_breaks_off_leaves_what_was_there(format: Format, tmp_path: Path) -> None:
    if format.per_photo:
        return

    def broken() -> Iterator[PhotoResult]:
        yield PhotoResult(PhotoInfo("a.jpg", 4, 3), MODEL, ())
        raise KeyboardInterrupt

    path = tmp_path / format.suffix
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write_run(format, path, broken(), SMALL)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [(path.name, b"old")]


def test_a_long_run_is_taken_one_result_at_a_time(format: Format, tmp_path: Path) -> None:
    if format.per_photo:
        return
    face = some_face(np.array([[1.0, 2.0], [3.5, 4.25], [5.0, 6.0]]))
    alive = most = 0

    class Counted(PhotoResult):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def results() -> Iterator[PhotoResult]:
        nonlocal alive, most
        for number in range(3000):
            alive += 1
            most = max(most, alive)
            yield Counted(PhotoInfo(f"{number}.jpg", 40, 30), MODEL, (face,))

    write_run(format, tmp_path / format.suffix, results(), SMALL)
    assert most <= 4
    back = read_any(format, tmp_path / format.suffix, SMALL)
    assert [r.photo.path for r in back] == [f"{number}.jpg" for number in range(3000)]


def test_another_scheme_is_refused(format: Format, tmp_path: Path, heads: list[PhotoResult]) -> None:
    with pytest.raises(FormatError, match=r"faces of 68 landmarks where small has 3"):
        list(there_and_back(format, tmp_path, heads, SMALL))
    problems: list[str] = []
    path = tmp_path / format.suffix
    if format.per_photo:
        write_photo(format, path, heads[0], IBUG)
    else:
        write_run(format, path, heads[:1], IBUG)
    try:
        back = list(read_any(format, path, SMALL, problems))
    except FormatError as e:
        # a table's columns do not fit at all
        problems.append(str(e))
    else:
        assert back[0].faces == ()
    assert problems
    assert all(p.startswith(str(path)) and "\n" not in p for p in problems)


@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff\xfe", b"{", b"[]", b"[3]", b"{}", b"<a>", b"<a/>", b"<dataset><images>", b"a,b\n1,2\n"]
)
def test_files_of_something_else_are_refused_by_name(format: Format, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / format.suffix
    path.write_bytes(content)
    if (format.name, content) == ("label-studio", b"[]"):
        # a run without a photo
        assert list(read_any(format, path, SMALL)) == []
        return
    with pytest.raises(FormatError) as caught:
        list(read_any(format, path, SMALL))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(FormatError, match="cannot be read"):
        list(read_any(format, tmp_path / "absent", SMALL))


def test_pts_holds_one_face(tmp_path: Path) -> None:
    format = FORMATS["pts"]
    face = some_face(np.array([[1.0, 2.0], [3.5, 4.25], [5.0, 6.0]]))
    result = PhotoResult(PhotoInfo("a.jpg", 4, 3), MODEL, (face,))
    write_photo(format, tmp_path / "a.pts", result, SMALL)
    (back,) = read_any(format, tmp_path / "a.pts", SMALL)
    assert back.photo == PhotoInfo("a", 0, 0)
    np.testing.assert_allclose(back.faces[0].landmarks, face.landmarks)
    with pytest.raises(FormatError, match="holds one face"):
        write_photo(format, tmp_path / "a.pts", replace(result, faces=(face, face)), SMALL)


def test_the_list_of_formats_needs_none_of_them() -> None:
    code = (
        "import sys; from hrlm.formats.catalogue import FORMATS; print(len(FORMATS), "
        "*(m for m in ('torch', 'numpy', 'pyarrow', 'hrlm.formats.coco') if m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "9\n"
