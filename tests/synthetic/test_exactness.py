"""The written truth against what Cycles draws. Needs Blender's module."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from hrlm.formats import pts
from hrlm.synthetic.batch import Job, is_done, run
from hrlm.synthetic.camera import Camera, orbit
from hrlm.synthetic.head import HeadModel

bpy = pytest.importorskip("bpy", reason="Blender's module (hrlm[synthetic]) is not installed")

# smooth places, where a small disc on the skin looks like one: brows, nose
SMOOTH = (18, 19, 24, 25, 28, 29, 30)
# of the discs in pixels
RADIUS = 2.0
# a look whose picture is square, so that sizes have one ratio
SQUARE = (5, 0)


def glowing_marks(places: np.ndarray, radius: float) -> "bpy.types.Material":
    """Black skin that glows where it is nearer than `radius` cm to one of the places `(P, 3)` in Blender's frame."""
    material = bpy.data.materials.new("marks")
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    where = tree.nodes.new("ShaderNodeNewGeometry").outputs["Position"]
    total = None
    for place in places:
        distance = tree.nodes.new("ShaderNodeVectorMath")
        distance.operation = "DISTANCE"
        tree.links.new(where, distance.inputs[0])
        distance.inputs[1].default_value = tuple(place)
        near = tree.nodes.new("ShaderNodeMath")
        near.operation = "LESS_THAN"
        tree.links.new(distance.outputs["Value"], near.inputs[0])
        near.inputs[1].default_value = radius
        if total is None:
            total = near.outputs[0]
        else:
            add = tree.nodes.new("ShaderNodeMath")
            add.operation = "MAXIMUM"
            tree.links.new(total, add.inputs[0])
            tree.links.new(near.outputs[0], add.inputs[1])
            total = add.outputs[0]
    glow = tree.nodes.new("ShaderNodeEmission")
    tree.links.new(total, glow.inputs["Strength"])
    out = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(glow.outputs[0], out.inputs["Surface"])
    return material


@pytest.mark.parametrize("size", [384, 1024])
def test_marks_on_the_skin_are_where_the_truth_says(head: HeadModel, tmp_path: Path, size: int) -> None:
    from hrlm.synthetic import scene, truth
    from hrlm.synthetic.blender import to_blender

    scene.empty_scene()
    rng = np.random.default_rng(size)
    person = head.shape(rng.normal(0, 0.8, len(head.identity)), {"jawOpen": 0.3, "mouthSmile_L": 0.5})
    plain = bpy.data.materials.new("plain")
    posed = scene.add_head(head, person, {"M_Face": plain})
    view = Camera(*orbit(np.array([0, 2.5, 4]), *np.radians([8.0, -4, 6]), 110.0), 200.0, size, round(0.8 * size))
    points, points_3d = truth.landmarks(head, posed.surface, view)
    posed.object.data.materials[0] = glowing_marks(
        to_blender(points_3d[list(SMOOTH)]), RADIUS * 110 / view.focal_pixels
    )
    scene.add_camera(view)
    settings = bpy.context.scene
    settings.cycles.use_denoising = settings.cycles.use_adaptive_sampling = False
    settings.view_settings.view_transform = "Raw"
    scene.render(tmp_path / "marks.png", 36)
    seen = np.asarray(Image.open(tmp_path / "marks.png").convert("L")).astype(np.float64)
    assert seen.shape == (view.height, view.width)
    found = np.array([centre(seen, points[i]) for i in SMOOTH])
    assert np.linalg.norm(found - points[list(SMOOTH)], axis=1).max() < 0.1


def centre(seen: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Centre of the spot of light around a place: of the ellipse that fits it, in pixels."""
    _, labels = cv2.connectedComponents((seen > 20).astype(np.uint8))
    spot = labels == labels[round(near[1]), round(near[0])]
    assert spot[round(near[1]), round(near[0])]
    y, x = np.nonzero(spot)
    weight = seen[y, x]
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


@pytest.fixture(scope="module")
def portraits(head_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("portraits")
    # the longest first, so that no process waits for it at the end
    jobs = [
        Job(head_file, folder / "large.jpg", SQUARE, 512, 8, 20),
        Job(head_file, folder / "a.jpg", SQUARE, 256, 8, 20),
        Job(head_file, folder / "b.jpg", SQUARE, 256, 8, 20),
    ]
    assert run(jobs, 2) == []
    assert all(is_done(job) for job in jobs)
    return folder


def test_the_same_seed_gives_the_same_picture_and_truth(portraits: Path) -> None:
    assert (portraits / "a.pts").read_bytes() == (portraits / "b.pts").read_bytes()
    a, b = (np.asarray(Image.open(portraits / f"{n}.jpg")).astype(int) for n in "ab")
    assert np.abs(a - b).max() <= 2


def test_sizes_agree(portraits: Path) -> None:
    """The truth scales about the picture's corner, pixel centres considered, and so does the picture."""
    small, large = pts.read(portraits / "a.pts"), pts.read(portraits / "large.pts")
    assert np.abs(small - large / 2).max() < 0.5
    picture, twice = (Image.open(portraits / f"{n}.jpg").convert("L") for n in ("a", "large"))
    scale = np.array(twice.size) / np.array(picture.size)
    assert (small + 0.5) * scale - 0.5 == pytest.approx(large, abs=0.02)
    reduced = np.asarray(twice.resize(picture.size, Image.Resampling.BOX)).astype(np.float32)
    shift, _ = cv2.phaseCorrelate(np.asarray(picture).astype(np.float32), reduced)
    assert np.abs(shift).max() < 0.1


def test_a_second_run_finds_all_done(portraits: Path, head_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stamp = (portraits / "a.jpg").stat().st_mtime_ns
    assert run([Job(head_file, portraits / "a.jpg", SQUARE, 256, 8, 20)], 1) == []
    assert (portraits / "a.jpg").stat().st_mtime_ns == stamp
    assert "all 1 portraits are there" in capsys.readouterr().err
    assert io.BytesIO((portraits / "a.jpg").read_bytes()).read(2) == b"\xff\xd8"


def test_maps_agree_with_the_truth(head: HeadModel, head_file: Path, tmp_path: Path) -> None:
    """Depth and regions where the truth puts nose, pupils, teeth-side lips and the picture's corner."""
    from hrlm.synthetic.look import draw_look
    from hrlm.synthetic.maps import DEPTH_UNIT, REGIONS

    path = tmp_path / "m.jpg"
    job = Job(head_file, path, SQUARE, 256, 1, 20, maps=True)
    assert run([job], 1) == []
    assert is_done(job)
    depth = cv2.imread(str(tmp_path / "m.depth.png"), cv2.IMREAD_UNCHANGED)
    region = cv2.imread(str(tmp_path / "m.region.png"), cv2.IMREAD_UNCHANGED)
    normal = cv2.imread(str(tmp_path / "m.normal.png"))[..., ::-1].astype(float) / 127.5 - 1
    look = draw_look(SQUARE, len(head.identity), 20)
    view = look.camera(256)
    points = pts.read(tmp_path / "m.pts")
    x, y = points[30].round().astype(int)
    nose = head.shape(look.person.identity, look.person.expression)[head.landmarks[30]]
    assert REGIONS[region[y, x]] == "skin"
    assert depth[y, x] * DEPTH_UNIT == pytest.approx(view.depth(nose), abs=0.3)
    assert np.linalg.norm(normal[y, x]) == pytest.approx(1, abs=0.05)
    assert normal[y, x, 2] > 0.5
    lower_lip = ((points[57] + points[66]) / 2).round().astype(int)
    assert REGIONS[region[lower_lip[1], lower_lip[0]]] in ("lips", "beard")
    assert REGIONS[region[0, 0]] == "background"
    assert depth[0, 0] == 0
    shown = {REGIONS[i] for i in np.unique(region)}
    assert {"skin", "lips", "iris", "sclera", "brow", "clothes and worn"} <= shown


def test_a_view_is_cut_from_the_whole_picture(portraits: Path, head_file: Path, tmp_path: Path) -> None:
    """Truth and pixels of a window against those of the portrait, to parts of a pixel."""
    job = Job(head_file, tmp_path / "a.jpg", SQUARE, 512, 8, 20, views=("eyes", "mouth"))
    assert run([job], 1) == []
    assert is_done(job)
    assert not (tmp_path / "a.jpg").exists()
    whole = np.asarray(Image.open(portraits / "large.jpg").convert("L")).astype(np.float32)
    points = pts.read(portraits / "large.pts")
    for view in ("eyes", "mouth"):
        seen = np.asarray(Image.open(job.path_of(view)).convert("L")).astype(np.float32)
        (x, y), *others = np.unique((points - pts.read(tmp_path / f"a-{view}.pts")).round(2), axis=0)
        assert not others
        height, width = seen.shape
        same = whole[round(y) : round(y) + height, round(x) : round(x) + width]
        shift, _ = cv2.phaseCorrelate(seen, np.ascontiguousarray(same))
        assert np.abs(shift).max() < 0.1
        assert np.abs(seen - same).mean() < 4
