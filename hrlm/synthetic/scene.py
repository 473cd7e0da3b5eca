"""The scene of one look in Blender, and its pictures. Imports bpy: only the renderer may import this."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix, Vector

from hrlm.synthetic.blender import add_mesh, add_strands, to_blender
from hrlm.synthetic.camera import SENSOR, Camera
from hrlm.synthetic.hair import Strands
from hrlm.synthetic.head import HeadModel
from hrlm.synthetic.truth import Surface, front_of_face, front_segments
from hrlm.synthetic.views import Window

SUBDIVISIONS = 2
# cards and shells that strands replace
UNUSED = ("M_EyeLashes",)
# a ray that ends this close to a landmark has reached it: lids and the film of tears lie over the points, centimetres
REACHED = 0.2


@dataclass(frozen=True)
class PosedHead:
    """The head in the scene.

    Args:
        object: Blender's.
        surface: as rendered.
    """

    object: Any
    surface: Surface


def empty_scene(threads: int = 0) -> None:
    """An empty scene for Cycles, the same whatever was there before.

    Args:
        threads: 0 for all cores.
    """
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.seed = 0
    scene.cycles.use_denoising = True
    scene.cycles.denoiser = "OPENIMAGEDENOISE"
    scene.cycles.use_adaptive_sampling = True
    scene.cycles.adaptive_threshold = 0.03
    scene.cycles.max_bounces = 6
    scene.cycles.transparent_max_bounces = 12
    scene.cycles.caustics_reflective = scene.cycles.caustics_refractive = False
    scene.cycles.sample_clamp_indirect = 5
    scene.render.threads_mode = "FIXED" if threads else "AUTO"
    if threads:
        scene.render.threads = threads
    scene.render.use_persistent_data = False
    # the studio's lights are metered for it
    scene.view_settings.view_transform = "Standard"
    _use_gpu(scene)


def _use_gpu(scene: Any) -> None:
    preferences = bpy.context.preferences.addons["cycles"].preferences
    for kind in ("OPTIX", "CUDA", "HIP", "METAL"):
        try:
            preferences.compute_device_type = kind
        except TypeError:
            continue
        preferences.get_devices()
        if any(d.type == kind for d in preferences.devices):
            for device in preferences.devices:
                device.use = device.type == kind
            scene.cycles.device = "GPU"
            return
    scene.cycles.device = "CPU"


def add_head(head: HeadModel, vertices: np.ndarray, materials: dict[str, Any]) -> PosedHead:
    """The head with a Blender material for each of its materials, subdivided.

    Args:
        vertices: `(V, 3)` head frame, with identity and expression.
        materials: by the head model's names; faces of a material that is not there are left out.
    """
    names = [n for n in materials if n not in UNUSED]
    kept = np.isin(head.material, names)
    front = front_of_face(head)
    made = add_mesh(
        "head",
        vertices,
        head.faces[kept],
        [materials[n] for n in names],
        np.array([names.index(m) for m in head.material[kept]]),
        head.uv[head.face_uv[kept]],
        {"rest": head.neutral, "front": front.astype(np.float32)},
        SUBDIVISIONS,
    )
    return PosedHead(made, _surface(made, len(vertices)))


def _surface(made: Any, count: int) -> Surface:
    graph = bpy.context.evaluated_depsgraph_get()
    graph.update()
    mesh = made.evaluated_get(graph).data
    vertices = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", vertices)
    x, y, z = vertices.reshape(-1, 3).astype(np.float64).T
    flat = np.empty(2 * len(mesh.edges), np.int32)
    mesh.edges.foreach_get("vertices", flat)
    front = np.empty(len(mesh.vertices), np.float32)
    mesh.attributes["front"].data.foreach_get("value", front)
    shown = np.stack([x, z, -y], 1)
    return Surface(shown, front_segments(shown, flat.reshape(-1, 2), front))


def add_attributes(made: Any, attributes: dict[str, np.ndarray]) -> None:
    """More per-vertex attributes `(V,)` or `(V, 3)` for an object's shaders."""
    for name, values in attributes.items():
        kind, field = ("FLOAT", "value") if values.ndim == 1 else ("FLOAT_VECTOR", "vector")
        attribute = made.data.attributes.new(name, kind, "POINT")
        attribute.data.foreach_set(field, np.ascontiguousarray(values, np.float32).ravel())


def add_hair(strands: list[Strands], materials: dict[str, Any]) -> None:
    """Strands with the material of their kind."""
    for part in strands:
        if len(part.points):
            add_strands(part.kind, part.points, part.radius, materials[part.kind])


def add_camera(camera: Camera, aperture: float = 0, focus: np.ndarray | None = None) -> None:
    """The camera that the picture is taken with.

    Args:
        aperture: f-number; 0 for everything in focus.
        focus: `(3,)` what is sharp, head frame.
    """
    scene = bpy.context.scene
    data = bpy.data.cameras.new("camera")
    made = bpy.data.objects.new("camera", data)
    scene.collection.objects.link(made)
    scene.camera = made
    data.sensor_fit = "HORIZONTAL" if camera.width >= camera.height else "VERTICAL"
    data.sensor_width = data.sensor_height = SENSOR
    data.lens = camera.focal
    data.clip_start, data.clip_end = 1, 5000
    axes = Matrix([Vector(row) for row in to_blender(camera.rotation)]).transposed()
    made.matrix_world = Matrix.Translation(Vector(to_blender(camera.position))) @ axes.to_4x4()
    if aperture and focus is not None:
        data.dof.use_dof = True
        data.dof.focus_distance = float(camera.depth(focus))
        # Blender takes its unit for a metre; ours is a centimetre
        data.dof.aperture_fstop = aperture / 100
    scene.render.resolution_x, scene.render.resolution_y = camera.width, camera.height
    scene.render.resolution_percentage = 100


def hidden_by(points: np.ndarray, camera: Camera, head: PosedHead) -> list[str]:
    """What a ray from the camera to each point `(P, 3)` meets first: `""` for the point itself, `self` or `worn`."""
    graph = bpy.context.evaluated_depsgraph_get()
    origin = Vector(to_blender(camera.position))
    found = []
    for point in to_blender(points):
        ray = Vector(point) - origin
        hit, where, _, _, what, _ = bpy.context.scene.ray_cast(graph, origin, ray.normalized(), distance=ray.length)
        if not hit or (Vector(point) - where).length < REACHED:
            found.append("")
        else:
            found.append("self" if what.name == head.object.name else "worn")
    return found


def show(window: Window) -> None:
    """Render just this part of the picture from now on."""
    render = bpy.context.scene.render
    width, height = render.resolution_x, render.resolution_y
    render.use_border = render.use_crop_to_border = (window.width, window.height) != (width, height)
    # a little inside the pixels' edges: Blender cuts fractions off. Its rows count from below
    render.border_min_x, render.border_max_x = (window.left + 0.1) / width, (window.left + window.width + 0.1) / width
    bottom = height - window.top - window.height
    render.border_min_y, render.border_max_y = (bottom + 0.1) / height, (bottom + window.height + 0.1) / height


def render(path: Path, samples: int) -> None:
    """Render what is shown of the scene as a PNG of 8 bits.

    Raises:
        RuntimeError: Blender could not.
    """
    scene = bpy.context.scene
    scene.cycles.samples = samples
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGB"
    scene.render.image_settings.color_depth = "8"
    scene.render.filepath = str(path.resolve())
    bpy.ops.render.render(write_still=True)
