"""Which pictures are made of a photo's result, and where they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath

import numpy as np

from hrlm.anatomy import face_lines
from hrlm.errors import HrlmError
from hrlm.evaluation.data import inside
from hrlm.formats import json as result_json
from hrlm.formats import pts
from hrlm.formats.atomic import write_whole
from hrlm.formats.corrections import MARK as CORRECTED
from hrlm.photos import Photo
from hrlm.photos.folders import OVERLAY_MARK, THUMBNAILS
from hrlm.photos.written import Metadata, jpeg_bytes, png_bytes, read_metadata
from hrlm.render.closeups import draw_closeups
from hrlm.render.comparison import draw_comparison
from hrlm.render.crops import cut, ffhq_crop, upright_crop
from hrlm.render.masks import draw_mask, region_names
from hrlm.render.overlay import Look, draw_faces
from hrlm.render.sheet import draw_thumbnail
from hrlm.results import Face, PhotoInfo, PhotoResult
from hrlm.runs.sinks import with_suffix
from hrlm.schemes import Scheme

Draw = Callable[[np.ndarray], np.ndarray]

THUMBNAIL_QUALITY = 88


@dataclass(frozen=True)
class Wanted:
    """What is made of every result.

    Args:
        overlay, closeups, masks, crops: pictures beside each other, `NAME.overlay.jpg` and so on.
        compare: a folder of results or `.pts` files to compare with.
        sheet: `pdf`, `jpeg` or empty for none.
        sort: order on the sheet: `worst` or `best` first, or by `name`.
        measures: a table, `measures.csv`.
        png, quality: how pictures are written; masks are always PNG.
        overwrite: make again what is newer than its result.
    """

    look: Look = Look()  # noqa: RUF009
    overlay: bool = True
    closeups: bool = False
    masks: bool = False
    crops: bool = False
    compare: Path | None = None
    sheet: str = ""
    sort: str = "worst"
    measures: bool = False
    png: bool = False
    quality: int = 92
    overwrite: bool = False


@dataclass(frozen=True)
class Plan:
    """Pictures to be made.

    Args:
        pictures: what draws each, by file.
        thumbnail: that of the contact sheet, if one is wanted.
        lacking: why no comparison is among them, where one is wanted.
    """

    pictures: Mapping[Path, Draw]
    thumbnail: Path | None
    lacking: str = ""


def plan(
    out: Path,
    name: PurePath,
    file: Path,
    result: PhotoResult,
    scheme: Scheme,
    wanted: Wanted,
    since: int | None = None,
    predicted: PhotoResult | None = None,
) -> Plan:
    """What is to be drawn for a photo.

    Args:
        out, name: the output folder and the result's path below it, without suffix.
        file: of the result.
        predicted: what comparisons compare, where `result` was corrected since.
        since: time of the result file in nanoseconds; pictures that are newer are left out. None to draw all.
    """
    path, lacking = out / name, ""
    pictures = dict(_pictures(path, result, scheme, wanted))
    if wanted.compare is not None:
        try:
            files = compared_files(wanted.compare, name, file, result.photo)
            others = [points for other in files for points in _landmarks(other)]
            since = since and max(since, *(other.stat().st_mtime_ns for other in files))
        except HrlmError as e:
            lacking = str(e)
        else:
            pictures[with_suffix(path, f".compare{_ending(wanted)}")] = partial(
                draw_comparison, faces=(predicted or result).faces, others=others, scheme=scheme
            )
    thumbnail = None
    if wanted.sheet:
        thumbnail = with_suffix(out / THUMBNAILS / name, ".jpg")
        pictures[thumbnail] = partial(draw_thumbnail, faces=result.faces, scheme=scheme, look=wanted.look)
    if since is not None and not wanted.overwrite:
        pictures = {made: draw for made, draw in pictures.items() if not _newer(made, since)}
    return Plan(pictures, thumbnail, lacking)


def write_pictures(plan: Plan, photo: Photo, wanted: Wanted) -> None:
    """Draw and write a photo's pictures, one at a time.

    Raises:
        WriteError: the folder or a file cannot be written.
        HrlmError: the result does not fit the scheme, or a picture not the format.
    """
    metadata = read_metadata(photo.path) if photo.path else Metadata()
    for file, draw in plan.pictures.items():
        drawn = draw(photo.pixels)
        if file == plan.thumbnail:
            data = jpeg_bytes(drawn, THUMBNAIL_QUALITY)
        elif drawn.ndim == 2:
            data = png_bytes(drawn)
        else:
            data = png_bytes(drawn, metadata) if wanted.png else jpeg_bytes(drawn, wanted.quality, metadata)
        write_whole(file, data)


def compared_files(folder: Path, name: PurePath, file: Path, info: PhotoInfo) -> list[Path]:
    """The files below `folder` that hold the other landmarks of a photo, whose result is `file`: corrected ones, a
    result, or `.pts`.

    Raises:
        HrlmError: there are none.
    """
    stated = inside(info.path)
    for stem in (folder / name, folder / stated.with_suffix(""), folder / stated.stem):
        if corrected := _pts_files(with_suffix(stem, CORRECTED)):
            return corrected
        result = with_suffix(stem, ".json")
        if result_json.looks_like_result(result):
            return [result]
        if files := [p for p in _pts_files(stem) if not _is_anothers(p, stem, file)]:
            return files
    raise HrlmError(f"{info.path}: nothing to compare with: put {stem.name}.json or {stem.name}.pts into {folder}")


def _pts_files(stem: Path) -> list[Path]:
    """`NAME.pts`, then `NAME_1.pts`, `NAME_2.pts` … as far as they go; the first two may be missing."""
    found = [file for file in (with_suffix(stem, ".pts"), with_suffix(stem, "_1.pts")) if file.is_file()]
    number = 2
    while (file := with_suffix(stem, f"_{number}.pts")).is_file():
        found.append(file)
        number += 1
    return found


def _is_anothers(pts_file: Path, stem: Path, result: Path) -> bool:
    """Whether `NAME_k.pts` is that of a photo `NAME_k`, which has a result of its own beside NAME's."""
    number = pts_file.stem.removeprefix(stem.name)
    return bool(number) and result_json.looks_like_result(result.with_name(f"{result.stem}{number}.json"))


def _landmarks(file: Path) -> list[np.ndarray]:
    return [f.landmarks for f in result_json.read(file).faces] if file.suffix == ".json" else [pts.read(file)]


def _pictures(path: Path, result: PhotoResult, scheme: Scheme, wanted: Wanted) -> Iterator[tuple[Path, Draw]]:
    ending, faces = _ending(wanted), result.faces
    if wanted.overlay:
        yield (
            with_suffix(path, OVERLAY_MARK + ending),
            partial(draw_faces, faces=faces, scheme=scheme, look=wanted.look),
        )
    if wanted.closeups:
        yield from _each(
            path,
            "closeups",
            ending,
            faces,
            lambda face: partial(draw_closeups, face=face, scheme=scheme, look=wanted.look),
        )
    if wanted.crops:
        yield from _each(path, "upright", ending, faces, lambda f: lambda pixels: cut(pixels, upright_crop(f, scheme)))
        if {"lid_upper_right", "lid_upper_left", "lip_upper_outer"} <= face_lines(scheme).keys():
            yield from _each(path, "ffhq", ending, faces, lambda f: lambda pixels: cut(pixels, ffhq_crop(f, scheme)))
    if wanted.masks:
        for region in region_names(scheme):
            yield with_suffix(path, f".mask_{region}.png"), partial(_mask, faces=faces, scheme=scheme, region=region)


def _mask(pixels: np.ndarray, faces: Sequence[Face], scheme: Scheme, region: str) -> np.ndarray:
    return draw_mask((pixels.shape[1], pixels.shape[0]), faces, scheme, region)


def _each(
    path: Path, kind: str, ending: str, faces: Sequence[Face], draw: Callable[[Face], Draw]
) -> Iterator[tuple[Path, Draw]]:
    """A picture for each face: `NAME.kind.jpg`, `NAME.kind_2.jpg` …"""
    for number, face in enumerate(faces, start=1):
        yield with_suffix(path, f".{kind}{'' if number == 1 else f'_{number}'}{ending}"), draw(face)


def _ending(wanted: Wanted) -> str:
    return ".png" if wanted.png else ".jpg"


def _newer(file: Path, since: int) -> bool:
    try:
        found = file.stat()
        # an empty one was lost with the power
        return found.st_size > 0 and found.st_mtime_ns >= since
    except OSError:
        return False
