"""One rendered portrait and its truth, from a look. Imports bpy: only the renderer may import this."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hrlm.formats import pts
from hrlm.formats.atomic import write_whole
from hrlm.synthetic import effects, scene, truth
from hrlm.synthetic.camera import Camera
from hrlm.synthetic.dense import SCHEME, dense_lines
from hrlm.synthetic.eyes import eye_attributes, turn_eyes
from hrlm.synthetic.hair import HairLook, Strands, grow, shade
from hrlm.synthetic.hair_material import hair_material
from hrlm.synthetic.head import HeadModel
from hrlm.synthetic.look import HeadLook
from hrlm.synthetic.maps import save_maps, take_maps
from hrlm.synthetic.skin import paint_skin
from hrlm.synthetic.studio_scene import add_studio
from hrlm.synthetic.surfaces import head_materials
from hrlm.synthetic.views import WHOLE, Window, window
from hrlm.synthetic.worn_materials import add_worn

FORMAT = "hrlm.synthetic/1"
# absorption of the two pigments of hair for red, green and blue (d'Eon et al. 2011)
EUMELANIN, PHEOMELANIN = np.array([0.506, 0.841, 1.653]), np.array([0.343, 0.733, 1.924])
# pictures larger than this get skin maps of twice the side
FINE_PICTURE = 2048
# sRGB of hair without pigment, in the mass
GREY = 0.7
# centimetres from the brows to where a hat hides roots
HAT_ABOVE_BROWS = 2.0
# a point that strands cover by this share is hidden
COVERED = 0.6


@dataclass(frozen=True)
class Portrait:
    """A picture and what is known of it.

    Args:
        pixels: `(H, W, 3)` uint8 sRGB.
        points: `(68, 2)` photo pixels.
        hidden: what hides each of the 68 from the camera: `""` nothing, `self`, `worn` or `hair`.
        dense: polylines and single points `(K, 2)` in photo pixels by name, in the dense scheme's order.
        camera: what took it, or the whole that it is a window of.
        window: which part of the camera's picture this is; `points` and `dense` count from its corner.
        maps: depth, normals and regions where they were asked for; see `maps.take_maps`.
    """

    pixels: np.ndarray
    points: np.ndarray
    hidden: tuple[str, ...]
    dense: dict[str, np.ndarray]
    camera: Camera
    window: Window
    maps: dict[str, np.ndarray] | None = None


def take(
    head: HeadModel,
    look: HeadLook,
    size: int,
    samples: int,
    threads: int = 0,
    with_maps: bool = False,
    views: Sequence[str] = (WHOLE,),
) -> list[Portrait]:
    """Render one portrait, or views of it.

    Args:
        size: long side of the whole picture in pixels.
        samples: Cycles' samples a pixel.
        threads: 0 for all cores.
        views: of `views.NAMES`; one result each.
    """
    camera = look.camera(size)
    with tempfile.TemporaryDirectory(prefix="hrlm-") as name:
        folder = Path(name)
        scene.empty_scene(threads)
        posed, vertices, strands = _build(head, look, folder, 4096 if size > FINE_PICTURE else 2048)
        eyes = posed.surface.vertices[head.landmarks[36:48]]
        nearest = eyes[camera.depth(eyes).argmin()]
        scene.add_camera(camera, look.shot.aperture, nearest)
        away = float(camera.depth(np.zeros(3)))
        add_studio(look.studio, camera.rotation[2], camera.rotation[1], away, camera.focal, folder)
        points, points_3d = truth.landmarks(head, posed.surface, camera)
        hidden = scene.hidden_by(points_3d, camera, posed)
        dense = dense_lines(head, posed.surface, vertices, look.eyes, camera)
        taken = [_shoot(window(v, points, camera), camera, dense, samples, with_maps, folder) for v in views]
    loose = [s for s in strands if s.kind == "scalp"]
    covered = truth.covered_by_strands(points_3d, [s.points for s in loose], [s.radius for s in loose], camera)
    hidden = [h or ("hair" if c > COVERED else "") for h, c in zip(hidden, covered, strict=True)]
    return [
        Portrait(
            _finish(pixels, look, size), points - part.corner, tuple(hidden), _moved(dense, part), camera, part, maps
        )
        for part, pixels, maps in taken
    ]


def _moved(dense: dict[str, np.ndarray], part: Window) -> dict[str, np.ndarray]:
    return {name: line - part.corner for name, line in dense.items()}


def _build(head: HeadModel, look: HeadLook, folder: Path, texels: int) -> tuple[scene.PosedHead, np.ndarray, list[Any]]:
    person = look.person
    vertices = turn_eyes(head, head.shape(person.identity, person.expression), person.expression)
    hair_colour = strand_colour(look.hair)
    maps = paint_skin(head, look.skin, hair_colour, texels)
    materials = head_materials(look.skin, look.eyes, maps, hair_colour, folder)
    posed = scene.add_head(head, vertices, materials)
    rooted = np.maximum.reduce(list(shade(head, look.hair).values()))
    scene.add_attributes(posed.object, {**eye_attributes(head, vertices), "rooted": rooted})
    strands = grow(head, vertices, look.hair)
    if look.worn.covers_scalp:
        strands = [_under_hat(s, vertices[head.landmarks[17:27], 1].max()) for s in strands]
    scene.add_hair(strands, {s.kind: hair_material(look.hair, s.kind) for s in strands})
    add_worn(head, vertices, look.worn)
    return posed, vertices, strands


def _under_hat(strands: Strands, brows: float) -> Strands:
    """Scalp hair that shows below a hat; other strands as they are."""
    if strands.kind != "scalp":
        return strands
    shown = strands.points[:, 0, 1] < brows + HAT_ABOVE_BROWS
    return Strands(strands.points[shown], strands.radius[shown], strands.kind)


def strand_colour(look: HairLook) -> tuple[float, float, float]:
    """About the sRGB colour of a look's hair: absorption by its eumelanin and pheomelanin over one strand, and grey."""
    amount = -np.log(max(1 - look.melanin, 1e-4))
    dark, red = (1 - look.redness) * amount, look.redness * amount
    own = np.exp(-dark * EUMELANIN - red * PHEOMELANIN) ** (1 / 2.2)
    r, g, b = own * (1 - look.grey) + GREY * look.grey
    return float(r), float(g), float(b)


def _shoot(
    part: Window, camera: Camera, dense: dict[str, np.ndarray], samples: int, with_maps: bool, folder: Path
) -> tuple[Window, np.ndarray, dict[str, np.ndarray] | None]:
    scene.show(part)
    scene.render(folder / "picture.png", samples)
    pixels = np.asarray(Image.open(folder / "picture.png").convert("RGB"))
    return part, pixels, take_maps(camera, _moved(dense, part), folder) if with_maps else None


def _finish(pixels: np.ndarray, look: HeadLook, size: int) -> np.ndarray:
    shot = look.shot
    length = shot.motion[0] * size
    if length > 1:
        pixels = effects.motion_blur(pixels, length, shot.motion[1])
    return effects.sensor_noise(pixels, shot.noise, np.random.default_rng([*look.key, 100]))


def save(portrait: Portrait, look: HeadLook, path: Path, made: Mapping[str, Any] | None = None) -> None:
    """Write `path` (a JPEG), `.pts`, maps if there are and, last, `.dense.json` beside it.

    Args:
        made: of `batch.Job.made`, for the file; none where nobody compares it.

    Raises:
        WriteError: the folder or a file cannot be written.
    """
    write_whole(path, effects.jpeg(portrait.pixels, look.shot.quality))
    pts.write(path.with_suffix(".pts"), portrait.points)
    if portrait.maps is not None:
        save_maps(portrait.maps, path)
    height, width = portrait.pixels.shape[:2]
    camera, part = portrait.camera, portrait.window
    data = {
        "schema": FORMAT,
        "photo": {"path": path.name, "width": width, "height": height},
        "key": list(look.key),
        **({"made": dict(made)} if made else {}),
        "camera": {
            "position": camera.position.round(5).tolist(),
            "rotation": camera.rotation.round(8).tolist(),
            "focal": camera.focal,
            "frame": [camera.width, camera.height],
            "window": [part.left, part.top],
        },
        "pose": {k: round(float(np.degrees(getattr(look.shot, k))), 3) for k in ("yaw", "pitch", "roll")},
        "landmarks": portrait.points.round(3).tolist(),
        "hidden": list(portrait.hidden),
        "dense": {
            "scheme": SCHEME,
            "landmarks": np.concatenate(list(portrait.dense.values())).round(3).tolist(),
        },
    }
    write_whole(dense_path(path), (json.dumps(data) + os.linesep).encode("ascii"))


def dense_path(path: Path) -> Path:
    """Where the dense truth of a portrait is."""
    return path.with_name(path.stem + ".dense.json")
