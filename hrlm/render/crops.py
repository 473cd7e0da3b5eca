"""Aligned crops of faces at the photo's own density."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from hrlm.anatomy import face_lines
from hrlm.errors import HrlmError
from hrlm.geometry import CropTransform, face_crop
from hrlm.render.overlay import check_fit
from hrlm.results import Face
from hrlm.schemes import Scheme

# the side of the plain upright crop: so many times the larger side of the landmarks' bounding box; its centre lies
# above the box's by a share of the side, for the top of the head
UPRIGHT_MARGIN, UPRIGHT_RAISED = 1.9, 0.1
# FFHQ's proportions: half a side over the eyes' distance and over the way from eyes to mouth, the larger one counts;
# how far down that way the centre lies
FFHQ_EYES, FFHQ_MOUTH, FFHQ_DOWN = 2.0, 1.8, 0.1
# source pixels around the crop that interpolation reads
REACH = 4
LONGEST_SIDE = 30000


def upright_crop(face: Face, scheme: Scheme) -> CropTransform:
    """The square around a face with the line between the scheme's normaliser level; one crop pixel a photo pixel.

    Raises:
        HrlmError: the landmarks are not the scheme's, or lie too far apart for a picture.
    """
    check_fit(face, scheme)
    points = torch.from_numpy(np.asarray(face.landmarks, np.float64))[None]
    crop = face_crop(points, scheme.normaliser, 1, UPRIGHT_MARGIN)
    up = crop.linear @ crop.linear.new_tensor([0.0, -UPRIGHT_RAISED])
    return _native(CropTransform.make(crop.centre + up, crop.side, 1, crop.angle))


def ffhq_crop(face: Face, scheme: Scheme) -> CropTransform:
    """The square that FFHQ's alignment cuts, before its reduction; one crop pixel a photo pixel.

    As published with the data set (Karras, Laine and Aila, *A Style-Based Generator Architecture for Generative
    Adversarial Networks*, CVPR 2019): the crop's level direction is the mean of the line through the eyes' centres and
    of the normal to the line from there to the mouth's; its centre and size follow from both lengths.

    Raises:
        HrlmError: the landmarks are not the scheme's, the scheme has no eyes or mouth, or they lie too far apart.
    """
    check_fit(face, scheme)
    lines = face_lines(scheme)
    try:
        eyes = [
            np.mean(face.landmarks[sorted({*lines[f"lid_upper_{side}"], *lines[f"lid_lower_{side}"]})], axis=0)
            for side in ("right", "left")
        ]
        mouth = face.landmarks[[lines["lip_upper_outer"][0], lines["lip_upper_outer"][-1]]].mean(0)
    except KeyError as e:
        raise HrlmError(f"the scheme {scheme.name} has no line {e}, which FFHQ's alignment needs") from None
    across, middle = eyes[1] - eyes[0], (eyes[0] + eyes[1]) / 2
    down = mouth - middle
    level = across + np.array([down[1], -down[0]])
    half = max(FFHQ_EYES * np.hypot(*across), FFHQ_MOUTH * np.hypot(*down))
    centre = middle + FFHQ_DOWN * down
    turn = np.arctan2(level[1], level[0])
    fields = (torch.from_numpy(np.array([v], np.float64)) for v in (centre, 2 * half, turn))
    place, side, angle = fields
    return _native(CropTransform.make(place, side, 1, angle))


def cut(pixels: np.ndarray, crop: CropTransform) -> np.ndarray:
    """The one crop of `crop` out of a photo's pixels `(H, W, 3)` uint8; beyond the photo stands its mirror image."""
    inner = crop.linear[0].numpy()
    corners = crop.corners()[0].numpy()
    height, width = pixels.shape[:2]
    low = np.floor(corners.min(0) - REACH).clip(0, (width - 1, height - 1)).astype(int)
    high = np.ceil(corners.max(0) + REACH).clip(low + 1, (width, height)).astype(int)
    window = pixels[low[1] : high[1], low[0] : high[0]]
    middle = (crop.size - 1) / 2
    shift = crop.centre[0].numpy() - low - inner @ (middle, middle)
    cut_out: np.ndarray = cv2.warpAffine(
        window,
        np.column_stack([inner, shift]),
        (crop.size, crop.size),
        flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return cut_out


def _native(crop: CropTransform) -> CropTransform:
    side = float(crop.side[0])
    if not side <= LONGEST_SIDE:
        raise HrlmError(f"a face of {side:.0f} pixels is larger than a crop can be: check its landmarks")
    # whole pixels of exactly the photo's size
    size = max(1, round(side))
    return CropTransform.make(crop.centre, torch.full_like(crop.side, size), size, crop.angle)
