"""Where a rendered head is photographed: lights, surroundings and background, exposed like a metered studio.

Everything is placed in the **camera's frame**: x to the right in the picture, y up, z from the head to the camera, so a
lighting looks alike wherever the camera stands. Radiances are linear RGB; 1 is a white card in full light.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

KINDS = (
    "loop",
    "rembrandt",
    "butterfly",
    "clamshell",
    "split",
    "rim",
    "ring",
    "sun",
    "window",
    "gels",
    "backlight",
    "dim",
    "overcast",
    "shade",
    "flat",
)
FACE = np.array([0.0, 0.0, 8.0])
"""The point that is metered and lit, in the head frame: between the eyes and the mouth."""
ENVIRONMENT_SIZE = (96, 192)


@dataclass(frozen=True)
class Lamp:
    """A flat source that shines at the face.

    Args:
        azimuth: degrees, positive to the right of the picture, 0 at the camera.
        elevation: degrees above the camera's height.
        distance: centimetres from the face.
        width, height: centimetres.
        irradiance: at the face, relative to the other sources.
        kelvin: colour temperature; 6500 is neutral.
        tint: a gel's colour.
        panes: columns and rows that the source is divided into by bars, as a window is.
        round: an ellipse instead of a rectangle.
    """

    azimuth: float
    elevation: float
    distance: float
    width: float
    height: float
    irradiance: float
    kelvin: float = 6500.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    panes: tuple[int, int] = (1, 1)
    round: bool = False

    @property
    def direction(self) -> np.ndarray:
        """Unit vector `(3,)` from the face to the source, camera frame."""
        a, e = np.radians([self.azimuth, self.elevation])
        return np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])

    @property
    def colour(self) -> np.ndarray:
        """Linear RGB `(3,)` of luminance 1."""
        mixed = kelvin_colour(self.kelvin) * np.array(self.tint)
        return mixed / luminance(mixed)


@dataclass(frozen=True)
class StudioLook:
    """Lights, surroundings and background.

    Args:
        kind: one of KINDS.
        lamps: the sources.
        sky, horizon, ground: linear RGB of the surroundings above, around and below, relative to the lamps.
        behind: how bright the surroundings are behind the head, relative to those behind the camera.
        level: radiance of a white card at the face, averaged over a ball: 1 exposes a grey card as mid grey.
        backdrop: one of `backdrop.BACKDROPS`.
        backdrop_colour: linear RGB.
        backdrop_distance: centimetres behind the head.
        seed: of the painted parts.
    """

    kind: str
    lamps: tuple[Lamp, ...]
    sky: tuple[float, float, float]
    horizon: tuple[float, float, float]
    ground: tuple[float, float, float]
    behind: float
    level: float
    backdrop: str
    backdrop_colour: tuple[float, float, float]
    backdrop_distance: float
    seed: int


def luminance(rgb: np.ndarray) -> Any:
    """Rec. 709 luminance of linear RGB `(..., 3)`."""
    return rgb @ np.array([0.2126, 0.7152, 0.0722])


def kelvin_colour(kelvin: float) -> np.ndarray:
    """Linear RGB `(3,)` of luminance 1 of a black body seen by a camera that is balanced near 6500 K.

    Cameras follow the light part of the way, so a third of its cast is taken off.
    """

    def body(t: float) -> np.ndarray:
        wavelength = np.array([611e-9, 549e-9, 464e-9])
        return wavelength**-5 / np.expm1(1.4388e-2 / (wavelength * t))

    found = (body(kelvin) / body(6500.0)) ** 0.65
    return found / luminance(found)


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    r, g, b = (float(v) for v in values)
    return r, g, b


def _lamps(kind: str, rng: np.random.Generator) -> tuple[list[Lamp], float, float]:
    """Lamps, the surroundings' part of the light and their colour temperature."""
    u = rng.uniform
    side = float(rng.choice([-1.0, 1.0]))
    # Most photographs are balanced for their key light; a few keep its cast.
    key = float(np.clip(rng.normal(6300, 650), 4800, 8200))
    near = u(90, 170)

    def box(a: float, e: float, light: float, small: float = 30, large: float = 110, **more: Any) -> Lamp:
        w = u(small, large)
        return Lamp(
            side * a, e, near, w, w * u(0.8, 1.5), light, more.pop("kelvin", key), round=rng.random() < 0.25, **more
        )

    fill = u(0.15, 0.6)
    if kind == "loop":
        return [box(u(25, 45), u(20, 40), 1), box(-u(20, 60), u(0, 20), fill, 60, 150)], u(0.08, 0.3), key
    if kind == "rembrandt":
        return [box(u(45, 60), u(35, 50), 1, 25, 70), box(-u(30, 70), u(0, 15), fill * 0.4, 60, 150)], u(0.06, 0.2), key
    if kind == "butterfly":
        return [box(u(-6, 6), u(35, 52), 1, 30, 80), box(0, -u(20, 40), fill * 0.6, 50, 90)], u(0.08, 0.25), key
    if kind == "clamshell":
        return [box(u(-8, 8), u(28, 42), 1, 60, 110), box(u(-8, 8), -u(28, 42), u(0.4, 0.8), 50, 100)], u(0.1, 0.3), key
    if kind == "split":
        return [box(u(65, 85), u(5, 25), 1), box(-u(20, 60), u(0, 15), fill * 0.3, 80, 150)], u(0.05, 0.15), key
    if kind == "rim":
        edge = [box(s * u(115, 145), u(10, 40), u(0.9, 2.0), 20, 60) for s in (-1, 1)]
        return [box(u(15, 45), u(15, 35), 1), *edge[: int(rng.integers(1, 3))]], u(0.08, 0.25), key
    if kind == "ring":
        width = u(24, 46)
        return [Lamp(0, 0, u(60, 110), width, width, 1, key, panes=(16, 0))], u(0.08, 0.3), key
    if kind == "sun":
        sun = Lamp(side * u(20, 75), u(22, 60), 900, 14, 14, 1, u(4700, 5800), round=True)
        return [sun], u(0.35, 0.8), u(7000, 9000)
    if kind == "window":
        tall = u(120, 220)
        pane = (int(rng.integers(1, 4)), int(rng.integers(1, 5)))
        window = Lamp(side * u(40, 85), u(5, 25), u(110, 220), tall * u(0.5, 0.9), tall, 1, u(6000, 8500), panes=pane)
        return [window], u(0.12, 0.45), u(3800, 6000)
    if kind == "gels":
        hues = rng.choice([0.0, 0.05, 0.55, 0.62, 0.8, 0.9], 2, replace=False)
        tints = [_triple(0.25 + 0.75 * _hue(h)) for h in hues]
        lights = [
            box(u(50, 110), u(0, 30), u(0.5, 1.2), 30, 80, tint=tints[0]),
            box(-u(50, 130), u(0, 30), u(0.4, 1.0), 30, 80, tint=tints[1]),
        ]
        return [box(u(-20, 20), u(15, 35), u(0.4, 0.9)), *lights], u(0.05, 0.15), key
    if kind == "backlight":
        back = Lamp(side * u(140, 175), u(15, 45), 500, 30, 30, u(2.5, 5), u(4300, 6000), round=True)
        return [back, box(u(-40, 40), u(10, 40), 0.6, 80, 150)], u(0.4, 0.8), u(5500, 7500)
    if kind == "dim":
        warm = u(2800, 4200)
        ceiling = Lamp(u(-40, 40), u(45, 70), u(120, 200), u(15, 45), u(15, 45), 1, warm, round=True)
        table = Lamp(side * u(50, 110), u(-10, 15), u(100, 220), u(15, 35), u(20, 40), u(0.2, 0.7), warm - 150)
        return [ceiling, table], u(0.25, 0.6), warm + u(0, 1200)
    if kind == "overcast":
        return [Lamp(u(-60, 60), u(40, 75), 400, 500, 400, 1, u(6500, 8000))], u(0.9, 1.6), u(6500, 8200)
    if kind == "shade":
        return [Lamp(side * u(20, 70), u(10, 40), 350, 350, 300, 1, u(7000, 9000))], u(0.6, 1.1), u(6000, 8000)
    return [box(s * u(35, 50), u(10, 25), 1, 90, 150) for s in (-1, 1)], u(0.2, 0.4), key


def _hue(hue: float) -> np.ndarray:
    return np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)


def draw_studio(rng: np.random.Generator) -> StudioLook:
    """Draw a lighting and a background."""
    chance = np.array([14, 9, 9, 9, 4, 8, 6, 9, 10, 4, 6, 6, 9, 6, 5], float)
    kind = str(rng.choice(KINDS, p=chance / chance.sum()))
    lamps, ambient, kelvin = _lamps(kind, rng)
    outdoors = kind in ("sun", "overcast", "shade", "backlight")
    tint = kelvin_colour(float(kelvin))
    if outdoors:
        sky, horizon, ground = (ambient * w * tint for w in (1.1, 0.9, rng.uniform(0.25, 0.6)))
        ground = ground * np.array([1.05, 1.0, 0.85])
        behind = rng.uniform(0.8, 1.6)
        weights: dict[str, float] = {"foliage": 4, "street": 4, "gradient": 1, "paper": 1}
    else:
        sky, horizon, ground = (ambient * w * tint for w in (rng.uniform(0.6, 1.2), 0.9, rng.uniform(0.3, 0.7)))
        behind = rng.uniform(0.3, 1.0)
        weights = {
            "paper": 6,
            "gradient": 3,
            "plain": 2,
            "room": 4 if kind in ("window", "dim", "loop", "flat") else 1.5,
        }
        if kind == "gels":
            weights = {"paper": 3, "gradient": 3}
    names = list(weights)
    share = np.array([weights[n] for n in names], float)
    backdrop = str(rng.choice(names, p=share / share.sum()))
    grey = rng.choice([0.02, 0.08, 0.2, 0.45, 0.9]) * rng.uniform(0.8, 1.2)
    hue = _hue(float(rng.random()))
    colour = (
        grey * (1 + rng.beta(1, 3) * (hue / luminance(hue + 0.15) - 1)) if backdrop != "plain" else grey * np.ones(3)
    )
    return StudioLook(
        kind=kind,
        lamps=tuple(lamps),
        sky=_triple(sky),
        horizon=_triple(horizon),
        ground=_triple(ground),
        behind=float(behind),
        level=float(2 ** np.clip(rng.normal(0.1, 0.3), -0.7, 0.8) * (0.75 if kind == "dim" else 1)),
        backdrop=backdrop,
        backdrop_colour=_triple(np.clip(colour, 0.004, 1)),
        backdrop_distance=float(rng.uniform(150, 300)),
        seed=int(rng.integers(2**31)),
    )


def surroundings(look: StudioLook, directions: np.ndarray) -> np.ndarray:
    """Radiance `(..., 3)` of the surroundings, before exposure, in directions `(..., 3)` of the camera frame."""
    up = directions[..., 1:2]
    above = np.clip(up * 1.6, 0, 1) ** 0.7
    below = np.clip(-up * 3, 0, 1) ** 0.7
    light = np.array(look.horizon) * (1 - above - below) + np.array(look.sky) * above + np.array(look.ground) * below
    away = np.clip(0.5 - 0.5 * directions[..., 2:3], 0, 1)
    # Uneven surroundings give eyes and glasses something to mirror: a few soft walls, lamps or trees.
    rng = np.random.default_rng(look.seed)
    for _ in range(14):
        centre = rng.standard_normal(3) * [1, 0.45, 1]
        centre /= np.linalg.norm(centre)
        width, gain = rng.uniform(0.04, 0.3), rng.choice([0.45, 0.6, 1.5, 2.0])
        near = 1 / (1 + np.exp(-(directions @ centre - 1 + width) / (0.15 * width)))
        light = light * (1 + (gain - 1) * near[..., None])
    return light * (1 + (look.behind - 1) * away)


def ball_light(look: StudioLook) -> np.ndarray:
    """Radiance `(3,)`, before exposure, that a white ball at the face shows the camera, averaged over its disc."""
    grid = (np.arange(24) + 0.5) / 12 - 1
    x, y = (a.ravel() for a in np.meshgrid(grid, grid))
    inside = x**2 + y**2 < 1
    normals = np.stack([x, y, np.sqrt(np.maximum(1 - x**2 - y**2, 0))], -1)[inside]
    rng = np.random.default_rng(0)
    around = rng.standard_normal((2000, 3))
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    cosine = np.maximum(normals @ around.T, 0)
    light = (cosine.mean(0) * 4) @ surroundings(look, around) / len(around)
    for lamp in look.lamps:
        light = light + np.maximum(normals @ lamp.direction, 0).mean() * lamp.irradiance * lamp.colour
    return light


def exposure_gain(look: StudioLook) -> float:
    """The factor for every source that gives the ball `look.level`."""
    return float(look.level / luminance(ball_light(look)))


def lamp_tiles(lamp: Lamp) -> np.ndarray:
    """Centres and sizes `(n, 4)` of a lamp's panes in its own plane: x, y, width, height in centimetres.

    A lamp with no rows is a ring of small squares.
    """
    columns, rows = lamp.panes
    if rows == 0:
        turn = np.arange(columns) / columns * 2 * np.pi
        size = np.pi * lamp.width / columns
        return np.stack(
            [np.cos(turn) * lamp.width / 2, np.sin(turn) * lamp.width / 2, *[np.full(columns, size)] * 2], -1
        )
    gap = 0.06 * min(lamp.width / columns, lamp.height / rows) * (columns * rows > 1)
    w, h = lamp.width / columns, lamp.height / rows
    return np.array(
        [
            [(i + 0.5) * w - lamp.width / 2, (j + 0.5) * h - lamp.height / 2, w - gap, h - gap]
            for i in range(columns)
            for j in range(rows)
        ]
    )


def camera_axes(view_direction: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Rows `(3, 3)`: the camera's right, up and backward unit vectors in the head frame."""
    back = np.asarray(view_direction, float) / np.linalg.norm(view_direction)
    right = np.cross(up, back)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(back, right), back])
