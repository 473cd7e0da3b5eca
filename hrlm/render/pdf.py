"""A PDF file of pictures, a page each, written as they come: Pillow would hold all, or take time with their square."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

import numpy as np
from PIL import Image

from hrlm.photos.written import jpeg_bytes

POINTS_PER_INCH = 72
CATALOGUE, PAGES = 1, 2
QUALITY = 90


def write_pdf(file: BinaryIO, pages: Iterable[Image.Image], dpi: float) -> None:
    """Write RGB pictures as pages of their own size at `dpi` pixels an inch; one is in memory at a time."""
    offsets: dict[int, int] = {}
    kids: list[int] = []
    place = 0

    def write(data: bytes) -> None:
        nonlocal place
        place += file.write(data)

    def add(number: int, entries: str, stream: bytes | None = None) -> None:
        offsets[number] = place
        write(f"{number} 0 obj\n<< {entries} >>\n".encode("ascii"))
        if stream is not None:
            write(b"stream\n" + stream + b"\nendstream\n")
        write(b"endobj\n")

    # four bytes above 127 tell file transfers that this is no text
    write(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    for page in pages:
        number = PAGES + 1 + 3 * len(kids)
        kids.append(number)
        width, height = (side * POINTS_PER_INCH / dpi for side in page.size)
        picture = jpeg_bytes(np.asarray(page), QUALITY)
        show = f"{width:.3f} 0 0 {height:.3f} 0 0 cm /Picture Do".encode("ascii")
        add(
            number,
            f"/Type /Page /Parent {PAGES} 0 R /MediaBox [0 0 {width:.3f} {height:.3f}] /Contents {number + 1} 0 R "
            f"/Resources << /XObject << /Picture {number + 2} 0 R >> >>",
        )
        add(number + 1, f"/Length {len(show)}", show)
        add(
            number + 2,
            f"/Type /XObject /Subtype /Image /Width {page.width} /Height {page.height} /ColorSpace /DeviceRGB "
            f"/BitsPerComponent 8 /Filter /DCTDecode /Length {len(picture)}",
            picture,
        )
    add(PAGES, f"/Type /Pages /Count {len(kids)} /Kids [{' '.join(f'{kid} 0 R' for kid in kids)}]")
    add(CATALOGUE, f"/Type /Catalog /Pages {PAGES} 0 R")
    table = place
    rows = "".join(f"{offsets[number]:010} 00000 n \n" for number in sorted(offsets))
    write(f"xref\n0 {len(offsets) + 1}\n0000000000 65535 f \n{rows}".encode("ascii"))
    write(f"trailer\n<< /Size {len(offsets) + 1} /Root {CATALOGUE} 0 R >>\nstartxref\n{table}\n%%EOF\n".encode("ascii"))
