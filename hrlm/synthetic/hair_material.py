"""How strands look: Blender's hair shader. Imports bpy: only the renderer may import this."""

from __future__ import annotations

from typing import Any

import bpy

from hrlm.synthetic.hair_look import HairLook

# roughness along and around the strand, gloss of the coat
SHINE = {"scalp": (0.28, 0.32, 0.0), "brow": (0.4, 0.5, 0.0), "lash": (0.35, 0.4, 0.0), "beard": (0.36, 0.42, 0.0)}


def hair_material(look: HairLook, kind: str) -> Any:
    """A material for strands of a kind: "scalp", "brow", "lash" or "beard". Grey is mixed in strand by strand."""
    material = bpy.data.materials.new(f"hair {kind}")
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    melanin, redness, grey = look.melanin, look.redness, look.grey
    if kind == "brow":
        # brows are nearer to brown than the scalp on fair heads, and grey later
        melanin, grey = melanin + 0.35 * max(0.0, 0.7 - melanin), 0.35 * grey
    elif kind == "lash":
        melanin, grey = max(0.8, melanin), 0.0
    elif kind == "beard":
        redness, grey = min(1.0, redness + 0.15), min(1.0, 1.1 * grey)
    own = _strand(tree, kind, melanin, redness)
    if look.dye is not None and kind == "scalp":
        own.parametrization = "COLOR"
        own.inputs["Color"].default_value = (*look.dye, 1.0)
    surface = own.outputs["BSDF"]
    if grey > 0.02:
        info = tree.nodes.new("ShaderNodeHairInfo")
        choose = tree.nodes.new("ShaderNodeMath")
        choose.operation = "LESS_THAN"
        choose.inputs[1].default_value = grey
        tree.links.new(info.outputs["Random"], choose.inputs[0])
        mix = tree.nodes.new("ShaderNodeMixShader")
        tree.links.new(choose.outputs[0], mix.inputs[0])
        tree.links.new(surface, mix.inputs[1])
        tree.links.new(_strand(tree, kind, 0.07, 0.1).outputs["BSDF"], mix.inputs[2])
        surface = mix.outputs[0]
    tree.links.new(surface, output.inputs["Surface"])
    return material


def _strand(tree: Any, kind: str, melanin: float, redness: float) -> Any:
    along, around, coat = SHINE[kind]
    node = tree.nodes.new("ShaderNodeBsdfHairPrincipled")
    node.model = "CHIANG"
    node.parametrization = "MELANIN"
    for name, value in {
        "Melanin": melanin,
        "Melanin Redness": redness,
        "Roughness": along,
        "Radial Roughness": around,
        "Coat": coat,
        "Random Color": 0.25 if kind == "scalp" else 0.15,
        "Random Roughness": 0.15,
    }.items():
        node.inputs[name].default_value = value
    return node
