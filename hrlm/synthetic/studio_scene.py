"""Puts a studio into the Blender scene. Imports bpy: only the renderer may import this."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np

from hrlm.synthetic.backdrop import paint_backdrop
from hrlm.synthetic.blender import add_mesh, to_blender
from hrlm.synthetic.camera import SENSOR
from hrlm.synthetic.studio import (
    ENVIRONMENT_SIZE,
    FACE,
    Lamp,
    StudioLook,
    camera_axes,
    exposure_gain,
    lamp_tiles,
    surroundings,
)


def add_studio(
    look: StudioLook, view_direction: np.ndarray, up: np.ndarray, distance: float, focal_mm: float, folder: Path
) -> None:
    """Add lamps, surroundings and background, exposed so that a grey card at the face renders as mid grey.

    The scene's own exposure is left alone: sources are scaled instead.

    Args:
        look: the studio.
        view_direction: `(3,)` from the head to the camera, head frame.
        up: `(3,)` upwards for the camera, head frame.
        distance: centimetres from the camera to the head.
        focal_mm: focal length on a sensor 36 mm wide; the background fills such a view and half as much again.
        folder: where painted images are written.
    """
    axes = camera_axes(view_direction, up)
    gain = exposure_gain(look)
    for number, lamp in enumerate(look.lamps):
        _add_lamp(f"lamp{number}", lamp, axes, gain)
    _add_surroundings(look, axes, gain, folder)
    _add_backdrop(look, axes, distance, focal_mm, folder)


def _add_lamp(name: str, lamp: Lamp, axes: np.ndarray, gain: float) -> None:
    tiles = lamp_tiles(lamp)
    area = (tiles[:, 2] * tiles[:, 3]).sum() * (np.pi / 4 if lamp.round else 1)
    # An area lamp of P watts and A square units has the radiance P / (pi A); at a distance d it gives a white card that
    # faces it the radiance P / (pi pi d d), in any unit of length.
    watts = gain * lamp.irradiance * (np.pi * lamp.distance) ** 2
    direction = lamp.direction @ axes
    across = np.cross(axes[1], direction)
    across /= np.linalg.norm(across)
    frame = np.stack([across, np.cross(direction, across), direction])
    for number, (x, y, width, height) in enumerate(tiles):
        data = bpy.data.lights.new(f"{name}.{number}", "AREA")
        data.shape = "ELLIPSE" if lamp.round else "RECTANGLE"
        data.size, data.size_y = float(width), float(height)
        data.energy = float(watts * width * height * (np.pi / 4 if lamp.round else 1) / area)
        data.color = lamp.colour.tolist()
        made = bpy.data.objects.new(data.name, data)
        place = FACE + direction * lamp.distance + np.array([x, y]) @ frame[:2]
        matrix = np.eye(4)
        matrix[:3, :3] = to_blender(frame).T
        matrix[:3, 3] = to_blender(place)
        made.matrix_world = matrix.T.tolist()
        made.visible_camera = False
        bpy.context.scene.collection.objects.link(made)


def _image(name: str, pixels: np.ndarray, folder: Path) -> Any:
    """A float image from linear RGB `(H, W, 3)`, top row first, kept in `folder`."""
    height, width = pixels.shape[:2]
    image = bpy.data.images.new(name, width, height, float_buffer=True)
    image.colorspace_settings.name = "Linear Rec.709"
    rgba = np.concatenate([pixels, np.ones((height, width, 1))], -1)[::-1]
    image.pixels.foreach_set(np.ascontiguousarray(rgba, np.float32).ravel())
    image.filepath_raw = str(folder / f"{name}.exr")
    image.file_format = "OPEN_EXR"
    image.save()
    return image


def _add_surroundings(look: StudioLook, axes: np.ndarray, gain: float, folder: Path) -> None:
    height, width = ENVIRONMENT_SIZE
    latitude = (0.5 - (np.arange(height) + 0.5) / height) * np.pi
    longitude = ((np.arange(width) + 0.5) / width - 0.5) * -2 * np.pi
    lat, lon = np.meshgrid(latitude, longitude, indexing="ij")
    # Blender's equirectangular directions are in its own frame; (x, z, -y) takes them to the head frame.
    x, y, z = np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)
    directions = np.stack([x, z, -y], -1) @ axes.T
    image = _image("surroundings", surroundings(look, directions) * gain, folder)
    world = bpy.data.worlds.new("surroundings")
    world.use_nodes = True
    nodes, links = world.node_tree.nodes, world.node_tree.links
    texture = nodes.new("ShaderNodeTexEnvironment")
    texture.image = image
    links.new(texture.outputs["Color"], nodes["Background"].inputs["Color"])
    bpy.context.scene.world = world


def _add_backdrop(look: StudioLook, axes: np.ndarray, distance: float, focal_mm: float, folder: Path) -> None:
    half = 0.75 * SENSOR / focal_mm * (distance + look.backdrop_distance)
    centre = -axes[2] * look.backdrop_distance
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    pixels = paint_backdrop(look.backdrop, np.array(look.backdrop_colour), look.seed) * look.level
    material = bpy.data.materials.new("backdrop")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    texture = nodes.new("ShaderNodeTexImage")
    texture.image = _image("backdrop", pixels, folder)
    texture.interpolation = "Cubic"
    texture.extension = "EXTEND"
    emission = nodes.new("ShaderNodeEmission")
    output = nodes.new("ShaderNodeOutputMaterial")
    links.new(texture.outputs["Color"], emission.inputs["Color"])
    links.new(emission.outputs["Emission"], output.inputs["Surface"])
    material.cycles.emission_sampling = "NONE"
    uv = np.array([[[0, 0], [1, 0], [1, 1], [0, 1]]], float)
    plane = add_mesh("backdrop", centre + corners @ axes[:2], np.array([[0, 1, 2, 3]]), [material], uv=uv)
    # It is a picture, not a part of the lighting: lamps and surroundings behind it must reach the head.
    plane.visible_diffuse = plane.visible_glossy = plane.visible_shadow = False
