"""How a head is turned, approximately: the rigid points of a mean head laid over the landmarks without perspective.

The closed form is that of POS (DeMenthon and Davis, *Model-Based Object Pose in 25 Lines of Code*, IJCV 1995): the
least-squares affine map from the head's three coordinates to the picture's two, made the nearest rotation.
"""

from __future__ import annotations

import numpy as np

from hrlm.anatomy import Lines, along

Point = tuple[str, float, tuple[float, float, float]]

# x to the person's left, y down, z forward, in units of the distance between the outer eye corners, of points of the
# face's lines at a share of their length: the mean head of ICT-FaceKit light (USC Institute for Creative Technologies,
# MIT licence), made symmetric
LEFT_HALF: tuple[Point, ...] = (
    ("lid_upper_left", 0.0, (0.5, 0.0, 0.0)),
    ("lid_upper_left", 1.0, (0.207, 0.020, 0.066)),
    ("nose_base", 0.75, (0.068, 0.512, 0.316)),
    ("nose_base", 1.0, (0.141, 0.513, 0.254)),
    ("lip_upper_outer", 1.0, (0.284, 0.780, 0.178)),
    ("jaw", 1.0, (0.826, -0.027, -0.555)),
)
MIDDLE: tuple[Point, ...] = (
    ("nose_bridge", 0.0, (0.0, -0.035, 0.239)),
    ("nose_bridge", 1 / 3, (0.0, 0.089, 0.327)),
    ("nose_bridge", 2 / 3, (0.0, 0.204, 0.415)),
    ("nose_bridge", 1.0, (0.0, 0.339, 0.501)),
    ("nose_base", 0.5, (0.0, 0.520, 0.332)),
)


def head_pose(points: np.ndarray, lines: Lines) -> np.ndarray:
    """Yaw, pitch and roll in degrees, `(..., 3)`, of landmarks `(..., N, 2)`.

    Yaw is positive where more of the person's left side shows, pitch where the camera looks down on the person, roll
    where the head leans clockwise in the picture. NaN where the lines are not enough.
    """
    known = [(line, share, place) for line, share, place in _model() if line in lines]
    if {"lid_upper_right", "lid_upper_left", "nose_bridge"} - {line for line, _, _ in known}:
        return np.full((*points.shape[:-2], 3), np.nan)
    head = np.array([place for _, _, place in known])
    seen = np.stack([along(points[..., list(lines[line]), :], share) for line, share, _ in known], -2)
    head = head - head.mean(0)
    # (..., 2, 3): how the picture's x and y go with the head's axes
    change = (np.linalg.pinv(head) @ (seen - seen.mean(-2, keepdims=True))).swapaxes(-1, -2)
    left, _, right = np.linalg.svd(change, full_matrices=False)
    turn = left @ right
    towards = np.cross(turn[..., 0, :], turn[..., 1, :])
    yaw = np.arctan2(towards[..., 0], towards[..., 2])
    pitch = -np.arcsin(towards[..., 1].clip(-1, 1))
    roll = np.arctan2(-turn[..., 0, 1], turn[..., 1, 1])
    return np.degrees(np.stack([yaw, pitch, roll], -1))


def _model() -> list[Point]:
    mirrored = []
    for line, share, (x, y, z) in LEFT_HALF:
        if line.endswith("_left"):
            mirrored.append((line.replace("_left", "_right"), share, (-x, y, z)))
        else:
            mirrored.append((line, 1 - share, (-x, y, z)))
    return [*LEFT_HALF, *mirrored, *MIDDLE]
