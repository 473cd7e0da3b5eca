"""Contact sheets: pages of thumbnails with landmarks, file names and certainty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from hrlm.geometry import resize_points
from hrlm.render.overlay import Look, draw_faces
from hrlm.results import Face
from hrlm.schemes import Scheme

# A4 at 200 dots an inch
PAGE = (1654, 2339)
DPI = 200
COLUMNS, ROWS = 4, 5
MARGIN, GUTTER, TEXT = 60, 20, 22
THUMBNAIL = (PAGE[0] - 2 * MARGIN - (COLUMNS - 1) * GUTTER) // COLUMNS
# how much of the photo is shown around its faces, in units of the box around all their landmarks
AROUND = 1.5


@dataclass(frozen=True)
class Entry:
    """A photo on the sheet.

    Args:
        name: as people know it.
        thumbnail: a picture file.
        concern: how much it deserves a look; infinite where no face was found.
        remark: stands below the name.
    """

    name: str
    thumbnail: Path
    concern: float
    remark: str


def draw_thumbnail(pixels: np.ndarray, faces: Sequence[Face], scheme: Scheme, look: Look) -> np.ndarray:
    """The part of a photo `(H, W, 3)` that holds its faces, reduced to a thumbnail with the landmarks drawn on it."""
    x0, y0, x1, y1 = 0, 0, pixels.shape[1], pixels.shape[0]
    if faces:
        points = np.concatenate([f.landmarks for f in faces])
        low, high = points.min(0), points.max(0)
        middle, half = (low + high) / 2, AROUND * (high - low).max() / 2
        corner = np.floor(middle - half).clip(0, (x1 - 1, y1 - 1)).astype(int)
        end = np.ceil(middle + half).clip(corner + 1, (x1, y1)).astype(int)
        (x0, y0), (x1, y1) = corner, end
    part = pixels[y0:y1, x0:x1]
    ratio = min(1.0, THUMBNAIL / max(part.shape[:2]))
    size = max(1, round(part.shape[1] * ratio)), max(1, round(part.shape[0] * ratio))
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA) if ratio < 1 else part
    moved = [
        replace(
            face,
            landmarks=resize_points(torch.from_numpy(face.landmarks - (x0, y0)), ratio).numpy(),
            deviation=face.deviation * ratio,
            box=(0.0, 0.0, face.box[2] * ratio, face.box[3] * ratio),
            covariance=None if face.covariance is None else face.covariance * ratio**2,
        )
        for face in faces
    ]
    return draw_faces(small, moved, scheme, look)


def pages(entries: Sequence[Entry]) -> Iterator[Image.Image]:
    """Pages of thumbnails in the order of `entries`, one at a time."""
    count = -(-len(entries) // (COLUMNS * ROWS))
    font = ImageFont.load_default(TEXT)
    step = (PAGE[1] - 2 * MARGIN) // ROWS
    for number in range(1, count + 1):
        group = entries[(number - 1) * COLUMNS * ROWS : number * COLUMNS * ROWS]
        page = Image.new("RGB", PAGE, "white")
        draw = ImageDraw.Draw(page)
        for place, entry in enumerate(group):
            row, column = divmod(place, COLUMNS)
            x, y = MARGIN + column * (THUMBNAIL + GUTTER), MARGIN + row * step
            room = min(THUMBNAIL, step - 3 * TEXT)
            remark = entry.remark
            try:
                with Image.open(entry.thumbnail) as picture:
                    picture.thumbnail((THUMBNAIL, room))
                    page.paste(picture, (x + (THUMBNAIL - picture.width) // 2, y))
            # one that is damaged must not cost the whole sheet
            except (OSError, SyntaxError):
                draw.rectangle((x, y, x + THUMBNAIL, y + room), (220, 220, 220))
                remark = "no picture: remove the file in .thumbnails and run again"
            draw.text((x, y + room + 4), _fitted(entry.name, font), "black", font)
            draw.text((x, y + room + 6 + TEXT), _fitted(remark, font), (90, 90, 90), font)
        draw.text((PAGE[0] - MARGIN, PAGE[1] - MARGIN + 12), f"{number} / {count}", (90, 90, 90), font, anchor="rt")
        yield page


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """`text` on one line, its beginning left out where it is too long: names differ at their ends."""
    text = "".join(c if c.isprintable() else "?" for c in text)
    cut = text
    while font.getlength(cut) > THUMBNAIL and len(cut) > 2:
        text = text[1:]
        cut = "…" + text
    return cut
