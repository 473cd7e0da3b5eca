"""`hrlm train --check`: reads all that a training would read, and tells what is wrong with it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np

from hrlm.errors import DataError, HrlmError
from hrlm.finding import FaceFinder
from hrlm.formats.atomic import write_whole
from hrlm.formats.values import box_of
from hrlm.geometry import box_overlap
from hrlm.models.build import ModelConfig
from hrlm.photos import open_photo
from hrlm.schemes import Scheme, load_scheme
from hrlm.training import faults
from hrlm.training.batches import augmented_item
from hrlm.training.config import Source, TrainConfig
from hrlm.training.data import Joined, Memory, Samples, load_sources
from hrlm.training.placement import NOT_LEVEL, PLACED_FACES, check_normaliser
from hrlm.training.separation import separate
from hrlm.training.shapes import mean_shape
from hrlm.training.sources import LabelledFace, Problem, SourceFaces, read_source

Progress = Callable[[int, int], None]
# photos that are decoded ahead
AHEAD = 32
COLUMNS, ROWS, TILE = 6, 5, 320
# messages of a kind that the report prints; the file has them all
SHOWN = 5
# two boxes that overlap by more are one face
SAME_FACE = 0.8
NOTHING_TRAINS = "no face is left to train on, every source validates: let one train, or validate on a part of it"


@dataclass
class SourceReport:
    """What a source holds, in words.

    Args:
        source: of the configuration.
        faces: read from it; None where it cannot be used.
        photos: width and height of each photo that could be read.
    """

    source: Source
    faces: SourceFaces | None = None
    photos: list[tuple[int, int]] = field(default_factory=list)

    def lines(self, scheme: Scheme) -> list[str]:
        """Counts and sizes."""
        if self.faces is None:
            return [f"{self.source.path}: cannot be used"]
        every = [*self.faces.training, *self.faces.validation]
        known = np.array([np.isfinite(f.points).all(1) for f in every])
        sizes = np.array([np.ptp(f.points[k], axis=0).max() for f, k in zip(every, known, strict=True)])
        low, middle, high = np.percentile(sizes, (5, 50, 95))
        lines = [
            f"{self.source.path} ({self.faces.format}): {len(self.faces.training)} faces to train on, "
            f"{len(self.faces.validation)} to validate on, {len(self.faces.excluded)} photos excluded",
            f"  {int(known.any(0).sum())} of the {len(scheme)} landmarks; faces {low:.0f} to {high:.0f} px large, "
            f"median {middle:.0f}",
        ]
        if self.photos:
            sides = np.array([max(p) for p in self.photos])
            lines.append(f"  {len(self.photos)} photos, long side {sides.min()} to {sides.max()} px")
        return lines


@dataclass
class Report:
    """What was found: a part for each source, and every fault."""

    scheme: Scheme
    sources: list[SourceReport] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def lines(self, most: int | None = SHOWN) -> list[str]:
        """The report, with at most so many messages of each kind; all where `most` is None."""
        lines = [line for source in self.sources for line in source.lines(self.scheme)]
        counts = Counter(p.kind for p in self.problems)
        for kind, count in counts.most_common():
            told = [p.message for p in self.problems if p.kind == kind]
            lines += ["", f"{kind}: {count}", *(f"  {message}" for message in told[:most])]
            if most is not None and count > most:
                lines.append(f"  … and {count - most} more")
        return lines if counts else [*lines, "", "no fault found"]


def check(config: TrainConfig, progress: Progress = lambda done, total: None) -> Report:
    """Read every label and every photo of a configuration.

    Args:
        progress: takes photos done and photos in all.

    Raises:
        SchemeError: the model's scheme cannot be read.
    """
    scheme = load_scheme(config.scheme)
    report = Report(scheme)
    for source in config.data:
        part = SourceReport(source)
        report.sources.append(part)
        try:
            part.faces = read_source(source, scheme)
            report.problems += part.faces.problems
        except HrlmError as e:
            report.problems.append(Problem(faults.UNUSABLE, str(e)))
    if line := separate([p.faces for p in report.sources if p.faces]):
        report.problems.append(Problem(faults.LEAK, line))
    for part in report.sources:
        if part.faces and not (part.faces.training or part.faces.validation):
            part.faces = None
            message = f"{part.source.path}: other sources hold back all its photos: take it out"
            report.problems.append(Problem(faults.UNUSABLE, message))
    usable = [p for p in report.sources if p.faces]
    every = [f for p in usable if p.faces for f in (*p.faces.training, *p.faces.validation)]
    if not every:
        return report
    template = faults.Template.of(mean_shape([f.points for f in every], scheme))
    for face in every:
        report.problems += faults.label_faults(face, scheme, template)
    training = [f for p in usable if p.faces for f in p.faces.training]
    if not training:
        report.problems.append(Problem(faults.UNUSABLE, NOTHING_TRAINS))
    else:
        report.problems += _normaliser(config, scheme, [p.source for p in usable], training)
    taught = np.any([f.visible for f in training], axis=0)
    # where nothing learns, what no face shows stays as it was
    for i in np.flatnonzero(~taught) if training and not config.refines else ():
        report.problems.append(Problem(faults.UNTAUGHT, f"{scheme.landmarks[i]}: no training face shows it"))
    report.problems += _photos(usable, template, progress)
    return report


def _normaliser(
    config: TrainConfig, scheme: Scheme, sources: Sequence[Source], faces: Sequence[LabelledFace]
) -> list[Problem]:
    def samples() -> Joined:
        loaded = load_sources(sources, scheme, config.max_side, Memory(0), lambda line: None)
        return Joined([own.training for own in loaded], PLACED_FACES)

    try:
        check_normaliser(config.scheme, scheme, [f.points for f in faces], samples, FaceFinder().find)
    except HrlmError as e:
        return [Problem(NOT_LEVEL, str(e))]
    return []


def run_check(
    config: TrainConfig, out: Path | None = None, progress: Progress = lambda done, total: None
) -> tuple[list[str], bool]:
    """`check`, with the whole report and a sheet of augmented faces written to a folder.

    Args:
        out: the folder; `check` in the configuration's `out` where none is given.

    Returns:
        the report's lines, and whether no fault was found.

    Raises:
        WriteError: the folder cannot be written.
    """
    out = out or config.out / "check"
    report = check(config, progress)
    lines = report.lines()
    try:
        write_whole(out / "check.png", _png(sheet(config)))
        lines += ["", f"augmented faces: {out / 'check.png'}"]
    except HrlmError as e:
        lines += ["", f"no sheet of augmented faces: {e}"]
    write_whole(out / "check.txt", ("\n".join(report.lines(None)) + "\n").encode("utf-8", "backslashreplace"))
    return [*lines, f"every message: {out / 'check.txt'}"], not report.problems


def sheet(config: TrainConfig) -> np.ndarray:
    """`(H, W, 3)` uint8: augmented faces as the network gets them, from every source, with their landmarks.

    Green landmarks teach; magenta ones are missing or hidden.

    Raises:
        HrlmError: nothing can be shown.
    """
    scheme = load_scheme(config.scheme)
    margin = float(config.model.get("face_margin", ModelConfig.face_margin))
    loaded = load_sources(config.data, scheme, config.max_side, Memory(0), lambda line: None, margin)
    groups = [own.training for own in loaded if len(own.training)]
    if not groups:
        raise DataError(NOTHING_TRAINS)
    others = Joined(groups)
    model = ModelConfig("check", scheme.source, face_size=TILE, face_margin=margin)
    tiles = []
    for number in range(COLUMNS * ROWS):
        group: Samples = groups[number % len(groups)]
        rng = np.random.default_rng([config.seed, number])
        item = augmented_item(group[(number // len(groups)) * 7919 % len(group)], scheme, model, others, rng)
        pixels = (item.pixels[0].permute(1, 2, 0).numpy() * 128 + 127).clip(0, 255).astype(np.uint8)
        points = item.face.to_crop(item.points)[0].numpy()
        tiles.append(_drawn(np.ascontiguousarray(pixels), points, item.visible[0].numpy() > 0, scheme))
    rows = [np.concatenate(tiles[i : i + COLUMNS], 1) for i in range(0, len(tiles), COLUMNS)]
    return np.concatenate(rows)


def _drawn(pixels: np.ndarray, points: np.ndarray, visible: np.ndarray, scheme: Scheme) -> np.ndarray:
    for contour in scheme.contours:
        line = np.rint(points[list(contour.landmarks)] * 16).astype(np.int32)
        cv2.polylines(pixels, [line], contour.closed, (255, 255, 255), 1, cv2.LINE_AA, shift=4)
    for (x, y), seen in zip(np.rint(points * 16).astype(int).tolist(), visible, strict=True):
        cv2.circle(pixels, (x, y), 32, (0, 220, 0) if seen else (255, 0, 255), -1, cv2.LINE_AA, shift=4)
    return pixels


def _png(pixels: np.ndarray) -> bytes:
    encoded: bytes = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()
    return encoded


@dataclass(frozen=True, eq=False)
class _Seen:
    """A photo that was read: how it is used, and what tells it from others."""

    photo: Path
    use: str
    digest: bytes
    print: np.ndarray
    faces: tuple[LabelledFace, ...]


def _photos(reports: Sequence[SourceReport], template: faults.Template, progress: Progress) -> Iterator[Problem]:
    """Faults that show only in the photos themselves."""
    jobs: list[tuple[SourceReport, Path, str, tuple[LabelledFace, ...]]] = []
    for report in reports:
        if report.faces is None:
            continue
        for use, group in (("training", report.faces.training), ("validation", report.faces.validation)):
            by_photo: defaultdict[Path, list[LabelledFace]] = defaultdict(list)
            for face in group:
                by_photo[face.photo].append(face)
            jobs += [(report, photo, use, tuple(faces)) for photo, faces in by_photo.items()]
        jobs += [(report, photo, "test", ()) for photo in report.faces.excluded]
    seen: list[_Seen] = []
    with ThreadPoolExecutor(2) as pool:
        for start in range(0, len(jobs), AHEAD):
            some = jobs[start : start + AHEAD]
            for (report, photo, use, faces), read in zip(some, pool.map(lambda job: _read(job[1]), some), strict=True):
                if isinstance(read, str):
                    yield Problem(faults.UNREADABLE_PHOTO, read)
                    continue
                digest, print, width, height, orientation = read
                report.photos.append((width, height))
                seen.append(_Seen(photo, use, digest, print, faces))
                for face in faces:
                    yield from faults.photo_faults(face, width, height, orientation, template)
                yield from _twice(faces)
            progress(min(start + AHEAD, len(jobs)), len(jobs))
    yield from _repeated(seen)


def _read(photo: Path) -> tuple[bytes, np.ndarray, int, int, int] | str:
    try:
        picture = open_photo(photo)
        digest = hashlib.sha256(photo.read_bytes()).digest()
    except (HrlmError, OSError) as e:
        return str(e)
    return digest, faults.fingerprint(picture.pixels), picture.width, picture.height, picture.orientation


def _twice(faces: Sequence[LabelledFace]) -> Iterator[Problem]:
    for a, b in combinations(faces, 2):
        boxes = [box_of(f.points[np.isfinite(f.points).all(1)]) for f in (a, b)]
        if box_overlap(*boxes) > SAME_FACE:
            yield Problem(faults.TWICE, f"{a.photo}: {a.name} and {b.name} are one face: remove one")


def _repeated(seen: Sequence[_Seen]) -> Iterator[Problem]:
    """The same photo in two places, whatever its name, size and encoding."""
    if not seen:
        return
    prints = np.stack([s.print for s in seen])
    for i, first in enumerate(seen):
        for _, j in faults.alike(prints[i : i + 1], prints[i + 1 :]):
            second = seen[i + 1 + j]
            exact = "the same file" if first.digest == second.digest else "the same picture, saved anew"
            uses = {first.use, second.use}
            kind = faults.LEAK if len(uses) > 1 and "training" in uses else faults.REPEATED
            pair = f"{first.photo} ({first.use}) and {second.photo} ({second.use})"
            yield Problem(kind, f"{pair} are {exact}: keep one")
            for a in first.faces:
                for b in second.faces:
                    if first.digest == second.digest and (shift := faults.shift_between(a, b)) is not None:
                        off = f"{shift[0]:+.2f}, {shift[1]:+.2f}"
                        yield Problem(
                            faults.SHIFTED,
                            f"{second.photo} ({b.name}): its landmarks are those of {a.name} moved by {off} px: one "
                            "of both files counts from 0 and the other from 1",
                        )
