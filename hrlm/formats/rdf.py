"""RDF in XML as XMP files hold it: fields found in any of its spellings, elements added and all else left as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.dom import XMLNS_NAMESPACE, minidom
from xml.dom.minidom import Document, Element, Node
from xml.parsers.expat import ExpatError

from hrlm.errors import FormatError
from hrlm.formats.values import unreadable

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
REGIONS = "http://www.metadataworkinggroup.com/schemas/regions/"
AREA = "http://ns.adobe.com/xmp/sType/Area#"
DIMENSIONS = "http://ns.adobe.com/xap/1.0/sType/Dimensions#"
HRLM = "urn:hrlm:landmarks:1#"
# the prefixes that texts to be grafted are written with
PREFIXES = {"rdf": RDF, "mwg-rs": REGIONS, "stArea": AREA, "stDim": DIMENSIONS, "hrlm": HRLM}


def parse(path: Path) -> Document:
    """A file's document.

    Raises:
        FormatError: unreadable or no XML.
    """
    try:
        return minidom.parseString(path.read_bytes())
    except OSError as e:
        raise unreadable(path, e) from e
    except (ExpatError, ValueError) as e:
        raise FormatError(f"{path}: is not a valid XMP file ({e}): mend it or move it away") from e


def serialised(document: Document) -> bytes:
    """The document's text, which gives the same text when it is parsed and serialised again.

    Line ends and tabs that stand for themselves stay, which minidom alone would lose.
    """
    # an attribute's place depends on when it was set: parsing puts all in their own order
    return _text(minidom.parseString(_text(document)))


def _text(document: Document) -> bytes:
    # characters that XML allows and that no text has use for stand in for them until the text is made
    marks = {"\t": "\ufdd0", "\n": "\ufdd1", "\r": "\ufdd2"}
    for element in document.getElementsByTagName("*"):
        for attribute in element.attributes.values():
            for character, mark in marks.items():
                attribute.value = attribute.value.replace(character, mark)
        for child in element.childNodes:
            if child.nodeType == child.TEXT_NODE:
                child.data = child.data.replace("\r", marks["\r"])
    # without an XML declaration, which would stand before the packet
    text = "\n".join(node.toxml() for node in document.childNodes)
    for character, mark in marks.items():
        text = text.replace(mark, f"&#{ord(character)};")
    return text.encode()


def first(node: Document | Element, namespace: str, name: str) -> Element | None:
    """The first element of a name at any depth."""
    found = node.getElementsByTagNameNS(namespace, name)
    return found[0] if found else None


def children(node: Element, namespace: str, name: str) -> list[Element]:
    """The elements of a name directly below `node`."""
    return [n for n in node.childNodes if isinstance(n, Element) and (n.namespaceURI, n.localName) == (namespace, name)]


def inner(node: Element) -> Element:
    """Where a structure's fields stand: in the element itself, or in an `rdf:Description` within it."""
    nested = children(node, RDF, "Description")
    return nested[0] if nested else node


def value(node: Element, namespace: str, name: str) -> str | None:
    """A field's text, whether it is written as an attribute or as an element."""
    struct = inner(node)
    if struct.hasAttributeNS(namespace, name):
        return struct.getAttributeNS(namespace, name)
    for child in children(struct, namespace, name):
        return "".join(n.data for n in child.childNodes if n.nodeType in (n.TEXT_NODE, n.CDATA_SECTION_NODE))
    return None


def graft(parent: Element, text: str) -> None:
    """Append the element that `text` writes with our prefixes; it declares those that are not declared around it."""
    declared = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in PREFIXES.items())
    around = minidom.parseString(f"<graft {declared}>{text}</graft>".encode()).getElementsByTagName("graft")[0]
    element = around.childNodes[0]
    assert isinstance(element, Element)
    for prefix, uri in PREFIXES.items():
        if f"{prefix}:" in text and _bound(parent, prefix) != uri:
            element.setAttributeNS(XMLNS_NAMESPACE, f"xmlns:{prefix}", uri)
    parent.appendChild(element)


def put(parent: Element, old: Sequence[Element], text: str) -> None:
    """Graft what `text` writes in the place of `old`, so that writing the same again gives the same bytes."""
    if not old:
        graft(parent, text)
        return
    place = old[0].parentNode
    assert isinstance(place, Element)
    graft(place, text)
    place.replaceChild(place.childNodes[-1], old[0])
    for stale in old[1:]:
        remove(stale)


def remove(node: Element) -> None:
    """Take an element out of its document."""
    if node.parentNode is not None:
        node.parentNode.removeChild(node)


def _bound(node: Node | None, prefix: str) -> str | None:
    """What a prefix stands for at a node."""
    while isinstance(node, Element):
        if node.hasAttributeNS(XMLNS_NAMESPACE, prefix):
            return node.getAttributeNS(XMLNS_NAMESPACE, prefix)
        node = node.parentNode
    return None
