"""The materials of the head's own meshes. Imports bpy: only the renderer may import this.

They read the vertex attributes `rest` (the neutral head, so that pores do not swim with the expression) and those of
`eyes.eye_attributes`. One Blender unit is one centimetre.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hrlm.synthetic.eyes import EyeLook
from hrlm.synthetic.nodes import Shader
from hrlm.synthetic.skin import HEIGHT_RANGE, PORE_TILE, Colour
from hrlm.synthetic.skin_look import SkinLook, to_linear

CORNEA = 1.376
# how much of the hair's colour the skin takes where it is rooted thickest
ROOTS = 0.75


def head_materials(
    skin: SkinLook, eyes: EyeLook, maps: Mapping[str, np.ndarray], hair_colour: Colour, folder: Path
) -> dict[str, Any]:
    """A Blender material for every material name of the head model except the lashes.

    They read the vertex attributes `rest`, those of `eyes.eye_attributes` and `rooted`: how thickly hair is rooted, 0
    to 1.

    Args:
        hair_colour: sRGB, shines through where hair is rooted.
        maps: of `skin.paint_skin`.
        folder: takes the maps as picture files, which Blender reads when it renders.
    """
    files = {}
    for name, pixels in maps.items():
        files[name] = str(folder / f"skin_{name}.png")
        cv2.imwrite(files[name], pixels[..., ::-1] if pixels.ndim == 3 else pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    found = {
        "M_Face": _skin("M_Face", skin, files, hair_colour, mapped=True),
        "M_BackHead": _skin("M_BackHead", skin, files, hair_colour, mapped=False),
        "M_Teeth": _teeth(eyes.seed),
        "M_GumsTongue": _gums(),
        "M_EyeBlend": _unseen("M_EyeBlend"),
        "M_EyeOcclusion": _lid_shade(),
        "M_LacrimalFluid": _tears(eyes),
    }
    for k, side in enumerate(("Left", "Right")):
        found[f"M_Iris{side}"] = _iris(f"M_Iris{side}", eyes, k)
        found[f"M_Sclera{side}"] = _sclera(f"M_Sclera{side}", eyes, k)
    return found


def _linear(colour: tuple[float, float, float]) -> tuple[float, float, float]:
    r, g, b = to_linear(np.array(colour)).tolist()
    return r, g, b


def _skin(name: str, look: SkinLook, files: dict[str, str], hair_colour: Colour, mapped: bool) -> Any:
    s = Shader(name)
    shift = tuple(np.random.default_rng(look.seed).uniform(-50, 50, 3).tolist())
    rest = s.node("ShaderNodeVectorMath", {0: s.attribute("rest").outputs["Vector"], 1: shift}).outputs[0]
    height: Any = 0.0
    colour: Any = _linear(look.tone)
    roughness: Any = look.roughness
    depth: Any = 0.3 * look.pores
    oil: Any = 0.35 * 0.35 * look.oil
    if mapped:
        colour = s.image(files["albedo"], True)
        surface = s.node("ShaderNodeSeparateColor", {0: s.image(files["surface"], False)}).outputs
        roughness, depth, oil = surface[0], surface[1], surface[2]
        height = s.math("MULTIPLY", s.math("SUBTRACT", s.image(files["height"], False, True), 0.5), HEIGHT_RANGE)
    else:
        colour = s.mix(_inside(s), colour, (0.26, 0.06, 0.055))
    rooted = s.math("MULTIPLY", s.attribute("rooted").outputs["Fac"], ROOTS)
    colour = s.mix(rooted, colour, s.mix(1.0, colour, _linear(hair_colour), "MULTIPLY"))
    # blotches: large yellowish and reddish ones, small darker ones
    warm = s.ramp(s.noise(rest, 0.7, 2), 0.3, 0.7)
    light = float(np.mean(look.tone))
    red = (1.03, 0.92 - 0.03 * light, 0.91)
    colour = s.mix(1.0, colour, s.mix(warm, (0.97, 0.99, 0.97), red), "MULTIPLY")
    # the box projection looks along the mesh's own axes, so the head's are turned to them
    x, y, z = s.node("ShaderNodeSeparateXYZ", {0: rest}).outputs
    turned = s.node("ShaderNodeCombineXYZ", {0: x, 1: s.math("MULTIPLY", z, -1.0), 2: y}).outputs[0]
    tiled = s.node("ShaderNodeVectorMath", {0: turned, "Scale": 1 / PORE_TILE}, operation="SCALE").outputs[0]
    tile = s.image(files["pores"], False, place=tiled)
    dents = s.math("ADD", s.math("MULTIPLY", tile, 2.1), -1.5)
    # pores gather dirt and shadow
    colour = s.mix(s.math("MULTIPLY", s.ramp(dents, -1.1, -0.1, 0.22, 0.0), depth), colour, (0.02, 0.008, 0.005))
    fine = s.ramp(s.noise(rest, 5.0, 1, 0.6), 0.25, 0.75)
    colour = s.mix(1.0, colour, s.mix(fine, (0.96, 0.925, 0.91), (1.03, 1.04, 1.04)), "MULTIPLY")
    relief = s.math("MULTIPLY", dents, s.math("MULTIPLY", s.math("ADD", depth, 0.25), 0.008))
    normal = s.bump(s.math("ADD", height, relief))
    skin = s.principled(
        Base_Color=colour,
        Roughness=roughness,
        IOR=1.4,
        Normal=normal,
        Subsurface_Weight=0.6,
        Subsurface_Radius=(1.0, 0.38, 0.2),
        Subsurface_Scale=0.22,
        Coat_Weight=oil,
        Coat_Roughness=0.28,
        Coat_Normal=normal,
    )
    # light that reached the skin by way of another surface needs none of its detail
    plain = s.node("ShaderNodeBsdfDiffuse", {"Color": _linear(look.tone)}).outputs[0]
    return s.finish(s.blend(s.node("ShaderNodeLightPath").outputs["Is Camera Ray"], plain, skin))


def _inside(s: Shader) -> Any:
    """1 on the walls of mouth and eye sockets, which carry the material of the head's back."""
    x, y, z = s.node("ShaderNodeSeparateXYZ", {0: s.attribute("rest").outputs["Vector"]}).outputs
    within = s.math("MULTIPLY", s.ramp(z, 1.0, 2.0), s.ramp(s.math("ABSOLUTE", x), 4.8, 5.5, 1.0, 0.0))
    return s.math("MULTIPLY", within, s.math("MULTIPLY", s.ramp(y, -8.0, -7.0), s.ramp(y, 6.0, 7.0, 1.0, 0.0)))


def _eye_plane(s: Shader) -> tuple[Any, Any, Any]:
    """Distance from the optical axis in iris radii, the direction around it as a vector, and depth."""
    place = s.attribute("eye").outputs["Vector"]
    x, y, depth = s.node("ShaderNodeSeparateXYZ", {0: place}).outputs
    flat = s.node("ShaderNodeCombineXYZ", {0: x, 1: y}).outputs[0]
    radius = s.node("ShaderNodeVectorMath", {0: flat}, operation="LENGTH").outputs["Value"]
    around = s.node("ShaderNodeVectorMath", {0: flat}, operation="NORMALIZE").outputs[0]
    return radius, around, depth


def _iris(name: str, look: EyeLook, eye: int) -> Any:
    s = Shader(name)
    radius, around, _ = _eye_plane(s)
    seed = look.seed % 1000 + 37.0 * eye
    along = s.node("ShaderNodeCombineXYZ", {2: s.math("ADD", s.math("MULTIPLY", radius, 0.35), seed)}).outputs[0]

    def rays(density: float, detail: float) -> Any:
        spread = s.node("ShaderNodeVectorMath", {0: around, "Scale": density}, operation="SCALE").outputs[0]
        return s.noise(s.node("ShaderNodeVectorMath", {0: spread, 1: along}).outputs[0], 1.0, detail, 0.6)

    coarse, fine = rays(2.2, 2), rays(13.0, 3)
    wobble = s.math("MULTIPLY", s.math("SUBTRACT", coarse, 0.5), 0.22)
    bent = s.math("ADD", radius, wobble)
    collarette = look.pupil + 0.3 * (1 - look.pupil)
    iris, inner = _linear(look.iris), _linear(look.inner)

    def times(colour: tuple[float, float, float], by: float) -> tuple[float, float, float]:
        r, g, b = colour
        return r * by, g * by, b * by

    colour = s.colours(
        bent,
        [
            (look.pupil * 0.98, times(inner, 0.5)),
            (look.pupil + 0.06, times(inner, 0.9)),
            (collarette, times(inner, 1.15)),
            (collarette + 0.09, times(iris, 1.05)),
            (0.9, times(iris, 0.85)),
        ],
    )
    strands = s.ramp(fine, 0.28, 0.72, 1 - 0.75 * look.fibres, 1 + 0.85 * look.fibres)
    colour = s.mix(
        1.0, colour, s.node("ShaderNodeCombineXYZ", {0: strands, 1: strands, 2: strands}).outputs[0], "MULTIPLY"
    )
    rim = s.ramp(s.math("ADD", radius, s.math("MULTIPLY", wobble, 0.3)), 0.78, 0.99, 0.0, look.limbal_ring)
    colour = s.mix(rim, colour, times(iris, 0.06))
    # the pupil's edge is the truth's: no wobble there
    colour = s.mix(s.ramp(radius, look.pupil - 0.02, look.pupil + 0.02), (0.0015, 0.0015, 0.0015), colour)
    height = s.math("MULTIPLY", s.math("MULTIPLY", fine, 0.012), s.ramp(radius, look.pupil, look.pupil + 0.1))
    gloss = s.ramp(radius, look.pupil - 0.02, look.pupil + 0.02, 0.0, 0.15)
    return s.finish(s.principled(Base_Color=colour, Roughness=0.55, Specular_IOR_Level=gloss, Normal=s.bump(height)))


def _sclera(name: str, look: EyeLook, eye: int) -> Any:
    s = Shader(name)
    radius, _, depth = _eye_plane(s)
    place = s.attribute("eye").outputs["Vector"]
    seed = (0.0, 0.0, look.seed % 1000 + 37.0 * eye)
    moved = s.node("ShaderNodeVectorMath", {0: place, 1: seed}).outputs[0]
    white = np.array([0.80, 0.745, 0.70]) * (1 - look.yellowing * np.array([0.02, 0.06, 0.2]))
    outer = white * (1 - np.array([0.06, 0.28, 0.30]) * (0.35 + 0.65 * look.redness))
    away = s.ramp(radius, 1.05, 2.5)
    colour = s.mix(away, tuple(white.tolist()), tuple(outer.tolist()))
    # veins: where two warped noises cross their middle, thin crooked lines
    bend = s.noise(moved, 2.2, 3, 0.7)
    crooked = s.node(
        "ShaderNodeVectorMath", {0: moved, 1: s.node("ShaderNodeCombineXYZ", {0: bend, 1: bend}).outputs[0]}
    )
    for scale, width, share in ((1.9, 0.010, 0.55), (4.2, 0.014, 0.3)):
        line = s.math("ABSOLUTE", s.math("SUBTRACT", s.noise(crooked.outputs[0], scale, 2, 0.6), 0.5))
        vein = s.math(
            "MULTIPLY",
            s.ramp(line, 0.0, width, 1.0, 0.0),
            s.ramp(radius, 1.15, 2.1, 0.0, share * (0.25 + look.redness)),
        )
        colour = s.mix(vein, colour, (0.5, 0.07, 0.05))
    colour = s.mix(s.ramp(radius, 1.0, 1.16), (0.30, 0.27, 0.27), colour)
    wet = s.bump(s.math("MULTIPLY", s.noise(moved, 3.0, 2), 0.006))
    ball = s.principled(
        Base_Color=colour,
        Roughness=0.13,
        Normal=wet,
        Subsurface_Weight=0.35,
        Subsurface_Radius=(1.0, 0.45, 0.3),
        Subsurface_Scale=0.12,
    )
    # over the iris it is clear: light goes straight through but for what the tear film mirrors
    film = s.node("ShaderNodeBsdfGlossy", {"Color": (1.0, 1.0, 1.0), "Roughness": 0.035}).outputs[0]
    clear = s.node("ShaderNodeBsdfTransparent").outputs[0]
    cornea = s.blend(s.node("ShaderNodeFresnel", {"IOR": CORNEA}).outputs[0], clear, film)
    # the limbus: one half exactly one iris radius from the axis, on the front of the ball only
    opaque = s.math("MAXIMUM", s.ramp(radius, 0.93, 1.07), s.ramp(depth, -1.6, -1.2, 1.0, 0.0))
    return s.finish(s.blend(opaque, cornea, ball))


def _teeth(seed: int) -> Any:
    s = Shader("M_Teeth")
    rest = s.attribute("rest").outputs["Vector"]
    yellow = np.random.default_rng(seed).uniform(0, 1)
    white = (0.80 - 0.05 * yellow, 0.74 - 0.09 * yellow, 0.63 - 0.16 * yellow)
    cloudy = s.ramp(s.noise(rest, 3.0, 3), 0.3, 0.7)
    colour = s.mix(cloudy, tuple(0.9 * w for w in white), white)
    tooth = s.principled(
        Base_Color=colour,
        Roughness=0.22,
        IOR=1.55,
        Subsurface_Weight=0.5,
        Subsurface_Radius=(1.0, 0.8, 0.6),
        Subsurface_Scale=0.08,
        Normal=s.bump(s.math("MULTIPLY", s.noise(rest, 9.0, 2), 0.004)),
    )
    return s.finish(tooth)


def _gums() -> Any:
    s = Shader("M_GumsTongue")
    rest = s.attribute("rest").outputs["Vector"]
    colour = s.mix(s.ramp(s.noise(rest, 2.5, 4), 0.3, 0.7), (0.42, 0.12, 0.12), (0.52, 0.20, 0.19))
    relief = s.math("MULTIPLY", s.noise(rest, 14.0, 3, 0.6), 0.02)
    flesh = s.principled(
        Base_Color=colour,
        Roughness=0.3,
        Subsurface_Weight=0.5,
        Subsurface_Radius=(1.0, 0.3, 0.25),
        Subsurface_Scale=0.15,
        Normal=s.bump(relief),
    )
    return s.finish(flesh)


def _unseen(name: str) -> Any:
    s = Shader(name)
    return s.finish(s.node("ShaderNodeBsdfTransparent").outputs[0])


def _lid_shade() -> Any:
    """The lids' soft shadow on the eyeball, seen by the camera only so that it does not darken the light twice."""
    s = Shader("M_EyeOcclusion")
    edge = s.attribute("lid").outputs["Fac"]
    shade = s.mix(s.ramp(edge, 0.0, 0.16), (0.62, 0.47, 0.43), (1.0, 1.0, 1.0))
    seen = s.node("ShaderNodeLightPath").outputs["Is Camera Ray"]
    tint = s.mix(seen, (1.0, 1.0, 1.0), shade)
    return s.finish(s.node("ShaderNodeBsdfTransparent", {0: tint}).outputs[0])


def _tears(look: EyeLook) -> Any:
    """The wet line along the lids: clear, with a sharp gloss."""
    s = Shader("M_LacrimalFluid")
    mirror = s.node("ShaderNodeFresnel", {"IOR": 1.33}).outputs[0]
    film = s.node("ShaderNodeBsdfGlossy", {"Color": (1.0, 1.0, 1.0), "Roughness": 0.06}).outputs[0]
    clear = s.node("ShaderNodeBsdfTransparent").outputs[0]
    return s.finish(s.blend(s.math("MULTIPLY", mirror, 0.6 * look.wetness), clear, film))
