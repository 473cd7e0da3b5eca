"""A detection run: photos are read ahead, detected in batches and written behind, in order; a fault costs one photo."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

from hrlm.errors import HrlmError
from hrlm.formats.atomic import WriteError
from hrlm.photos import Photo
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult
from hrlm.runs.ahead import MEMORY, Window, ahead, thread_count
from hrlm.runs.discovery import Problem, Source
from hrlm.runs.report import Reporter, Summary, reason_of
from hrlm.runs.sinks import Sink

AddRows = Callable[[str, Sequence[Face]], None]


class FaceDetector(Protocol):
    """What a run needs of a detector."""

    @property
    def info(self) -> ModelInfo: ...

    def detect_batch(self, photos: Sequence[Photo], faces: str = "all", min_face: float = 0) -> list[list[Face]]: ...


@dataclass(frozen=True)
class Choice:
    """Which faces are wanted, and how many photos the detector gets at once."""

    faces: str = "all"
    min_face: float = 0
    batch: int = 4


@dataclass(frozen=True)
class _Held:
    """A photo on its way: with pixels and faces so far as all went well, else with the reason why not."""

    source: Source
    photo: Photo | None = None
    result: PhotoResult | None = None
    reason: str = ""


def detect_photos(
    sources: Sequence[Source],
    detector: FaceDetector,
    open_photo: Callable[[str], Photo],
    sinks: Sequence[Sink],
    reporter: Reporter,
    choice: Choice = Choice(),
    add_rows: AddRows | None = None,
    stop: threading.Event | None = None,
) -> Summary:
    """Detect the faces of photos and hand every result to the sinks, in the order of `sources`.

    What goes wrong with one photo is recorded for it, and the run goes on; a full or read-only disk ends the run.

    Args:
        open_photo: decodes a file; called by several threads.
        sinks: called by several threads, in order for one photo.
        add_rows: called in order, only for photos that all sinks have taken.
        stop: once set, no further photo is begun; those in hand are finished and written.
    """
    start = time.monotonic()
    stop = stop or threading.Event()
    summary = Summary()
    hopeless = False
    try:
        with ThreadPoolExecutor(thread_count(), "hrlm") as pool, _cancelling(pool):
            window = Window(choice.batch + thread_count())
            wanted = takewhile(lambda _: not stop.is_set(), sources)
            opened = ahead(pool, lambda s: _open(s, open_photo, window), wanted, window)
            detected = _detected(opened, detector, choice)
            for held, written in ahead(
                pool, lambda h: _write(h, sinks), detected, lambda: min(thread_count(), window())
            ):
                summary.photos += 1
                reason, fatal = written.result()
                faces = held.result.faces if held.result else ()
                if not reason and add_rows:
                    try:
                        add_rows(held.source.name, faces)
                    except WriteError as e:
                        # a table with a row missing would be no table of the run
                        reason, fatal = str(e), True
                if not reason:
                    summary.faces += len(faces)
                    summary.without_face += not faces
                elif not hopeless:
                    summary.problems.append(Problem(held.source.name, reason))
                    reporter.problem(summary.problems[-1])
                reporter.step()
                if fatal:
                    hopeless = True
                    stop.set()
        summary.interrupted = stop.is_set() and not hopeless and summary.photos < len(sources)
    except KeyboardInterrupt:
        summary.interrupted = True
    summary.seconds = time.monotonic() - start
    return summary


@contextlib.contextmanager
def _cancelling(pool: ThreadPoolExecutor) -> Iterator[None]:
    try:
        yield
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def _open(source: Source, open_photo: Callable[[str], Photo], window: Window) -> _Held:
    try:
        photo = open_photo(str(source.file))
    except HrlmError as e:
        return _Held(source, reason=str(e))
    # a decoder can fail in more ways than it documents; no photo may end a run of thousands
    except Exception as e:
        return _Held(source, reason=f"{source.file}: cannot be read ({reason_of(e)}): check or convert the file")
    window.saw(photo.pixels.nbytes)
    return _Held(source, photo)


def _detected(
    opened: Iterable[tuple[Source, Future[_Held]]], detector: FaceDetector, choice: Choice
) -> Iterator[_Held]:
    batch: list[_Held] = []
    photos = size = 0
    for _, future in opened:
        held = future.result()
        batch.append(held)
        if held.photo is not None:
            photos += 1
            size += held.photo.pixels.nbytes
        if photos >= choice.batch or size >= MEMORY // 2:
            yield from _detect(batch, detector, choice)
            batch, photos, size = [], 0, 0
    yield from _detect(batch, detector, choice)


def _detect(batch: Sequence[_Held], detector: FaceDetector, choice: Choice) -> Iterator[_Held]:
    found = iter(_faces([h.photo for h in batch if h.photo is not None], detector, choice))
    for held in batch:
        if held.photo is None:
            yield held
            continue
        faces = next(found)
        if isinstance(faces, str):
            yield _Held(held.source, reason=f"{held.source.file}: {faces}")
            continue
        photo = held.photo
        info = PhotoInfo(held.source.name, photo.width, photo.height, photo.orientation)
        yield _Held(held.source, photo, PhotoResult(info, detector.info, tuple(faces)))


def _faces(photos: Sequence[Photo], detector: FaceDetector, choice: Choice) -> list[list[Face] | str]:
    """Each photo's faces, or the reason why the detector failed on it: it alone, whatever it was batched with."""
    if not photos:
        return []
    try:
        return list(detector.detect_batch(photos, choice.faces, choice.min_face))
    except Exception as e:
        if len(photos) == 1:
            return [str(e) if isinstance(e, HrlmError) else f"detection failed ({reason_of(e)}): report this photo"]
    return [faces for photo in photos for faces in _faces([photo], detector, choice)]


def _write(held: _Held, sinks: Sequence[Sink]) -> tuple[str, bool]:
    """Write a result; the reason where it failed, and whether all others will fail too."""
    if held.photo is None or held.result is None:
        return held.reason, False
    try:
        for sink in sinks:
            sink(held.source, held.photo, held.result)
    except WriteError as e:
        return str(e), e.hopeless
    except HrlmError as e:
        return f"{held.source.file}: {e}", False
    except Exception as e:
        return f"{held.source.file}: its result cannot be written ({reason_of(e)})", False
    return "", False
