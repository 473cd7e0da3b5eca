import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hrlm.errors import FormatError
from hrlm.formats.catalogue import FORMATS, read_any, write_photo
from hrlm.formats.xmp import stored_area
from hrlm.photos import open_photo
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult
from hrlm.schemes import parse_scheme

XMP = FORMATS["xmp"]
SCHEME = parse_scheme("{name: s, landmarks: [a, b], regions: {r: {landmarks: [0-1]}}, normaliser: [0, 1]}")
# the picture as a person sees it, and in it the pixels that a face's box covers exactly
WIDTH, HEIGHT = 96, 64
LEFT, TOP, RIGHT, BOTTOM = 48, 8, 72, 40
BOX = (LEFT - 0.5, TOP - 0.5, float(RIGHT - LEFT), float(BOTTOM - TOP))
# what takes the stored picture to the one that is seen, by EXIF orientation
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
UNDO = TURNS | {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def face(box: tuple[float, float, float, float] = BOX) -> Face:
    x, y, width, height = box
    points = np.array([[x + width / 3, y + height / 2], [x + width / 2, y + height / 3]]).round(3)
    return Face(points, np.array([0.5, 0.25]), box, 0.9)


def result(*faces: Face, orientation: int = 1) -> PhotoResult:
    return PhotoResult(PhotoInfo("a.jpg", WIDTH, HEIGHT, orientation), ModelInfo("m", "s", "1"), faces)


def read(path: Path) -> PhotoResult:
    (back,) = read_any(XMP, path, SCHEME)
    return back


def exiftool(*arguments: str | Path) -> str:
    program = shutil.which("exiftool")
    if program is None:
        pytest.skip("exiftool is not installed (Debian: libimage-exiftool-perl)")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr.lower()
    return done.stdout


def said(*arguments: str | Path) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = json.loads(exiftool("-json", "-struct", "-n", *arguments))
    return answer


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_area_lies_in_the_stored_picture(orientation: int) -> None:
    seen = np.zeros((HEIGHT, WIDTH), np.uint8)
    seen[TOP:BOTTOM, LEFT:RIGHT] = 255
    image = Image.fromarray(seen)
    stored = np.asarray(image.transpose(UNDO[orientation]) if orientation in UNDO else image)
    height, width = stored.shape
    rows, columns = np.nonzero(stored)
    expected = columns.min() / width, rows.min() / height, np.ptp(columns) + 1, np.ptp(rows) + 1
    x, y, w, h = stored_area(BOX, PhotoInfo("a.jpg", WIDTH, HEIGHT, orientation))
    assert (x, y, w * width, h * height) == pytest.approx(expected)


def test_exiftool_finds_the_face_in_photos_of_every_orientation(tmp_path: Path) -> None:
    seen = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    seen[TOP:BOTTOM, LEFT:RIGHT] = 220
    for orientation in range(1, 9):
        image = Image.fromarray(seen)
        stored = image.transpose(UNDO[orientation]) if orientation in UNDO else image
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored.save(tmp_path / f"{orientation}.jpg", quality=95, subsampling=0, exif=exif)
        write_photo(XMP, tmp_path / f"{orientation}.xmp", result(face(), orientation=orientation), SCHEME)
    exiftool("-q", "-overwrite_original", "-tagsfromfile", "%d%f.xmp", "-xmp", "-ext", "jpg", tmp_path)
    photos = said("-ext", "jpg", "-RegionInfo", "-Orientation", "-ImageSize", tmp_path)
    assert sorted(p["Orientation"] for p in photos) == list(range(1, 9))
    for photo in photos:
        stored = np.asarray(Image.open(photo["SourceFile"]).convert("L"))
        height, width = stored.shape
        applied = photo["RegionInfo"]["AppliedToDimensions"]
        assert applied == {"W": width, "H": height, "Unit": "pixel"}
        (region,) = photo["RegionInfo"]["RegionList"]
        assert region["Type"] == "Face"
        area = region["Area"]
        assert area["Unit"] == "normalized"
        low = [(area["X"] - area["W"] / 2) * width, (area["Y"] - area["H"] / 2) * height]
        high = [low[0] + area["W"] * width, low[1] + area["H"] * height]
        left, top, right, bottom = (round(v) for v in (*low, *high))
        inside = np.zeros(stored.shape, bool)
        inside[top:bottom, left:right] = True
        assert stored[inside].min() > 180
        assert stored[~inside].max() < 80
        # and the same photo as hrlm itself sees it
        upright = open_photo(photo["SourceFile"])
        assert upright.orientation == photo["Orientation"]
        assert upright.pixels[TOP:BOTTOM, LEFT:RIGHT].min() > 180


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_is_written_is_read(tmp_path: Path, orientation: int) -> None:
    write_photo(XMP, tmp_path / "a.xmp", result(face(), orientation=orientation), SCHEME)
    back = read(tmp_path / "a.xmp")
    assert back.photo.orientation == orientation
    np.testing.assert_allclose(back.faces[0].box, BOX, atol=1e-5)
    np.testing.assert_allclose(back.faces[0].landmarks, face().landmarks)


# a sidecar as Lightroom writes it: short forms, a caption, develop settings, a named face where ours is, and another
LIGHTROOM = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<!-- kept -->
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"
    xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
    xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#" xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#"
    xmp:Rating="5" xmp:Label="Zoë &amp; &quot;Co&quot;" crs:Look="one&#10;two&#9;three">
   <dc:subject><rdf:Bag><rdf:li>wedding</rdf:li><rdf:li>été</rdf:li></rdf:Bag></dc:subject>
   <mwg-rs:Regions rdf:parseType="Resource">
    <mwg-rs:AppliedToDimensions stDim:w="{WIDTH * 2}" stDim:h="{HEIGHT * 2}" stDim:unit="pixel"/>
    <mwg-rs:RegionList>
     <rdf:Bag>
      <rdf:li><rdf:Description mwg-rs:Name="Zoë" mwg-rs:Type="Face">
        <mwg-rs:Area stArea:x="0.62" stArea:y="0.37" stArea:w="0.26" stArea:h="0.5" stArea:unit="normalized"/>
      </rdf:Description></rdf:li>
      <rdf:li><rdf:Description mwg-rs:Type="Face">
        <mwg-rs:Area stArea:x="0.1" stArea:y="0.1" stArea:w="0.1" stArea:h="0.1" stArea:unit="normalized"/>
      </rdf:Description></rdf:li>
     </rdf:Bag>
    </mwg-rs:RegionList>
   </mwg-rs:Regions>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


def test_what_a_sidecar_held_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.xmp"
    path.write_text(LIGHTROOM, encoding="utf-8")
    other = face((2.0, 40.0, 20.0, 20.0))
    # several runs leave what one leaves
    for _ in range(3):
        write_photo(XMP, path, result(face(), other), SCHEME)
    text = path.read_text(encoding="utf-8")
    for kept in (
        "<?xpacket begin",
        "<!-- kept -->",
        'xmp:Rating="5"',
        "one&#10;two&#9;three",
        "été",
        '<?xpacket end="w"?>',
    ):
        assert kept in text
    back = read(path)
    # the named region keeps its area, which is now the face's box
    np.testing.assert_allclose(back.faces[0].box, (0.49 * 96 - 0.5, 0.12 * 64 - 0.5, 0.26 * 96, 0.5 * 64), atol=1e-5)
    np.testing.assert_allclose(back.faces[0].landmarks, face().landmarks)
    np.testing.assert_allclose(back.faces[1].box, other.box, atol=1e-5)
    (photo,) = said("-XMP:all", path)
    assert (photo["Rating"], photo["Label"], photo["Look"]) == (5, 'Zoë & "Co"', "one\ntwo\tthree")
    assert photo["Subject"] == ["wedding", "été"]
    assert photo["RegionInfo"]["AppliedToDimensions"] == {"W": WIDTH, "H": HEIGHT, "Unit": "pixel"}
    regions = photo["RegionInfo"]["RegionList"]
    assert [r.get("Name") for r in regions] == ["Zoë", None, None]
    assert regions[1]["Area"]["X"] == 0.1


@pytest.mark.parametrize("content", [None, LIGHTROOM])
def test_the_same_again_gives_the_same_bytes(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "a.xmp"
    if content:
        path.write_text(content, encoding="utf-8")
    same = result(face(), face((2.0, 40.0, 20.0, 20.0)), orientation=6)
    write_photo(XMP, path, same, SCHEME)
    once = path.read_bytes()
    write_photo(XMP, path, same, SCHEME)
    assert path.read_bytes() == once


def test_regions_of_an_earlier_run_go_unless_someone_named_them(tmp_path: Path) -> None:
    path = tmp_path / "a.xmp"
    one, two, three = (face((x, 4.0, 20.0, 20.0)) for x in (2.0, 30.0, 60.0))
    write_photo(XMP, path, result(one, two, three), SCHEME)
    text = path.read_text()
    named = "<mwg-rs:Name>Ann</mwg-rs:Name>"
    # the second region gets a name, as a photo manager would give it
    first, second, third, rest = text.split("<mwg-rs:Type>Face</mwg-rs:Type>")
    path.write_text("<mwg-rs:Type>Face</mwg-rs:Type>".join([first, second, named + third, rest]))
    moved = face((3.0, 5.0, 20.0, 20.0))
    write_photo(XMP, path, result(moved), SCHEME)
    assert [f.box for f in read(path).faces] == [pytest.approx(moved.box, abs=1e-5)]
    assert path.read_text().count("<mwg-rs:Area ") == 2
    assert named in path.read_text()
    write_photo(XMP, path, result(), SCHEME)
    assert read(path).faces == ()
    assert path.read_text().count("<mwg-rs:Area ") == 1


def test_a_sidecar_that_cannot_be_read_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.xmp"
    for content in (b"<x:xmpmeta", b"<a/>", b"", b"\xff\xfe\x00"):
        path.write_bytes(content)
        with pytest.raises(FormatError, match=r"a\.xmp.*move it away"):
            write_photo(XMP, path, result(face()), SCHEME)
        assert path.read_bytes() == content


def test_other_tools_regions_are_no_faces(tmp_path: Path) -> None:
    path = tmp_path / "b.xmp"
    path.write_text(LIGHTROOM, encoding="utf-8")
    back = read(path)
    assert (back.photo, back.faces) == (PhotoInfo("b", 0, 0), ())


def test_a_photo_of_unknown_size(tmp_path: Path) -> None:
    unknown = PhotoResult(PhotoInfo("a.jpg", 0, 0), ModelInfo("m", "s", "1"), (face(),))
    with pytest.raises(FormatError, match="size is not known"):
        write_photo(XMP, tmp_path / "a.xmp", unknown, SCHEME)
