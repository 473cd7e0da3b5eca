"""Everything about one rendered portrait, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hrlm.synthetic.camera import SENSOR, Camera, orbit
from hrlm.synthetic.eyes import EyeLook, draw_eyes
from hrlm.synthetic.hair import HairLook, draw_hair
from hrlm.synthetic.person import Person, Shot, draw_person, draw_shot
from hrlm.synthetic.skin import SkinLook, draw_skin
from hrlm.synthetic.studio import StudioLook, draw_studio
from hrlm.synthetic.worn import WornLook, draw_worn

# crown to chin of the mean head, and its middle in the head frame, centimetres
HEIGHT = 21.5
MIDDLE = np.array([0.0, 3.0, 3.0])
NEAREST = 45.0


@dataclass(frozen=True)
class HeadLook:
    """One portrait.

    Args:
        key: the numbers that it was drawn from.
    """

    key: tuple[int, ...]
    person: Person
    shot: Shot
    skin: SkinLook
    eyes: EyeLook
    hair: HairLook
    worn: WornLook
    studio: StudioLook

    def camera(self, size: int) -> Camera:
        """The camera for a picture whose long side is `size` pixels."""
        shot = self.shot
        width, height = sorted((size, round(size * min(shot.aspect, 1 / shot.aspect))), reverse=shot.aspect >= 1)
        seen_per_cm = height / size * SENSOR / shot.focal
        distance = max(HEIGHT / shot.share / seen_per_cm, NEAREST)
        _, rotation = orbit(MIDDLE, shot.yaw, shot.pitch, shot.roll, distance)
        aside = distance * SENSOR / shot.focal * np.array(shot.shift)
        target = MIDDLE + aside[0] * rotation[0] + aside[1] * rotation[1]
        position, rotation = orbit(target, shot.yaw, shot.pitch, shot.roll, distance)
        return Camera(position, rotation, shot.focal, width, height)


def darkness(tone: tuple[float, float, float]) -> float:
    """0 for the lightest skin to 1 for the darkest, of its sRGB colour."""
    return float(np.clip((0.85 - np.mean(tone)) / 0.6, 0, 1))


def draw_look(key: tuple[int, ...], modes: int, most_yaw: float = 60) -> HeadLook:
    """The portrait of a key, such as a seed and a number.

    Each part has its own stream, so that a change in how one is drawn leaves the others as they were.

    Args:
        modes: the head model's identity modes.
        most_yaw: degrees.
    """
    streams = iter(np.random.default_rng([*key, part]) for part in range(7))
    person, shot = draw_person(next(streams), modes), draw_shot(next(streams), most_yaw)
    skin = draw_skin(next(streams), person.age)
    eyes = draw_eyes(next(streams), float(np.mean(skin.tone)))
    hair = draw_hair(next(streams), person.age, darkness(skin.tone))
    if hair.beard != "none":
        skin = replace(skin, lipstick=0.0, shadow=0.0, liner=0.0)
    return HeadLook(key, person, shot, skin, eyes, hair, draw_worn(next(streams)), draw_studio(next(streams)))
