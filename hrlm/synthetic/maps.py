"""Depth, normals and regions of a portrait, pixel by pixel. Imports bpy: only the renderer may import this."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import bpy
import cv2
import numpy as np

from hrlm.formats.atomic import write_whole
from hrlm.synthetic.camera import Camera

# what a pixel of the region map shows
REGIONS = (
    "background",
    "skin",
    "lips",
    "sclera",
    "iris",
    "mouth",
    "hair",
    "brow",
    "lash",
    "beard",
    "clothes and worn",
)
OF_MATERIAL = {
    "M_Face": "skin",
    "M_GumsTongue": "mouth",
    "M_Teeth": "mouth",
    "M_EyeBlend": "skin",
    "M_EyeOcclusion": "sclera",
    "M_LacrimalFluid": "sclera",
    "M_ScleraLeft": "sclera",
    "M_ScleraRight": "sclera",
    "M_IrisLeft": "iris",
    "M_IrisRight": "iris",
}
# neck, scalp and the walls of the mouth are one material
BACK = 100
OF_STRANDS = {"scalp": "hair", "brow": "brow", "lash": "lash", "beard": "beard"}
# depth in the 16-bit file: hundredths of a centimetre
DEPTH_UNIT = 0.01
PASSES = {"Depth": "use_pass_z", "Normal": "use_pass_normal", "IndexMA": "use_pass_material_index"}


def take_maps(camera: Camera, lines: Mapping[str, np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    """Maps of the scene as it stands, everything in focus, one sample at each pixel's centre.

    Args:
        camera: the scene's.
        lines: the dense truth, which tells lips from skin and irises from the white around them.
        folder: takes Blender's files.

    Returns:
        `depth` `(H, W)` float32 centimetres along the optical axis, 0 where nothing is; `normal` `(H, W, 3)` float32
        unit vectors: right, up and towards the camera, 0 where nothing is; `region` `(H, W)` uint8 into `REGIONS`.
    """
    _number_materials()
    found = _render_passes(folder)
    region = found["IndexMA"][..., 0].round().astype(np.uint8)
    # the backdrop is a thing of its own in the scene, not in the picture's regions
    behind = region == 0
    depth = np.where(behind, 0, found["Depth"][..., 0])
    world = found["Normal"][..., :3]
    head_frame = np.stack([world[..., 0], world[..., 2], -world[..., 1]], -1)
    normal = np.where(behind[..., None], 0, head_frame @ camera.rotation.T.astype(np.float32))
    skin, lips, white, iris = (REGIONS.index(n) for n in ("skin", "lips", "sclera", "iris"))
    mouth = _lips(lines, region.shape)
    region[region == BACK] = np.where(mouth[region == BACK], REGIONS.index("mouth"), skin)
    region[(region == skin) & mouth] = lips
    for side in ("right", "left"):
        region[(region == white) & _filled([lines[f"limbus_{side}"]], region.shape)] = iris
    return {"depth": depth.astype(np.float32), "normal": normal.astype(np.float32), "region": region}


def save_maps(maps: Mapping[str, np.ndarray], path: Path) -> None:
    """Write `NAME.depth.png` (16 bits, 0.01 cm), `NAME.normal.png` (8 bits, -1 to 1) and `NAME.region.png`.

    Raises:
        WriteError: the folder or a file cannot be written.
    """
    depth = np.clip(maps["depth"] / DEPTH_UNIT + 0.5, 0, 65535).astype(np.uint16)
    normal = np.clip((maps["normal"] * 0.5 + 0.5) * 255 + 0.5, 0, 255).astype(np.uint8)[..., ::-1]
    for name, pixels in (("depth", depth), ("normal", normal), ("region", maps["region"])):
        write_whole(path.with_name(f"{path.stem}.{name}.png"), cv2.imencode(".png", pixels)[1].tobytes())


def _number_materials() -> None:
    for made in bpy.data.objects:
        for slot in made.material_slots:
            name = slot.material.name.split(".")[0]
            if made.type == "CURVES":
                number = REGIONS.index(OF_STRANDS[made.name.split(".")[0]])
            elif made.name == "head":
                number = BACK if name == "M_BackHead" else REGIONS.index(OF_MATERIAL[name])
            elif made.name == "backdrop":
                number = REGIONS.index("background")
            else:
                number = REGIONS.index("clothes and worn")
            slot.material.pass_index = number


def _render_passes(folder: Path) -> dict[str, np.ndarray]:
    scene = bpy.context.scene
    layer = bpy.context.view_layer
    for switch in PASSES.values():
        setattr(layer, switch, True)
    scene.cycles.use_denoising = scene.cycles.use_adaptive_sampling = False
    scene.cycles.samples = 1
    scene.cycles.filter_width = 0.01
    scene.camera.data.dof.use_dof = False
    scene.use_nodes = True
    tree = scene.node_tree
    tree.nodes.clear()
    source = tree.nodes.new("CompositorNodeRLayers")
    target = tree.nodes.new("CompositorNodeOutputFile")
    target.base_path = str(folder)
    target.format.file_format = "OPEN_EXR"
    target.format.color_depth = "32"
    target.file_slots.clear()
    for name in PASSES:
        target.file_slots.new(f"{name}_")
        tree.links.new(source.outputs[name], target.inputs[f"{name}_"])
    bpy.ops.render.render()
    scene.use_nodes = False
    return {name: _pixels(next(folder.glob(f"{name}_*.exr"))) for name in PASSES}


def _pixels(path: Path) -> np.ndarray:
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    width, height = image.size
    flat = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(flat)
    bpy.data.images.remove(image)
    return flat.reshape(height, width, 4)[::-1]


def _lips(lines: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    outer = np.concatenate([lines["lip_upper_outer"], lines["lip_lower_outer"][::-1]])
    return _filled([outer], shape)


def _filled(rings: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Which pixels `(H, W)` lie inside closed lines in photo pixels."""
    mask = np.zeros(shape[:2], np.uint8)
    fraction = 4
    cv2.fillPoly(mask, [np.round(r * 2**fraction).astype(np.int32) for r in rings], 1, shift=fraction)
    return mask.astype(bool)
