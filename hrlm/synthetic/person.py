"""Who is photographed and how they look into the camera: identity, expression, pose and lens, drawn at random."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

# identity modes are kept within what a face can be
MOST_DEVIATIONS = 2.2
KINDS = ("neutral", "smile", "laugh", "talk", "shout", "blink", "wink", "squint", "surprise", "frown", "pucker")
SHARES = (0.24, 0.2, 0.08, 0.12, 0.05, 0.08, 0.04, 0.05, 0.05, 0.05, 0.04)


@dataclass(frozen=True)
class Person:
    """One face.

    Args:
        identity: standard deviations of the head model's identity modes.
        expression: strengths by name, 0 to 1.
        age: years.
    """

    identity: np.ndarray
    expression: dict[str, float] = field(default_factory=dict)
    age: float = 30


@dataclass(frozen=True)
class Shot:
    """How the picture is taken.

    Args:
        yaw, pitch, roll: radians; see `camera.orbit`.
        focal: millimetres on a 36 mm sensor.
        share: of the picture's height that the head takes.
        aspect: width over height.
        shift: of the head from the picture's middle, as shares of the picture's long side.
        aperture: f-number, or 0 for everything in focus.
        motion: length of the motion blur as a share of the long side, and its direction in radians.
        noise: standard deviation of the sensor's noise in grey levels of 255.
        quality: of the JPEG file.
    """

    yaw: float
    pitch: float
    roll: float
    focal: float
    share: float
    aspect: float
    shift: tuple[float, float]
    aperture: float
    motion: tuple[float, float]
    noise: float
    quality: int


def draw_person(rng: np.random.Generator, modes: int) -> Person:
    """A person, with an expression."""
    identity = np.clip(rng.standard_normal(modes) * 0.9, -MOST_DEVIATIONS, MOST_DEVIATIONS)
    return Person(identity, draw_expression(rng), float(rng.triangular(18, 30, 78)))


def draw_expression(rng: np.random.Generator) -> dict[str, float]:
    """An expression with gaze, small movements of everything, and in one of ten faces only on one side."""
    e: dict[str, float] = {}

    def both(amount: float, *names: str) -> None:
        for name in names:
            for side in "LR":
                key = f"{name}_{side}"
                e[key] = e.get(key, 0) + amount * rng.uniform(0.85, 1.15)

    def one(amount: float, *names: str) -> None:
        for name in names:
            e[name] = e.get(name, 0) + amount

    kind = str(rng.choice(KINDS, p=SHARES))
    u = rng.uniform
    if kind == "smile":
        both(u(0.2, 0.75), "mouthSmile")
        both(u(0, 0.4), "cheekSquint", "cheekRaiser")
        one(u(0, 0.08), "jawOpen")
        both(u(0, 0.5), "mouthUpperUp")
        both(u(0, 0.2), "mouthDimple")
    elif kind == "laugh":
        both(u(0.6, 0.95), "mouthSmile")
        both(u(0.3, 0.7), "cheekSquint", "eyeSquint")
        one(u(0.1, 0.4), "jawOpen")
        both(u(0.2, 0.6), "mouthUpperUp", "mouthLowerDown")
    elif kind == "talk":
        one(u(0.05, 0.3), "jawOpen")
        one(u(0, 0.5), "mouthFunnel")
        one(u(0, 0.3), "mouthPucker")
        both(u(0, 0.4), "mouthStretch", "mouthLowerDown")
    elif kind == "shout":
        one(u(0.5, 0.95), "jawOpen")
        both(u(0, 0.5), "mouthStretch", "browInnerUp")
        both(u(0, 0.5), "eyeWide")
    elif kind == "blink":
        both(u(0.5, 1.0), "eyeBlink")
    elif kind == "wink":
        one(u(0.7, 1), f"eyeBlink_{rng.choice(['L', 'R'])}")
        both(u(0.1, 0.5), "mouthSmile")
    elif kind == "squint":
        both(u(0.4, 1), "eyeSquint")
        both(u(0.1, 0.5), "browDown")
        both(u(0, 0.3), "eyeBlink", "noseSneer")
    elif kind == "surprise":
        both(u(0.4, 1), "browInnerUp", "browOuterUp")
        both(u(0.3, 0.9), "eyeWide")
        one(u(0.05, 0.4), "jawOpen")
    elif kind == "frown":
        both(u(0.3, 0.9), "browDown")
        both(u(0.1, 0.6), "mouthFrown")
        one(u(0, 0.4), "mouthShrugLower")
        both(u(0, 0.5), "mouthPress")
    elif kind == "pucker":
        one(u(0.3, 0.9), "mouthPucker")
        one(u(0, 0.4), "mouthFunnel")
    # nobody holds still
    both(abs(rng.normal(0, 0.06)), "eyeBlink")
    both(abs(rng.normal(0, 0.08)), "mouthSmile", "mouthPress", "eyeSquint")
    one(abs(rng.normal(0, 0.015)), "jawOpen")
    one(abs(rng.normal(0, 0.1)), str(rng.choice(["mouthRollLower", "mouthRollUpper"])))
    for name in ("browInnerUp", "browOuterUp", "browDown"):
        if rng.random() < 0.25:
            both(u(0, 0.4), name)
    if rng.random() < 0.25:
        one(u(0, 0.35), str(rng.choice(["mouthLeft", "mouthRight", "jawLeft", "jawRight"])))
    if rng.random() < 0.1:
        weak, factor = str(rng.choice(["_L", "_R"])), u(0, 0.3)
        e = {k: v * factor if k.endswith(weak) and not k.startswith("eyeLook") else v for k, v in e.items()}
        one(u(0, 0.4), f"mouthFrown{weak}")
    across, down = rng.normal(0, 0.18), rng.normal(0, 0.12)
    one(abs(across), *(("eyeLookOut_L", "eyeLookIn_R") if across > 0 else ("eyeLookIn_L", "eyeLookOut_R")))
    one(abs(down), *(("eyeLookDown_L", "eyeLookDown_R") if down > 0 else ("eyeLookUp_L", "eyeLookUp_R")))
    return {k: float(np.clip(v, 0, 1)) for k, v in e.items() if v > 1e-3}


def draw_shot(rng: np.random.Generator, most_yaw: float = 60) -> Shot:
    """Pose, framing and lens of a portrait.

    Args:
        most_yaw: degrees.
    """
    turned = rng.random() < 0.3
    yaw = rng.uniform(-most_yaw, most_yaw) if turned else np.clip(rng.normal(0, 14), -most_yaw, most_yaw)
    return Shot(
        yaw=float(np.radians(yaw)),
        pitch=float(np.radians(np.clip(rng.normal(2, 8), -25, 28))),
        roll=float(np.radians(np.clip(rng.normal(0, 7), -30, 30))),
        focal=float(np.exp(rng.uniform(np.log(35), np.log(200)))),
        share=float(rng.uniform(0.5, 0.85)),
        aspect=float(rng.choice([1.0, 0.8, 2 / 3, 0.75])),
        shift=(float(rng.normal(0, 0.03)), float(rng.normal(0.02, 0.02))),
        aperture=float(rng.choice([0, 2.8, 4, 5.6, 8, 11])),
        motion=(float(rng.uniform(0.0005, 0.003)) if rng.random() < 0.1 else 0.0, float(rng.uniform(0, np.pi))),
        noise=float(np.abs(rng.normal(0, 2.5))),
        quality=int(rng.choice([80, 88, 92, 95])),
    )
