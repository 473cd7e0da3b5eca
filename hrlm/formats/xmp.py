"""XMP sidecars with the face regions of the Metadata Working Group, which Lightroom, digiKam and exiftool read.

A region's area is normalised, given by its centre, and lies in the picture **as it is stored**, before EXIF
orientation turns it; so are the dimensions that it applies to. What other tools do not know stands in hrlm's own
namespace: in each region's `Extensions` the `Landmarks` (`x,y` in upright photo pixels, 0-based, separated by spaces),
`Deviation` (`nan` where not known), `Score`, `Flags`, and `Added` where the region itself is hrlm's; beside the regions
`Photo` with `Path`, `Width`, `Height` and `Orientation`.

A sidecar that is already there is added to: all that it holds stays, ratings and named regions too. Where a region
overlaps a face by half or more it becomes that face's, with its name, and with its area unless hrlm added it; unnamed
regions that hrlm added in an earlier run and that no face has now go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from xml.dom import minidom
from xml.dom.minidom import Document, Element
from xml.sax.saxutils import escape

import numpy as np

from hrlm.errors import FormatError
from hrlm.formats import rdf
from hrlm.formats.atomic import write_whole
from hrlm.formats.rdf import AREA, HRLM, RDF, REGIONS
from hrlm.formats.values import Told, centre_box, edge_box, face_of, faces_of, imported, writable
from hrlm.results import Box, Face, PhotoInfo, PhotoResult
from hrlm.schemes import Scheme

# the instructions around it let exiftool copy it into a photo as it is
_EMPTY = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{RDF}">
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>""".encode()
# intersection over union from which a region and a face are the same
SAME = 0.5

# from the upright unit square to the stored one, by EXIF orientation
_STORED: Mapping[int, Callable[[float, float], tuple[float, float]]] = {
    1: lambda x, y: (x, y),
    2: lambda x, y: (1 - x, y),
    3: lambda x, y: (1 - x, 1 - y),
    4: lambda x, y: (x, 1 - y),
    5: lambda x, y: (y, x),
    6: lambda x, y: (y, 1 - x),
    7: lambda x, y: (1 - y, 1 - x),
    8: lambda x, y: (1 - y, x),
}
# the orientation that undoes another
_UNDOES = {6: 8, 8: 6}


def write_photo(path: Path, result: PhotoResult, scheme: Scheme, photo_file: Path | None = None) -> None:
    """Write a photo's sidecar, or add to the one that is there.

    Raises:
        WriteError: the folder or the file cannot be written.
        FormatError: the sidecar that is there cannot be read, so it stays as it is; or the photo's size is not known.
    """
    info = result.photo
    if not (info.width > 0 and info.height > 0):
        raise FormatError(f"{info.path}: its size is not known, which face regions need: detect it again")
    document = rdf.parse(path) if path.exists() else minidom.parseString(_EMPTY)
    root = rdf.first(document, RDF, "RDF")
    if root is None:
        raise FormatError(f"{path}: holds no XMP, so nothing can be added: move it away")
    _update_regions(document, root, result)
    rdf.put(_description(root), document.getElementsByTagNameNS(HRLM, "Photo"), _photo_text(info))
    write_whole(path, rdf.serialised(document))


def read_results(path: Path, scheme: Scheme, told: Told) -> Iterator[PhotoResult]:
    """The photo of a sidecar with the faces that have landmarks; regions without are passed over.

    Raises:
        FormatError: unreadable or no XMP.
    """
    document = rdf.parse(path)
    if rdf.first(document, RDF, "RDF") is None:
        raise FormatError(f"{path}: holds no XMP: give a sidecar that hrlm wrote")
    try:
        info = _photo(document, path)
    except ValueError as e:
        raise FormatError(f"{path}: its hrlm:Photo cannot be read ({e}): write it again") from e
    entries = [li for li in _items(document) if _extension(li, "Landmarks")]
    faces = faces_of(entries, lambda li: _face(li, info, scheme), str(path), told)
    yield imported("xmp", scheme, info, faces)


def stored_area(box: Box, info: PhotoInfo) -> Box:
    """A box in upright photo pixels as x, y, width, height in units of the stored picture, from its corner."""
    return _turned(edge_box(box) / np.tile([info.width, info.height], 2), info.orientation)


def _update_regions(document: Document, root: Element, result: PhotoResult) -> None:
    # not above: who reads sidecars or lists formats should not wait for torch
    from hrlm.geometry import box_overlap

    info = result.photo
    free = [li for li in _items(document) if (rdf.value(li, REGIONS, "Type") or "Face") == "Face"]
    new: list[str] = []
    for face in result.faces:
        area = stored_area(face.box, info)
        overlaps = [box_overlap(area, _area(li) or (0, 0, 0, 0)) for li in free]
        best = int(np.argmax(overlaps)) if overlaps else -1
        if best < 0 or overlaps[best] < SAME:
            new.append(_region_text(area, face))
            continue
        li = free.pop(best)
        added = _extension(li, "Added") is not None
        if added:
            rdf.put(rdf.inner(li), rdf.children(rdf.inner(li), REGIONS, "Area"), _area_text(area))
        _extend(li, _extension_texts(face, added))
    for li in free:
        if _extension(li, "Added") and not rdf.value(li, REGIONS, "Name"):
            rdf.remove(li)
        elif _extension(li, "Landmarks"):
            _extend(li, [])
    regions = rdf.first(document, REGIONS, "Regions")
    if regions is None:
        if new:
            rdf.graft(_description(root), _regions_text(info, new))
        return
    _into(document, regions, info, new)


def _into(document: Document, regions: Element, info: PhotoInfo, new: Sequence[str]) -> None:
    """Add regions to a file that has some; the dimensions become those of the photo as it is."""
    inner = rdf.inner(regions)
    rdf.put(inner, rdf.children(inner, REGIONS, "AppliedToDimensions"), _dimensions_text(info))
    bag = rdf.first(regions, RDF, "Bag") or rdf.first(regions, RDF, "Seq")
    if bag is None:
        rdf.graft(inner, _list_text(new))
        return
    for text in new:
        rdf.graft(bag, text)


def _extend(li: Element, texts: Sequence[str]) -> None:
    """Replace what hrlm has said of a region; extensions of others stay."""
    extensions = rdf.children(rdf.inner(li), REGIONS, "Extensions")
    if not extensions:
        rdf.graft(rdf.inner(li), _struct("mwg-rs:Extensions", texts))
        return
    inner = rdf.inner(extensions[0])
    for child in list(inner.childNodes):
        if child.namespaceURI == HRLM:
            inner.removeChild(child)
    for key in [k for k in inner.attributes.keysNS() if k[0] == HRLM]:
        inner.removeAttributeNS(*key)
    for text in texts:
        rdf.graft(inner, text)


# --- texts ----------------------------------------------------------------------------------------------------------


def _simple(prefix: str, values: Mapping[str, object]) -> list[str]:
    return [f"<{prefix}:{k}>{escape(str(v))}</{prefix}:{k}>" for k, v in values.items()]


def _struct(tag: str, parts: Sequence[str]) -> str:
    return f'<{tag} rdf:parseType="Resource">{"".join(parts)}</{tag}>'


def _regions_text(info: PhotoInfo, new: Sequence[str]) -> str:
    return _struct("mwg-rs:Regions", [_dimensions_text(info), _list_text(new)])


def _list_text(new: Sequence[str]) -> str:
    return f"<mwg-rs:RegionList><rdf:Bag>{''.join(new)}</rdf:Bag></mwg-rs:RegionList>"


def _dimensions_text(info: PhotoInfo) -> str:
    turned = info.orientation >= 5
    width, height = (info.height, info.width) if turned else (info.width, info.height)
    return _struct("mwg-rs:AppliedToDimensions", _simple("stDim", {"w": width, "h": height, "unit": "pixel"}))


def _region_text(area: Box, face: Face) -> str:
    kind = _simple("mwg-rs", {"Type": "Face"})
    extensions = _struct("mwg-rs:Extensions", _extension_texts(face, added=True))
    return _struct("rdf:li", [_area_text(area), *kind, extensions])


def _area_text(area: Box) -> str:
    x, y, width, height = area
    numbers = {"x": x + width / 2, "y": y + height / 2, "w": width, "h": height}
    texts = {k: f"{v:.9f}" for k, v in numbers.items()}
    return _struct("mwg-rs:Area", _simple("stArea", texts | {"unit": "normalized"}))


def _extension_texts(face: Face, added: bool) -> list[str]:
    values = {
        "Landmarks": " ".join(f"{x:.3f},{y:.3f}" for x, y in (face.landmarks + 0.0).tolist()),
        "Deviation": " ".join(f"{d:.3f}" for d in face.deviation.tolist()),
        "Score": f"{face.score:.4f}",
        "Flags": writable(" ".join(face.flags)),
    }
    return _simple("hrlm", values | ({"Added": "True"} if added else {}))


def _photo_text(info: PhotoInfo) -> str:
    path = writable(info.path)
    values = {"Path": path, "Width": info.width, "Height": info.height, "Orientation": info.orientation}
    return _struct("hrlm:Photo", _simple("hrlm", values))


# --- the document ---------------------------------------------------------------------------------------------------


def _description(root: Element) -> Element:
    """Where hrlm's properties go: the first description of the photo, made where there is none."""
    if not rdf.children(root, RDF, "Description"):
        rdf.graft(root, '<rdf:Description rdf:about=""/>')
    return rdf.children(root, RDF, "Description")[0]


def _items(document: Document) -> list[Element]:
    return [
        li
        for regions in document.getElementsByTagNameNS(REGIONS, "RegionList")
        for bag in (*rdf.children(regions, RDF, "Bag"), *rdf.children(regions, RDF, "Seq"))
        for li in rdf.children(bag, RDF, "li")
    ]


def _extension(li: Element, name: str) -> str | None:
    extensions = rdf.children(rdf.inner(li), REGIONS, "Extensions")
    return rdf.value(extensions[0], HRLM, name) if extensions else None


def _area(li: Element) -> Box | None:
    """A region's area as x, y, width, height in units of the stored picture; None where it has none."""
    areas = rdf.children(rdf.inner(li), REGIONS, "Area")
    try:
        x, y, width, height = (float(rdf.value(areas[0], AREA, k) or "") for k in ("x", "y", "w", "h"))
    except (IndexError, ValueError):
        return None
    return x - width / 2, y - height / 2, width, height


def _photo(document: Document, path: Path) -> PhotoInfo:
    photo = rdf.first(document, HRLM, "Photo")
    if photo is None:
        return PhotoInfo(path.stem, 0, 0)
    width, height, orientation = (int(rdf.value(photo, HRLM, k) or "") for k in ("Width", "Height", "Orientation"))
    if orientation not in _STORED or width < 1 or height < 1:
        raise ValueError(f"{width} x {height}, orientation {orientation}")
    return PhotoInfo(rdf.value(photo, HRLM, "Path") or path.stem, width, height, orientation)


def _face(li: Element, info: PhotoInfo, scheme: Scheme) -> Face:
    pairs = (_extension(li, "Landmarks") or "").split()
    landmarks = np.array([[float(v) for v in pair.split(",")] for pair in pairs])
    if len(landmarks) != len(scheme):
        raise FormatError(f"has {len(landmarks)} landmarks where {scheme.name} has {len(scheme)}: detect it again")
    deviation = [float(v) for v in (_extension(li, "Deviation") or "").split()] or None
    score = _extension(li, "Score")
    area = _area(li)
    box = None
    if area is not None and info.width:
        upright = _turned(np.array(area), _UNDOES.get(info.orientation, info.orientation))
        box = centre_box((np.array(upright) * np.tile([info.width, info.height], 2)).tolist())
    flags = (_extension(li, "Flags") or "").split()
    return face_of(landmarks, deviation, box, float(score) if score else None, flags)


def _turned(area: np.ndarray, orientation: int) -> Box:
    x, y, width, height = area.tolist()
    (left, top), (right, bottom) = (_STORED[orientation](*corner) for corner in ((x, y), (x + width, y + height)))
    return min(left, right), min(top, bottom), abs(right - left), abs(bottom - top)
