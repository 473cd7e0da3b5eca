import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from exchanged import BOX, FACE, POINTS, SCHEME, read, result, written

from hrlm.errors import FormatError
from hrlm.formats.cvat import label_definition
from hrlm.schemes import load_scheme


def test_cvat_counts_from_the_corner(tmp_path: Path) -> None:
    root = ElementTree.parse(written("cvat", tmp_path, result(FACE), result(FACE, path="b.jpg"))).getroot()
    assert (root.tag, root.findtext("version")) == ("annotations", "1.1")
    first, second = root.findall("image")
    assert first.attrib == {"id": "0", "name": "sub/a.jpg", "width": "200", "height": "100"}
    (skeleton,), (box,) = first.findall("skeleton"), first.findall("box")
    assert [(p.get("label"), p.get("points"), p.get("outside")) for p in skeleton.findall("points")] == [
        ("first", "0.500,0.500", "0"),
        ("second", "199.500,99.500", "0"),
        ("third", "200.000,100.000", "0"),
    ]
    assert [box.get(k) for k in ("xtl", "ytl", "xbr", "ybr")] == ["0.000", "0.000", "200.000", "100.000"]
    assert skeleton.get("group_id") == box.get("group_id") == "1"
    assert second.find("skeleton").get("group_id") == "2"


def test_the_elements_are_those_that_cvat_reads(tmp_path: Path) -> None:
    root = ElementTree.parse(written("cvat", tmp_path, result(FACE))).getroot()
    image = root.find("image")
    for points in image.iterfind("skeleton/points"):
        # its loader asks for each of these
        assert {"label", "occluded", "outside", "points"} <= points.attrib.keys()
    assert {"label", "z_order"} <= image.find("skeleton").attrib.keys()
    labels = {e.findtext("name"): (e.findtext("type"), e.findtext("parent")) for e in root.iter("label")}
    assert labels == {
        "face": ("skeleton", None),
        **dict.fromkeys(SCHEME.landmarks, ("points", "face")),
        "face_box": ("rectangle", None),
    }


# what CVAT writes itself: two decimals, attributes of its own, points in another order
CORRECTED = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><job><id>1</id></job><dumped>2026-01-01</dumped></meta>
  <image id="0" name="sub/a.jpg" width="200" height="100">
    <skeleton label="face" source="manual" z_order="0">
      <points label="third" source="manual" outside="0" occluded="1" points="200.00,100.00"></points>
      <points label="first" source="manual" outside="0" occluded="0" points="0.50,0.50">
        <attribute name="deviation">0.5</attribute></points>
      <points label="second" source="manual" outside="{outside}" occluded="0" points="199.50,99.50"></points>
      <attribute name="score">0.875</attribute><attribute name="flags">cut small</attribute>
    </skeleton>
    <box label="face_box" source="manual" occluded="0" xtl="1" ytl="1" xbr="2" ybr="2" z_order="0"></box>
    <tag label="good" source="manual"></tag>
    <points label="face" source="manual" occluded="0" points="0.50,0.50;199.50,99.50;200.00,100.00"></points>
    <points label="mole" source="manual" occluded="0" points="7,7"></points>
  </image>
</annotations>"""


def test_what_cvat_writes_is_read(tmp_path: Path) -> None:
    (tmp_path / "cvat.xml").write_text(CORRECTED.format(outside=0))
    (back,) = read("cvat", tmp_path / "cvat.xml")
    skeleton, plain = back.faces
    np.testing.assert_array_equal(skeleton.landmarks, POINTS)
    np.testing.assert_array_equal(plain.landmarks, POINTS)
    np.testing.assert_array_equal(skeleton.deviation, [0.5, np.nan, np.nan])
    assert (skeleton.score, skeleton.flags) == (0.875, ("cut", "small"))
    # plain points are occluded all or none, which tells nothing of each
    assert (skeleton.visibility, plain.visibility) == ({0: True, 1: True, 2: False}, {})
    # boxes of no group belong to nobody
    assert skeleton.box == (0.0, 0.0, 199.5, 99.5)


def test_a_point_marked_outside_is_not_set(tmp_path: Path) -> None:
    (tmp_path / "cvat.xml").write_text(CORRECTED.format(outside=1))
    problems: list[str] = []
    (back,) = read("cvat", tmp_path / "cvat.xml", problems)
    assert len(back.faces) == 1
    assert "sub/a.jpg: face 1 lacks the landmark second" in problems[0]


def test_an_invisible_landmark_is_occluded(tmp_path: Path) -> None:
    path = written("cvat", tmp_path, result(replace(FACE, visibility={0: True, 1: False})))
    points = ElementTree.parse(path).getroot().findall("image/skeleton/points")
    assert [(p.get("occluded"), p.get("outside")) for p in points] == [("0", "0"), ("1", "0"), ("0", "0")]
    assert read("cvat", path)[0].faces[0].visibility == {0: True, 1: False, 2: True}
    path.write_text(path.read_text().replace(' occluded="1"', ""))
    assert read("cvat", path)[0].faces[0].visibility == {0: True, 2: True}


def test_the_box_of_the_group(tmp_path: Path) -> None:
    (back,) = read("cvat", written("cvat", tmp_path, result(FACE)))
    assert back.faces[0].box == BOX


def test_an_image_without_a_size(tmp_path: Path) -> None:
    (tmp_path / "cvat.xml").write_text('<annotations><image name="a"/></annotations>')
    with pytest.raises(FormatError, match="lacks name, width or height"):
        read("cvat", tmp_path / "cvat.xml")


def test_the_label_definition() -> None:
    scheme = load_scheme("ibug68")
    face, box = json.loads(label_definition(scheme))
    assert (face["name"], face["type"], box["type"]) == ("face", "skeleton", "rectangle")
    assert [s["name"] for s in face["sublabels"]] == list(scheme.landmarks)
    drawing = ElementTree.fromstring(f"<svg>{face['svg']}</svg>")
    circles, lines = drawing.findall("circle"), drawing.findall("line")
    assert [c.get("data-label-name") for c in circles] == list(scheme.landmarks)
    assert [c.get("data-element-id") for c in circles] == [str(i) for i in range(1, 69)]
    nodes = {c.get("data-node-id"): (c.get("cx"), c.get("cy")) for c in circles}
    assert all((e.get("x1"), e.get("y1")) == nodes[e.get("data-node-from")] for e in lines)
    assert all((e.get("x2"), e.get("y2")) == nodes[e.get("data-node-to")] for e in lines)
