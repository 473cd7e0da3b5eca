"""Writing a Blender shader as expressions. Imports bpy: only the renderer may import this."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy


class Shader:
    """A new material's node tree. Values are sockets of nodes, numbers, or tuples where a vector or colour is meant."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.tree.nodes.clear()

    def node(self, kind: str, inputs: dict[str | int, Any] | None = None, **settings: Any) -> Any:
        """A node with its inputs linked or set."""
        made = self.tree.nodes.new(kind)
        for key, value in settings.items():
            setattr(made, key, value)
        for where, value in (inputs or {}).items():
            self.feed(made.inputs[where], value)
        return made

    def feed(self, socket: Any, value: Any) -> None:
        """Link or set one input."""
        if hasattr(value, "is_output"):
            self.tree.links.new(value, socket)
        elif socket.type == "RGBA":
            socket.default_value = (*value, 1.0)
        else:
            socket.default_value = value

    def math(self, operation: str, *values: Any, clamp: bool = False) -> Any:
        """A number from numbers."""
        return self.node("ShaderNodeMath", dict(enumerate(values)), operation=operation, use_clamp=clamp).outputs[0]

    def ramp(self, value: Any, low: float, high: float, to_low: float = 0.0, to_high: float = 1.0) -> Any:
        """A smooth step from `to_low` at `low` to `to_high` at `high`."""
        inputs: dict[str | int, Any] = {0: value, 1: low, 2: high, 3: to_low, 4: to_high}
        return self.node("ShaderNodeMapRange", inputs, interpolation_type="SMOOTHSTEP").outputs[0]

    def mix(self, share: Any, first: Any, second: Any, blend: str = "MIX") -> Any:
        """A colour between two."""
        made = self.node("ShaderNodeMix", data_type="RGBA", blend_type=blend)
        for socket, value in ((0, share), (6, first), (7, second)):
            self.feed(made.inputs[socket], value)
        return made.outputs[2]

    def colours(self, value: Any, stops: Sequence[tuple[float, tuple[float, float, float]]]) -> Any:
        """A colour from a number: linear between `stops`."""
        made = self.node("ShaderNodeValToRGB", {0: value})
        elements = made.color_ramp.elements
        for place, _ in stops[2:]:
            elements.new(place)
        for element, (place, colour) in zip(elements, sorted(stops), strict=True):
            element.position, element.color = place, (*colour, 1.0)
        return made.outputs[0]

    def attribute(self, name: str) -> Any:
        """The node of a vertex attribute; outputs `Vector` and `Fac`."""
        return self.node("ShaderNodeAttribute", attribute_name=name)

    def noise(self, vector: Any, scale: float, detail: float = 2.0, roughness: float = 0.5) -> Any:
        """Noise about one half."""
        inputs: dict[str | int, Any] = {"Vector": vector, "Scale": scale, "Detail": detail, "Roughness": roughness}
        return self.node("ShaderNodeTexNoise", inputs).outputs[0]

    def image(self, path: str, colour: bool, smooth: bool = False, place: Any = None) -> Any:
        """The colour of an image: at the mesh's texture coordinates, or tiled from three sides over `place`."""
        picture = bpy.data.images.load(path)
        if not colour:
            picture.colorspace_settings.name = "Non-Color"
        made = self.node("ShaderNodeTexImage", interpolation="Cubic" if smooth else "Linear", extension="EXTEND")
        made.image = picture
        if place is not None:
            made.extension, made.projection, made.projection_blend = "REPEAT", "BOX", 0.3
            self.feed(made.inputs[0], place)
        return made.outputs[0]

    def bump(self, height: Any, normal: Any = None) -> Any:
        """The normal of a surface raised by `height` centimetres."""
        inputs: dict[str | int, Any] = {"Strength": 1.0, "Distance": 1.0, "Height": height}
        if normal is not None:
            inputs["Normal"] = normal
        return self.node("ShaderNodeBump", inputs).outputs[0]

    def principled(self, **inputs: Any) -> Any:
        """A Principled surface; inputs by name, underscores for blanks."""
        named: dict[str | int, Any] = {key.replace("_", " "): value for key, value in inputs.items()}
        return self.node("ShaderNodeBsdfPrincipled", named).outputs[0]

    def blend(self, share: Any, first: Any, second: Any) -> Any:
        """A surface between two."""
        made = self.node("ShaderNodeMixShader", {0: share})
        self.feed(made.inputs[1], first)
        self.feed(made.inputs[2], second)
        return made.outputs[0]

    def finish(self, surface: Any) -> Any:
        """The material, showing `surface`."""
        self.node("ShaderNodeOutputMaterial", {"Surface": surface})
        return self.material
