from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from exchanged import FACE, read, result, written

from hrlm.formats.catalogue import FORMATS, write_run
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult
from hrlm.schemes import load_scheme


def test_dlib_counts_whole_pixels(tmp_path: Path) -> None:
    root = ElementTree.parse(written("dlib", tmp_path, result(FACE))).getroot()
    (image,) = root.findall("images/image")
    assert image.attrib == {"file": "sub/a.jpg", "width": "200", "height": "100"}
    (box,) = image.findall("box")
    # the box that covers all pixels of the photo
    assert box.attrib == {
        **{"top": "0", "left": "0", "width": "200", "height": "100"},
        **{"truncated": "1", "detection_score": "0.8750"},
    }
    assert [(p.get("name"), p.get("x"), p.get("y")) for p in box.findall("part")] == [
        ("00", "0", "0"),
        ("01", "199", "99"),
        ("02", "200", "100"),
    ]


def test_the_order_of_the_names_is_that_of_the_landmarks(tmp_path: Path) -> None:
    scheme = load_scheme("ibug68")
    points = np.arange(136.0).reshape(68, 2)
    face = Face(points, np.ones(68), (0, 0, 140, 140), 1.0)
    photo = PhotoResult(PhotoInfo("a.jpg", 200, 200), ModelInfo("m", "ibug68", "1"), (face,))
    write_run(FORMATS["dlib"], tmp_path / "dlib.xml", [photo], scheme)
    names = [p.get("name") for p in ElementTree.parse(tmp_path / "dlib.xml").iter("part")]
    assert names == sorted(names)
    assert len(names) == 68


def test_dlib_reads_it(tmp_path: Path) -> None:
    metadata = pytest.importorskip("dlib").image_dataset_metadata
    name = "sub/Ünï.jpg"
    data = metadata.load_image_dataset_metadata(
        str(written("dlib", tmp_path, result(FACE, FACE, path=name), result(path="none.jpg")))
    )
    first, second = data.images
    assert (first.filename, len(first.boxes), len(second.boxes)) == (name, 2, 0)
    box = first.boxes[0]
    assert (box.rect.left(), box.rect.top(), box.rect.right(), box.rect.bottom()) == (0, 0, 199, 99)
    assert (box.truncated, box.ignore, box.detection_score, box.label) == (True, False, 0.875, "face")
    assert [(n, p.x, p.y) for n, p in sorted(box.parts.items())] == [("00", 0, 0), ("01", 199, 99), ("02", 200, 100)]


# as imglab saves it: Latin 1 in word, UTF-8 in deed, and parts in the order of their names
IMGLAB = """<?xml version='1.0' encoding='ISO-8859-1'?>
<?xml-stylesheet type='text/xsl' href='image_metadata_stylesheet.xsl'?>
<dataset><name>imglab dataset</name><comment>Created by imglab tool.</comment><images>
  <image file='Zoë.jpg'>
    <box top='74' left='31' width='20' height='10' difficult='1'>
      <part name='00' x='32' y='80'/><part name='01' x='40' y='81'/><part name='third' x='45' y='82'/>
    </box>
    <box top='1' left='1' width='5' height='5' ignore='1'/>
    <box top='74' left='31' width='20' height='10' ignore='1'>
      <label>face</label><part name='2' x='3' y='3'/><part name='1' x='2' y='2'/><part name='0' x='1' y='1'/>
    </box>
  </image>
</images></dataset>"""


def test_what_imglab_writes_is_read(tmp_path: Path) -> None:
    (tmp_path / "dlib.xml").write_text(IMGLAB, encoding="utf-8")
    (back,) = read("dlib", tmp_path / "dlib.xml")
    assert back.photo == PhotoInfo("Zoë.jpg", 0, 0)
    first, second = back.faces
    assert first.box == (30.5, 73.5, 20, 10)
    np.testing.assert_array_equal(first.landmarks, [[32, 80], [40, 81], [45, 82]])
    np.testing.assert_array_equal(second.landmarks, [[1, 1], [2, 2], [3, 3]])
    assert (first.flags, second.flags, first.score) == (("difficult",), ("ignore",), 1.0)


def test_a_box_with_too_few_or_too_many_parts_is_told(tmp_path: Path) -> None:
    path = tmp_path / "dlib.xml"
    problems: list[str] = []
    path.write_text(IMGLAB.replace("name='third'", "name='03'").replace("name='0' ", "name='x' "), encoding="utf-8")
    (back,) = read("dlib", path, problems)
    assert back.faces == ()
    assert "face 1 has a part 03 where s ends at 2" in problems[0]
    assert "face 2 lacks the landmark first" in problems[1]
