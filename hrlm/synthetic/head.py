"""The head: ICT-FaceKit (USC Institute for Creative Technologies, MIT licence), a morphable mesh with expressions.

Everything pure in this package lives in the **head frame**: centimetres, x to the subject's own left (right in the
picture), y up, z forward out of the face.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import heappop, heappush
from itertools import pairwise
from pathlib import Path

import numpy as np

from hrlm.errors import DataError

WHERE = (
    "get ICT-FaceKit light from https://github.com/ICT-VGL/ICT-FaceKit and pack it with `python -m hrlm.synthetic pack`"
)
ARRAYS = {
    "vertices",
    "identity",
    "identity_scale",
    "expression",
    "expression_scale",
    "expression_names",
    "faces",
    "face_uv",
    "uv",
    "material",
    "landmarks68",
    "jaw_right",
    "jaw_left",
}


@dataclass(frozen=True)
class HeadModel:
    """A morphable head of V vertices and F faces.

    Args:
        neutral: `(V, 3)` the mean head.
        identity: `(K, V, 3)` offsets for one standard deviation of each identity mode.
        expression: `(E, V, 3)` offsets for full strength of each expression.
        expression_names: E names, ARKit's with `_L` and `_R`.
        faces: `(F, 4)` vertex indices, -1 pads triangles.
        face_uv: `(F, 4)` indices into `uv`.
        uv: `(T, 2)`, v up; tiles 0 to 6 in u.
        material: `(F,)` names such as `M_Face`.
        landmarks: `(68,)` vertices; 0-16 lie on the frontal jaw line.
        jaw_line: vertices along the jaw from the right ear over the chin to the left ear.
    """

    neutral: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    expression_names: tuple[str, ...]
    faces: np.ndarray
    face_uv: np.ndarray
    uv: np.ndarray
    material: np.ndarray
    landmarks: np.ndarray
    jaw_line: np.ndarray

    def shape(self, identity: np.ndarray, expression: Mapping[str, float]) -> np.ndarray:
        """Vertices `(V, 3)` float64 of a person with an expression.

        Args:
            identity: `(K,)` standard deviations.
            expression: strengths by name, 0 to 1.

        Raises:
            KeyError: no such expression.
        """
        vertices = self.neutral + np.tensordot(np.asarray(identity, np.float32), self.identity, 1)
        for name, strength in expression.items():
            if name not in self.expression_names:
                raise KeyError(f"no expression {name!r}; there are {', '.join(self.expression_names)}")
            vertices = vertices + np.float32(strength) * self.expression[self.expression_names.index(name)]
        return vertices.astype(np.float64)

    @cached_property
    def vertex_uv(self) -> np.ndarray:
        """One texture coordinate `(V, 2)` per vertex; at a seam the last face's."""
        found = np.zeros((len(self.neutral), 2))
        used = self.faces >= 0
        found[self.faces[used]] = self.uv[self.face_uv[used]]
        return found

    def vertices_of(self, *materials: str) -> np.ndarray:
        """Sorted vertices that faces of the materials use."""
        own = self.faces[np.isin(self.material, materials)]
        return np.unique(own[own >= 0])

    @cached_property
    def neighbours(self) -> dict[int, list[int]]:
        """Vertices joined by an edge of the mesh."""
        joined: dict[int, set[int]] = {}
        for face in self.faces.tolist():
            ring = [v for v in face if v >= 0]
            for a, b in zip(ring, ring[1:] + ring[:1], strict=True):
                joined.setdefault(a, set()).add(b)
                joined.setdefault(b, set()).add(a)
        return {a: sorted(b) for a, b in joined.items()}

    def chain(self, stops: Sequence[int]) -> list[int]:
        """Vertices along the shortest path over the neutral mesh's edges through `stops`, ends included."""
        path = [int(stops[0])]
        for a, b in pairwise(stops):
            path += self._shortest(int(a), int(b))[1:]
        return path

    def on_face(self, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where texture coordinates `(P, 2)` lie on `M_Face`: vertices `(P, 3)` and their weights `(P, 3)`."""
        own = self.material == "M_Face"
        faces, corners = self.faces[own], self.face_uv[own]
        quads = faces[:, 3] >= 0
        triangles = np.concatenate([faces[:, :3], faces[quads][:, [0, 2, 3]]])
        a, b, c = np.moveaxis(self.uv[np.concatenate([corners[:, :3], corners[quads][:, [0, 2, 3]]])], 1, 0)
        area = _cross(b - a, c - a)
        area = np.where(area == 0, np.inf, area)
        found, weights = np.empty((len(uv), 3), int), np.empty((len(uv), 3))
        for i, point in enumerate(uv):
            w1, w2 = _cross(point - a, c - a) / area, _cross(b - a, point - a) / area
            # the triangle that the point is inside of, or least outside of
            best = int(np.minimum(np.minimum(w1, w2), 1 - w1 - w2).argmax())
            found[i] = triangles[best]
            weights[i] = 1 - w1[best] - w2[best], w1[best], w2[best]
        return found, weights

    def _shortest(self, start: int, goal: int) -> list[int]:
        best = {start: 0.0}
        came: dict[int, int] = {}
        queue = [(0.0, start)]
        while queue:
            length, at = heappop(queue)
            if at == goal:
                break
            if length > best[at]:
                continue
            for beside in self.neighbours[at]:
                further = length + float(np.linalg.norm(self.neutral[beside] - self.neutral[at]))
                if further < best.get(beside, np.inf):
                    best[beside], came[beside] = further, at
                    heappush(queue, (further, beside))
        path = [goal]
        while path[-1] != start:
            path.append(came[path[-1]])
        return path[::-1]


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals `(V, 3)` of vertices `(V, 3)`, outward, weighted by the areas of the faces `(F, 4)` around."""
    a, b, c = vertices[faces[:, 0]], vertices[faces[:, 1]], vertices[faces[:, 2]]
    d = np.where(faces[:, 3:] >= 0, vertices[faces[:, 3]], c)
    area = np.cross(c - a, np.where(faces[:, 3:] >= 0, d - b, c - b))
    normals = np.zeros_like(vertices)
    for corner in range(4):
        used = faces[:, corner] >= 0
        np.add.at(normals, faces[used, corner], area[used])
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def load_head(path: Path) -> HeadModel:
    """Read a packed head (`.npz`).

    Raises:
        DataError: not there, not a head, or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as z:
            data = {name: z[name] for name in ARRAYS}
    except FileNotFoundError as e:
        raise DataError(f"{path}: no such head model: {WHERE}") from e
    except (OSError, KeyError, ValueError) as e:
        raise DataError(f"{path}: is not a packed head model: {WHERE}") from e
    chin = data["landmarks68"][8]
    return HeadModel(
        neutral=data["vertices"].astype(np.float32),
        identity=data["identity"].astype(np.float32) * data["identity_scale"][:, None, None],
        expression=data["expression"].astype(np.float32) * data["expression_scale"][:, None, None],
        expression_names=tuple(data["expression_names"].tolist()),
        faces=data["faces"],
        face_uv=data["face_uv"],
        uv=data["uv"].astype(np.float64),
        material=data["material"],
        landmarks=data["landmarks68"],
        jaw_line=np.concatenate([data["jaw_right"], [chin], data["jaw_left"]]),
    )
