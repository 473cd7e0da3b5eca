"""ICT-FaceKit light as its authors publish it: Wavefront files, one for the neutral head and one for every mode."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hrlm.errors import DataError
from hrlm.formats.atomic import replacing

FOLDER = "FaceXModel"
NEUTRAL = "generic_neutral_mesh.obj"
# vertices of the iBUG landmarks and of the jaw's edge beside the chin, facts of this mesh
# fmt: off
LANDMARKS = (
    1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088, 3443, 268, 493,
    1914, 2044, 1401, 3615, 4240, 4114, 2734, 2509, 978, 4527, 4942, 4857, 1140, 2075, 1147, 4269, 3360, 1507,
    1542, 1537, 1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732, 5708, 5695, 2081, 0, 4275, 6200, 6213, 6346,
    6461, 5518, 5957, 5841, 5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966,
)
JAW_RIGHT = (
    1278, 1272, 12, 1834, 243, 781, 2199, 1447,
)
JAW_LEFT = (
    3661, 4390, 3022, 2484, 4036, 2253, 3490, 3496,
)
# fmt: on


def pack_head(checkout: Path, out: Path, modes: int) -> None:
    """Write the head model of a checkout as one `.npz`, offsets as 16-bit integers with a scale for every mode.

    Args:
        checkout: the folder that holds `FaceXModel/`.
        modes: identity modes to keep, the strongest first.

    Raises:
        DataError: a file is missing or is no mesh of this head.
        WriteError: the file cannot be written.
    """
    folder = checkout / FOLDER if (checkout / FOLDER).is_dir() else checkout
    data = read_neutral(folder / NEUTRAL)
    neutral = data["vertices"]
    names = sorted(p.stem for p in folder.glob("*.obj") if p.name != NEUTRAL and not p.stem.startswith("identity"))
    identities = sorted(folder.glob("identity*.obj"))[:modes]
    if not names or len(identities) < modes:
        raise DataError(f"{folder}: holds {len(identities)} identity and {len(names)} expression meshes: update it")
    for key, paths in (("identity", identities), ("expression", [folder / f"{n}.obj" for n in names])):
        offsets = np.stack([read_vertices(p, len(neutral)) - neutral for p in paths])
        scale = np.maximum(np.abs(offsets).max((1, 2)) / 32767, 1e-9)
        data[key] = np.round(offsets / scale[:, None, None]).astype(np.int16)
        data[f"{key}_scale"] = scale.astype(np.float32)
    data["expression_names"] = np.array(names)
    data["landmarks68"], data["jaw_right"], data["jaw_left"] = (np.array(v) for v in (LANDMARKS, JAW_RIGHT, JAW_LEFT))
    with replacing(out) as file:
        np.savez_compressed(file, **data)  # type: ignore[arg-type]


def read_neutral(path: Path) -> dict[str, np.ndarray]:
    """Vertices, texture coordinates, faces (-1 pads triangles) and their materials of a Wavefront file.

    Raises:
        DataError: missing or damaged.
    """
    vertices, uv, faces, face_uv, material = [], [], [], [], []
    current = ""
    try:
        for line in _lines(path):
            kind, *words = line.split()
            if kind == "v":
                vertices.append([float(w) for w in words[:3]])
            elif kind == "vt":
                uv.append([float(w) for w in words[:2]])
            elif kind == "usemtl":
                current = words[0]
            elif kind == "f":
                corners = [w.split("/") for w in words]
                pad = [-1] * (4 - len(corners))
                faces.append([int(c[0]) - 1 for c in corners] + pad)
                face_uv.append([int(c[1]) - 1 for c in corners] + pad)
                material.append(current)
    except (ValueError, IndexError) as e:
        raise DataError(f"{path}: is no mesh with texture coordinates: get it anew") from e
    if len(vertices) <= max(LANDMARKS):
        raise DataError(f"{path}: has {len(vertices)} vertices, too few for ICT-FaceKit: get it anew")
    return {
        "vertices": np.array(vertices, np.float32),
        "uv": np.array(uv, np.float32),
        "faces": np.array(faces, np.int32),
        "face_uv": np.array(face_uv, np.int32),
        "material": np.array(material),
    }


def read_vertices(path: Path, count: int) -> np.ndarray:
    """Vertices `(count, 3)` of a Wavefront file.

    Raises:
        DataError: missing, damaged or of another mesh.
    """
    try:
        found = np.array([line.split()[1:4] for line in _lines(path) if line.startswith("v ")], np.float32)
    except ValueError as e:
        raise DataError(f"{path}: is no mesh: get it anew") from e
    if found.shape != (count, 3):
        raise DataError(f"{path}: has {len(found)} vertices, the neutral head has {count}: get it anew")
    return found


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as e:
        raise DataError(f"{path}: cannot be read ({e.strerror or e}): give a checkout of ICT-FaceKit") from e
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
