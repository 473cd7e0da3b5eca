"""The camera: a pinhole that orbits a head which never turns. One definition serves the renderer and the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# millimetres of the long side, so that focal lengths mean what photographers mean
SENSOR = 36.0


@dataclass(frozen=True)
class Camera:
    """A pinhole camera in the head frame.

    Args:
        position: `(3,)` centimetres.
        rotation: `(3, 3)`, rows are the picture's right, the picture's up and backwards (from the scene to the camera).
        focal: millimetres on a sensor whose long side is 36 mm.
        width, height: pixels.
    """

    position: np.ndarray
    rotation: np.ndarray
    focal: float
    width: int
    height: int

    @property
    def focal_pixels(self) -> float:
        """Focal length in pixels."""
        return self.focal / SENSOR * max(self.width, self.height)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Photo pixels `(..., 2)`, centres at integers, of points `(..., 3)` in the head frame."""
        local = (points - self.position) @ self.rotation.T
        flat = local[..., :2] / -local[..., 2:] * self.focal_pixels
        middle = np.array([(self.width - 1) / 2, (self.height - 1) / 2])
        return middle + flat * np.array([1.0, -1.0])

    def depth(self, points: np.ndarray) -> np.ndarray:
        """Distance `(...)` of points `(..., 3)` along the optical axis, centimetres."""
        return -((points - self.position) @ self.rotation[2])


def orbit(target: np.ndarray, yaw: float, pitch: float, roll: float, distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Position and rotation of a camera that looks at `target` from the front, moved around it.

    Args:
        target: `(3,)` what is in the middle of the picture.
        yaw: radians; positive shows more of the subject's left side.
        pitch: radians; positive looks down on the subject.
        roll: radians; positive leans the head clockwise in the picture.
        distance: centimetres.
    """
    back = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    right = np.array([np.cos(yaw), 0.0, -np.sin(yaw)])
    up = np.cross(back, right)
    c, s = np.cos(roll), np.sin(roll)
    return target + distance * back, np.stack([c * right + s * up, c * up - s * right, back])
