from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from hrlm.errors import DataError
from hrlm.synthetic.head import HeadModel, load_head, vertex_normals
from hrlm.synthetic.ict import FOLDER, NEUTRAL, pack_head


def test_shape_adds_what_is_asked_for(head: HeadModel) -> None:
    still = head.shape(np.zeros(len(head.identity)), {})
    assert np.allclose(still, head.neutral)
    one = np.zeros(len(head.identity))
    one[2] = 1.5
    assert np.allclose(head.shape(one, {}) - still, 1.5 * head.identity[2], atol=1e-4)
    opened = head.shape(np.zeros(len(head.identity)), {"jawOpen": 1.0})
    chin = head.landmarks[8]
    assert opened[chin, 1] < still[chin, 1] - 1
    with pytest.raises(KeyError, match="no expression 'smirk'"):
        head.shape(one, {"smirk": 1.0})


def test_right_and_left_are_the_subjects_own(head: HeadModel) -> None:
    p = head.neutral
    assert p[head.landmarks[36], 0] < 0 < p[head.landmarks[45], 0]
    assert p[head.jaw_line[0], 0] < 0 < p[head.jaw_line[-1], 0]
    assert p[head.landmarks[8], 1] < p[head.landmarks[27], 1]
    blink = head.expression[head.expression_names.index("eyeBlink_R")]
    assert np.abs(blink[head.landmarks[37]]).max() > 10 * np.abs(blink[head.landmarks[44]]).max()


def test_normals_point_out(head: HeadModel) -> None:
    normals = vertex_normals(head.neutral.astype(np.float64), head.faces)
    assert np.allclose(np.linalg.norm(normals[head.landmarks], axis=1), 1)
    assert normals[head.landmarks[30], 2] > 0.8
    assert normals[head.landmarks[8], 1] < -0.3


def test_chains_run_along_edges_through_the_stops(head: HeadModel) -> None:
    stops = head.landmarks[[36, 37, 38, 39]].tolist()
    path = head.chain(stops)
    assert path[0] == stops[0]
    assert path[-1] == stops[-1]
    assert [v for v in path if v in stops] == stops
    assert all(b in head.neighbours[a] for a, b in pairwise(path))


def test_texture_coordinates_lead_back_to_their_vertices(head: HeadModel) -> None:
    marks = head.landmarks[17:]
    vertices, weights = head.on_face(head.vertex_uv[marks])
    points = (head.neutral[vertices] * weights[..., None]).sum(1)
    assert np.allclose(points, head.neutral[marks], atol=1e-3)
    assert np.allclose(weights.sum(1), 1)


def test_a_checkout_packs_to_the_same_head(head: HeadModel, head_file: Path, tmp_path: Path) -> None:
    with np.load(head_file) as z:
        names = z["expression_names"].tolist()
        folder = tmp_path / FOLDER
        folder.mkdir()
        lines = [f"v {x} {y} {z}" for x, y, z in head.neutral.tolist()]
        lines += [f"vt {u} {v}" for u, v in head.uv.tolist()]
        material = ""
        for face, corners, name in zip(head.faces.tolist(), head.face_uv.tolist(), head.material, strict=True):
            if name != material:
                lines.append(f"usemtl {name}")
                material = name
            lines.append("f " + " ".join(f"{v + 1}/{t + 1}/1" for v, t in zip(face, corners, strict=True) if v >= 0))
        (folder / NEUTRAL).write_text("# a comment\n" + "\n".join(lines))
        for i in range(2):
            write_mesh(folder / f"identity{i:03d}.obj", head.neutral + head.identity[i])
        for name in names[:3]:
            write_mesh(folder / f"{name}.obj", head.neutral + head.expression[names.index(name)])
    with pytest.raises(DataError, match="holds 2 identity"):
        pack_head(tmp_path, tmp_path / "head.npz", 60)
    pack_head(tmp_path, tmp_path / "head.npz", 2)
    packed = load_head(tmp_path / "head.npz")
    assert (packed.faces == head.faces).all()
    assert (packed.material == head.material).all()
    assert (packed.landmarks == head.landmarks).all()
    assert (packed.jaw_line == head.jaw_line).all()
    assert np.allclose(packed.neutral, head.neutral, atol=1e-5)
    assert np.allclose(packed.identity, head.identity[:2], atol=1e-3)
    assert packed.expression_names == tuple(sorted(names[:3]))


def write_mesh(path: Path, vertices: np.ndarray) -> None:
    path.write_text("".join(f"v {x} {y} {z}\n" for x, y, z in vertices.tolist()))


def test_what_is_no_head_is_named_with_a_cure(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such head model: get ICT-FaceKit"):
        load_head(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(DataError, match=r"text\.npz: is not a packed head model"):
        load_head(tmp_path / "text.npz")
    with pytest.raises(DataError, match="give a checkout"):
        pack_head(tmp_path, tmp_path / "out.npz", 60)
