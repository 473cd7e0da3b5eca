"""Puts what a person wears into the Blender scene. Imports bpy: only the renderer may import this."""

from __future__ import annotations

from typing import Any

import numpy as np

from hrlm.synthetic.blender import add_mesh
from hrlm.synthetic.head import HeadModel
from hrlm.synthetic.nodes import Shader
from hrlm.synthetic.worn import Cloth, Glasses, WornLook
from hrlm.synthetic.worn_pieces import worn_pieces


def add_worn(head: HeadModel, vertices: np.ndarray, look: WornLook) -> list[Any]:
    """Add clothes, glasses, hat and ear-rings, fitted to a head.

    Args:
        head: the model.
        vertices: `(V, 3)` this person's head, head frame.
        look: what is worn.

    Returns:
        The Blender objects.
    """
    made: dict[str, Any] = {}
    objects = []
    for piece in worn_pieces(head, vertices, look):
        if piece.material not in made:
            made[piece.material] = _material(piece.material, look)
        uv = piece.uv[np.maximum(piece.faces, 0)]
        objects.append(
            add_mesh(
                piece.name, piece.vertices, piece.faces, [made[piece.material]], uv=uv, subdivisions=piece.subdivisions
            )
        )
        if piece.material == "lens":
            objects[-1].visible_shadow = look.glasses is not None and max(look.glasses.tint) < 0.9
    return objects


def _noise(s: Shader, scale: float, detail: float) -> Any:
    return s.noise(s.node("ShaderNodeTexCoord").outputs["Object"], scale, detail)


def _material(kind: str, look: WornLook) -> Any:
    if kind in ("outer", "inner"):
        return _cloth(kind, look.outer if kind == "outer" else look.inner)
    if kind == "hat" and look.hat is not None:
        return _cloth(kind, look.hat.cloth)
    if kind == "frame" and look.glasses is not None:
        return _frame(look.glasses)
    if kind == "lens" and look.glasses is not None:
        return _lens(look.glasses)
    s = Shader(kind)
    colour = {"metal": look.metal, "button": tuple(0.25 + 0.5 * c for c in look.outer.second)}.get(
        kind, (0.8, 0.75, 0.7)
    )
    surface = s.principled(
        Base_Color=colour, Metallic=float(kind == "metal"), Roughness=0.2, Alpha=0.4 if kind == "pad" else 1.0
    )
    return s.finish(surface)


def _cloth(name: str, cloth: Cloth) -> Any:
    s = Shader(name)
    split = s.node("ShaderNodeSeparateXYZ", {0: s.node("ShaderNodeUVMap", uv_map="uv").outputs["UV"]})
    across, along = split.outputs["X"], split.outputs["Y"]

    def wave(coordinate: Any, period: float) -> Any:
        """0 to 1, once a period of centimetres."""
        return s.math("PINGPONG", s.math("DIVIDE", coordinate, period), 0.5)

    colour: Any = cloth.colour
    relief = s.math("MULTIPLY", _noise(s, 9.0, 2), 0.12)
    fine = 0.09
    threads = s.math("MULTIPLY", wave(across, fine), wave(along, fine))
    grain = 1.0
    if cloth.pattern in ("stripes", "pinstripes"):
        thin = 0.25 if cloth.pattern == "stripes" else 0.46
        line = s.math("GREATER_THAN", wave(along if cloth.pattern == "stripes" else across, cloth.scale), thin)
        colour = s.mix(line, cloth.colour, cloth.second)
    elif cloth.pattern == "plaid":
        bars = [s.math("GREATER_THAN", wave(c, cloth.scale), 0.3) for c in (across, along)]
        lines = [s.math("GREATER_THAN", wave(c, cloth.scale / 2), 0.46) for c in (across, along)]
        part = s.math("MULTIPLY", s.math("ADD", *bars), 0.42)
        colour = s.mix(part, cloth.colour, cloth.second)
        colour = s.mix(s.math("MULTIPLY", s.math("MAXIMUM", *lines), 0.35), colour, (0.6, 0.58, 0.5))
    elif cloth.pattern == "dots":
        middle = [s.math("SUBTRACT", s.math("FRACT", s.math("DIVIDE", c, cloth.scale)), 0.5) for c in (across, along)]
        away = s.math("ADD", *(s.math("MULTIPLY", m, m) for m in middle))
        colour = s.mix(s.math("LESS_THAN", away, 0.05), cloth.colour, cloth.second)
    elif cloth.pattern == "heather":
        speck = s.node("ShaderNodeMapRange", {0: _noise(s, 14.0, 6), 1: 0.35, 2: 0.65}).outputs[0]
        lighter = tuple(0.25 + 0.75 * c if sum(cloth.colour) < 0.9 else 0.6 * c for c in cloth.colour)
        colour = s.mix(s.math("MULTIPLY", speck, 0.6), cloth.colour, lighter)
    elif cloth.pattern == "denim":
        twill = wave(s.math("ADD", across, along), 0.16)
        speck = _noise(s, 4.0, 8)
        colour = s.mix(s.math("MULTIPLY", s.math("ADD", twill, speck), 0.5), cloth.colour, (0.2, 0.27, 0.38))
        threads, grain = twill, 1.5
    elif cloth.pattern == "knit":
        # Columns of slanting loops.
        column = wave(across, cloth.scale)
        loop = wave(s.math("ADD", along, s.math("MULTIPLY", column, cloth.scale * 0.8)), cloth.scale * 0.55)
        threads = s.math("ADD", s.math("POWER", s.math("MULTIPLY", column, 2.0), 0.6), s.math("MULTIPLY", loop, 0.8))
        shade = s.math("MULTIPLY", s.math("SUBTRACT", 1.0, s.math("MULTIPLY", column, 2.0)), 0.35)
        colour = s.mix(shade, cloth.colour, tuple(0.45 * c for c in cloth.colour))
        grain = 1.6
    # Nothing woven is one even colour.
    uneven = s.node("ShaderNodeMapRange", {0: _noise(s, 0.35, 4), 1: 0.3, 2: 0.7, 3: 0.94, 4: 1.05}).outputs[0]
    tinted = s.mix(1.0, colour, uneven, "MULTIPLY")
    height = s.math("ADD", s.math("MULTIPLY", threads, grain), relief)
    depth = 0.05 if cloth.pattern != "knit" else 0.2 * cloth.scale
    bump = s.node("ShaderNodeBump", {"Strength": 0.6 * cloth.weave, "Distance": depth, "Height": height})
    wrinkles = s.node(
        "ShaderNodeBump", {"Strength": 0.5, "Distance": 0.35, "Height": _noise(s, 0.45, 4), "Normal": bump.outputs[0]}
    )
    surface = s.principled(
        Base_Color=tinted,
        Roughness=cloth.roughness,
        Specular_IOR_Level=0.25,
        Sheen_Weight=0.25,
        Sheen_Roughness=0.5,
        Normal=wrinkles.outputs[0],
    )
    return s.finish(surface)


def _frame(look: Glasses) -> Any:
    s = Shader("frame")
    colour: Any = look.frame
    if look.mottled:
        colour = s.colours(_noise(s, 1.3, 2), [(0.42, (0.012, 0.006, 0.003)), (0.62, (0.32, 0.12, 0.025))])
    surface = s.principled(
        Base_Color=colour,
        Metallic=float(look.metal),
        Roughness=0.22 if look.metal else 0.16,
        Coat_Weight=0.0 if look.metal else 0.5,
    )
    return s.finish(surface)


def _lens(look: Glasses) -> Any:
    """Glass without refraction: what is behind, tinted, under a faint mirror that grows at grazing angles."""
    s = Shader("lens")
    clear = s.node("ShaderNodeBsdfTransparent", {"Color": look.tint}).outputs[0]
    mirror = s.node("ShaderNodeBsdfAnisotropic", {"Color": (0.9, 0.95, 1.0), "Roughness": 0.0}).outputs[0]
    # Coated lenses mirror less than bare glass.
    bare = s.node("ShaderNodeFresnel", {"IOR": 1.5}).outputs[0]
    part = s.math("MULTIPLY", bare, 0.45 if max(look.tint) > 0.9 else 1.0)
    # Only what the camera sees needs the mirror; light passes.
    seen = s.math("MULTIPLY", part, s.node("ShaderNodeLightPath").outputs["Is Camera Ray"])
    return s.finish(s.blend(seen, clear, mirror))
