"""Landmarks for a face that a person has drawn a box around."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from hrlm.errors import HrlmError, ModelError
from hrlm.geometry import CropTransform
from hrlm.photos import Photo
from hrlm.results import Box
from hrlm.review.fitting import mean_shape, shape_in_box
from hrlm.schemes import Scheme

if TYPE_CHECKING:
    from hrlm.detector import Detector

_log = logging.getLogger(__name__)
# the drawn box is taken for the landmarks' own bounding box, brows to chin, and a bit more
ROOM = 1.25
CROP = 256


class FaceMaker:
    """Makes the landmarks of new faces; the networks are loaded when the first one is wanted.

    Args:
        load: makes a detector for a model's name; None to use mean shapes only.
    """

    def __init__(self, load: Callable[[str], Detector] | None) -> None:
        self._load = load
        self._detectors: dict[str, Detector | None] = {}
        self._lock = threading.Lock()

    def make(
        self, photo: Photo, box: Box, model: str, scheme: Scheme, shapes: Callable[[], list[np.ndarray]]
    ) -> tuple[np.ndarray, str]:
        """Landmarks `(N, 2)` in photo pixels for the face in a box, and how they came about: `model` or `mean`.

        Args:
            model: the name of the model whose results are reviewed.
            shapes: faces to take a mean shape from, where the model is not at hand or knows another scheme.

        Raises:
            HrlmError: neither a model nor a shape is to be had.
        """
        with self._lock:
            detector = self._detector(model)
            if detector is not None and detector.scheme.landmarks == scheme.landmarks:
                x, y, width, height = box
                centre = torch.tensor([[x + width / 2, y + height / 2]], dtype=torch.float64)
                side = torch.tensor([ROOM * max(width, height)], dtype=torch.float64)
                points = detector.locate([photo], [CropTransform.make(centre, side, CROP)])[0].points[0]
                if np.isfinite(points).all():
                    return points, "model"
        known = shapes()
        if not known:
            raise HrlmError("no face of this run to take a shape from, and its model is not at hand: detect again")
        return shape_in_box(mean_shape(known), box), "mean"

    def _detector(self, model: str) -> Detector | None:
        if model not in self._detectors:
            self._detectors[model] = None
            if self._load is not None:
                try:
                    self._detectors[model] = self._load(model)
                except ModelError as e:
                    _log.warning("new faces start from the mean shape: %s", e)
        return self._detectors[model]
