"""XML files written and read one element at a time, so that a run of any length fits into memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

from hrlm.errors import FormatError
from hrlm.formats.values import unreadable


class Markup:
    """Writes XML in UTF-8 to a binary file, a line per element."""

    def __init__(self, file: BinaryIO) -> None:
        self._generator = XMLGenerator(file, "UTF-8", short_empty_elements=True)
        self._generator.startDocument()

    @contextlib.contextmanager
    def element(self, tag: str, /, **attributes: object) -> Iterator[None]:
        """An element around what is written in the block."""
        self._generator.startElement(tag, AttributesImpl({k: str(v) for k, v in attributes.items()}))
        self._generator.characters("\n")
        yield
        self._generator.endElement(tag)
        self._generator.characters("\n")

    def leaf(self, tag: str, text: str = "", /, **attributes: object) -> None:
        """An element with text only."""
        self._generator.startElement(tag, AttributesImpl({k: str(v) for k, v in attributes.items()}))
        if text:
            self._generator.characters(text)
        self._generator.endElement(tag)
        self._generator.characters("\n")


def elements(path: Path, root: str, tag: str) -> Iterator[ElementTree.Element]:
    """Every element `tag` of a file whose outermost element is `root`; each is let go once the next is asked for.

    Raises:
        FormatError: unreadable, no XML, or another outermost element.
    """
    try:
        with path.open("rb") as file:
            events = ElementTree.iterparse(file, ("start", "end"))
            open_elements: list[ElementTree.Element] = []
            for event, element in events:
                if event == "start":
                    if not open_elements and element.tag != root:
                        raise FormatError(
                            f"{path}: begins with <{element.tag}>, not <{root}>: is it of another format?"
                        )
                    open_elements.append(element)
                    continue
                open_elements.pop()
                if element.tag == tag and open_elements:
                    yield element
                    # what was read would hang on its parent, which would grow with the file
                    open_elements[-1].remove(element)
    except OSError as e:
        raise unreadable(path, e) from e
    # a ValueError for an encoding that nobody knows
    except (ElementTree.ParseError, ValueError) as e:
        raise FormatError(f"{path}: is not valid XML ({e}): export it again") from e


def attributes_of(element: ElementTree.Element) -> Mapping[str, str]:
    """The texts of the `<attribute name="…">` children by name."""
    return {a.get("name", ""): a.text or "" for a in element.findall("attribute")}
