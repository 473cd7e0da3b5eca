"""YuNet, the face detector that OpenCV runs, as a plain function of pixels."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import torch
from torch import Tensor

from hrlm.errors import ModelError
from hrlm.models.files import weights_folder

_WEIGHTS = "face_detection_yunet_2023mar_int8bq.onnx"

# Boxes that share this much of their union are one face.
SAME_UNION = 0.3

Sighting = tuple[Tensor, float]
"""What YuNet tells of a face: `(8, 2)` float64 pixels (the box's upper left, upper right and lower left corner, then
the five points) and the score."""


class YuNet:
    """`cv2.FaceDetectorYN`, one for each thread since it holds the size of its input.

    Raises:
        ModelError: the weights are missing or damaged.
    """

    def __init__(self) -> None:
        path = weights_folder() / _WEIGHTS
        try:
            self.weights = np.fromfile(path, np.uint8)
        except OSError:
            raise ModelError(f"{path}: cannot be read; install hrlm again, its weights come with it") from None
        self._path = path
        self._own = threading.local()
        self._detector()

    def _detector(self) -> cv2.FaceDetectorYN:
        found = getattr(self._own, "detector", None)
        if found is None:
            try:
                with _cv2_quiet():
                    found = cv2.FaceDetectorYN.create("onnx", self.weights, np.empty(0, np.uint8), (32, 32))
            except cv2.error:
                raise ModelError(f"{self._path}: damaged; install hrlm again, its weights come with it") from None
            found.setNMSThreshold(SAME_UNION)
            self._own.detector = found
        return found

    def look(self, pixels: np.ndarray, threshold: float) -> list[Sighting]:
        """Faces of at least `threshold` in `pixels` `(H, W, 3)` uint8 sRGB."""
        sightings = []
        for row in self.rows(pixels, threshold).astype(np.float64):
            x, y, w, h = row[:4]
            corners = np.array([[x, y], [x + w, y], [x, y + h]])
            if w > 0 and h > 0 and np.isfinite(row).all():
                sightings.append((torch.from_numpy(np.concatenate([corners, row[4:14].reshape(5, 2)])), float(row[14])))
        return sightings

    def rows(self, pixels: np.ndarray, threshold: float) -> np.ndarray:
        """What `look` is made of: `(F, 15)` float32, each face's box (x, y, width, height), five points and score."""
        detector = self._detector()
        detector.setInputSize((pixels.shape[1], pixels.shape[0]))
        detector.setScoreThreshold(threshold)
        rows = detector.detect(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1]
        return np.empty((0, 15), np.float32) if rows is None else rows


_cv2_log_level = threading.Lock()


@contextmanager
def _cv2_quiet() -> Iterator[None]:
    """Keeps OpenCV's remarks on a new detector (its engine's choice of device) off the terminal."""
    log = getattr(cv2.utils, "logging", None)
    if log is None:  # before OpenCV 4.13, which has no such remarks either
        yield
        return
    with _cv2_log_level:
        level = log.setLogLevel(log.LOG_LEVEL_ERROR)
        try:
            yield
        finally:
            log.setLogLevel(level)
