"""The few Blender calls that every part of the scene shares. Imports bpy: only the renderer may import this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bpy
import numpy as np


def to_blender(points: np.ndarray) -> np.ndarray:
    """Points or directions `(..., 3)` of the head frame (y up, z forward) in Blender's (z up, face towards -y)."""
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], -1)


def add_mesh(
    name: str,
    vertices: np.ndarray,
    faces: np.ndarray,
    materials: Sequence[Any],
    material_index: np.ndarray | None = None,
    uv: np.ndarray | None = None,
    attributes: Mapping[str, np.ndarray] | None = None,
    subdivisions: int = 0,
    smooth: bool = True,
) -> Any:
    """A mesh object in the scene.

    Args:
        vertices: `(V, 3)` head frame.
        faces: `(F, 3)` or `(F, 4)` vertex indices, -1 pads triangles.
        materials: Blender materials.
        material_index: `(F,)` into `materials`; all the first when None.
        uv: `(F, 4, 2)` texture coordinates per face corner.
        attributes: per vertex, `(V,)` floats or `(V, 3)` vectors (kept as they are, not converted), for shaders.
        subdivisions: levels of Catmull-Clark subdivision.
    """
    mesh = bpy.data.meshes.new(name)
    rings = [[int(v) for v in face if v >= 0] for face in faces.tolist()]
    mesh.from_pydata(to_blender(np.asarray(vertices, np.float64)).tolist(), [], rings)
    if uv is not None:
        used = faces >= 0
        layer = mesh.uv_layers.new(name="uv")
        layer.data.foreach_set("uv", np.ascontiguousarray(uv[used], np.float32).ravel())
    for key, values in (attributes or {}).items():
        kind, field = ("FLOAT", "value") if values.ndim == 1 else ("FLOAT_VECTOR", "vector")
        attribute = mesh.attributes.new(key, kind, "POINT")
        attribute.data.foreach_set(field, np.ascontiguousarray(values, np.float32).ravel())
    for material in materials:
        mesh.materials.append(material)
    if material_index is not None:
        mesh.polygons.foreach_set("material_index", np.ascontiguousarray(material_index, np.int32))
    mesh.polygons.foreach_set("use_smooth", np.full(len(rings), smooth))
    mesh.update()
    made = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(made)
    if subdivisions:
        modifier = made.modifiers.new("subdivision", "SUBSURF")
        modifier.levels = modifier.render_levels = subdivisions
        modifier.boundary_smooth = "PRESERVE_CORNERS"
        # what is painted must stay on its vertices
        modifier.uv_smooth = "NONE"
    return made


def add_strands(name: str, points: np.ndarray, radius: np.ndarray, material: Any) -> Any:
    """Hair strands, thinning to their tips as `radius` says.

    Args:
        points: `(S, K, 3)` head frame, root first.
        radius: `(S, K)` centimetres.
    """
    count, length = radius.shape
    curves = bpy.data.hair_curves.new(name)
    curves.add_curves([length] * count)
    curves.points.foreach_set("position", np.ascontiguousarray(to_blender(points), np.float32).ravel())
    curves.points.foreach_set("radius", np.ascontiguousarray(radius, np.float32).ravel())
    curves.materials.append(material)
    made = bpy.data.objects.new(name, curves)
    bpy.context.scene.collection.objects.link(made)
    return made
