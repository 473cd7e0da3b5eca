import io

import numpy as np
import pytest
from PIL import Image
from PIL.PdfParser import PdfParser

from hrlm.render.pdf import write_pdf


@pytest.mark.parametrize("count", [0, 1, 12])
def test_pages_are_found_at_their_size_with_their_picture(count: int) -> None:
    pages = [Image.new("RGB", (100 + i, 200), (20 * i, 0, 99)) for i in range(count)]
    file = io.BytesIO()
    write_pdf(file, iter(pages), dpi=144)
    # Pillow's own reader follows the table of offsets
    parser = PdfParser(buf=file.getvalue())
    assert len(parser.pages) == count
    for i, reference in enumerate(parser.pages):
        page = parser.read_indirect(reference)
        assert [float(side) for side in page[b"MediaBox"]] == [0, 0, (100 + i) / 2, 100]
        shown = parser.read_indirect(page[b"Contents"])
        assert shown.buf == f"{(100 + i) / 2:.3f} 0 0 100.000 0 0 cm /Picture Do".encode()
        picture = parser.read_indirect(page[b"Resources"][b"XObject"][b"Picture"])
        pixels = np.asarray(Image.open(io.BytesIO(picture.buf))).astype(int)
        assert pixels.shape == (200, 100 + i, 3)
        assert np.abs(pixels - (20 * i, 0, 99)).max() < 6
