"""Photos through the detector: read ahead, detected in batches, written behind, in order; a fault costs one photo."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice, takewhile
from typing import Protocol, TypeVar

from hrlm.errors import HrlmError
from hrlm.formats.atomic import WriteError
from hrlm.photos import Photo
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult
from hrlm.runs.ahead import MEMORY, Budget, ahead, thread_count
from hrlm.runs.discovery import Source
from hrlm.runs.journal import ERROR, NO_FACE, OK, stamp
from hrlm.runs.report import reason_of

T = TypeVar("T")


class FaceDetector(Protocol):
    """What a run needs of a detector."""

    @property
    def info(self) -> ModelInfo: ...

    def detect_batch(self, photos: Sequence[Photo], faces: str = "all", min_face: float = 0) -> list[list[Face]]: ...


@dataclass(frozen=True)
class Choice:
    """Which faces are wanted, how many photos the detector gets at once, and bytes for pictures held in memory."""

    faces: str = "all"
    min_face: float = 0
    batch: int = 4
    memory: int = MEMORY


DEFAULT = Choice()


class Work(Enum):
    """What is to be done with a photo: all, further formats from its result, or nothing."""

    DETECT = "detect"
    CONVERT = "convert"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Item:
    """A photo of a run and what is to be done with it.

    Args:
        lacks: the formats that are to be made of its result; those that it has may have been edited since.
    """

    source: Source
    work: Work = Work.DETECT
    lacks: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Outcome:
    """What became of a photo; nothing but the item where nothing was to be done.

    Args:
        status: `ok`, `no-face` or `error`.
        reason: of an error, or of formats that could not be written of a good result; one line.
        fatal: whether every other photo will fail in the same way.
        size, mtime_ns: of the file before it was read.
        digest: of the result file.
        notes: what is worth telling of a photo that was read well.
        lacking: formats that could not be written of a good result.
    """

    item: Item
    status: str = ""
    reason: str = ""
    fatal: bool = False
    faces: int = 0
    size: int = -1
    mtime_ns: int = -1
    digest: str = ""
    notes: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True)
class Written:
    """What was written of a photo: the number of its faces, and the digest of its result file if that is known.

    Args:
        lacking, reason, fatal: formats that could not be written beside it, why, and whether that ends the run.
    """

    faces: int
    digest: str = ""
    lacking: tuple[str, ...] = ()
    reason: str = ""
    fatal: bool = False


# writes a photo's files; without photo and result, the formats that it lacks from the result that is there
Write = Callable[[Item, Photo | None, PhotoResult | None], Written]


@dataclass
class _Held:
    """A photo on its way: with pixels and faces so far as all went well, until `let_go`."""

    outcome: Outcome
    budget: Budget
    photo: Photo | None = None
    result: PhotoResult | None = None

    @property
    def wanted(self) -> bool:
        return self.outcome.item.work is Work.DETECT

    def failed(self, reason: str) -> _Held:
        if self.wanted:
            self.outcome = replace(self.outcome, status=ERROR, reason=reason)
        return self.let_go()

    def let_go(self) -> _Held:
        """Forget the pixels, whoever else still has this object."""
        if self.photo is not None:
            size = self.photo.pixels.nbytes
            self.photo = None
            self.budget.gave_back(size, written=self.result is not None)
        return self


def process(
    items: Iterable[Item],
    detector: FaceDetector,
    open_photo: Callable[[str], Photo],
    write: Write,
    choice: Choice = DEFAULT,
    stop: threading.Event | None = None,
    threads: int | None = None,
) -> Iterator[Outcome]:
    """Do what is to be done with every photo, and tell what became of it, in order.

    Photos travel in groups of `choice.batch` by their place in `items`. Where some of a group are done already, they
    are shown to the networks once more beside the others: in another company, the last bits of a landmark differ.

    Args:
        open_photo: decodes a file; called by several threads.
        write: called by several threads.
        stop: once set, no further group is begun; those in hand are finished and written.
        threads: that call `open_photo`, and as many that write.
    """
    stop = stop or threading.Event()
    threads = threads or thread_count()
    with _workers(threads, "hrlm-open") as opening, _workers(threads, "hrlm-write") as writing:
        budget = Budget(choice.memory)
        groups = takewhile(lambda _: not stop.is_set(), chunks(items, choice.batch))
        opened = _opened(opening, _with_company(groups), open_photo, budget, choice.batch + threads)
        detected = _detected(opened, detector, choice)
        for _, written in ahead(writing, lambda h: _write(h, write), detected, lambda: threads):
            yield written.result()


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of `size`, the last one shorter."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


@contextlib.contextmanager
def _workers(count: int, name: str) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(count, name)
    try:
        yield pool
    except BaseException:
        # the files in hand are finished all the same: whoever looks next finds no half of one
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


def _with_company(groups: Iterable[Sequence[Item]]) -> Iterator[tuple[Item, bool, int]]:
    """Each item with whether its pixels are needed, and its group's number."""
    for number, group in enumerate(groups):
        needed = any(item.work is Work.DETECT for item in group)
        for item in group:
            yield item, needed, number


def _opened(
    pool: Executor,
    items: Iterable[tuple[Item, bool, int]],
    open_photo: Callable[[str], Photo],
    budget: Budget,
    most: int,
) -> Iterator[tuple[int, Future[_Held]]]:
    """Give every photo's group and future, in order, while at most `most` later ones are begun and fit the budget."""
    begun: deque[tuple[int, Future[_Held]]] = deque()
    for item, needed, group in items:
        while begun and (len(begun) > most or (needed and not budget.fits())):
            yield begun.popleft()
        if needed:
            budget.begin()
        begun.append((group, pool.submit(_open, item, needed, open_photo, budget)))
    while begun:
        yield begun.popleft()


def _open(item: Item, needed: bool, open_photo: Callable[[str], Photo], budget: Budget) -> _Held:
    source = item.source
    if item.work is Work.NOTHING and not needed:
        return _Held(Outcome(item), budget)
    # before it is read: a change while it is read must show at the next run
    size, mtime_ns = stamp(source.file)
    held = _Held(Outcome(item, size=size, mtime_ns=mtime_ns), budget)
    if not needed:
        return held
    taken = 0
    try:
        photo = open_photo(str(source.file))
        taken = photo.pixels.nbytes
    except HrlmError as e:
        return held.failed(str(e))
    # a decoder can fail in more ways than it documents; no photo may end a run of thousands
    except Exception as e:
        return held.failed(f"{source.file}: cannot be read ({reason_of(e)}): check or convert the file")
    finally:
        budget.took(taken)
    held.outcome = replace(held.outcome, notes=tuple(getattr(photo, "notes", ())))
    held.photo = photo
    return held


def _detected(opened: Iterable[tuple[int, Future[_Held]]], detector: FaceDetector, choice: Choice) -> Iterator[_Held]:
    batch: list[_Held] = []
    size = current = 0
    for group, future in opened:
        # a group is divided by nothing but its own photos, so that a resumed run divides it alike
        if group != current or size >= choice.memory // 2:
            yield from _detect(batch, detector, choice)
            batch, size, current = [], 0, group
        held = future.result()
        batch.append(held)
        size += held.photo.pixels.nbytes if held.photo else 0
    yield from _detect(batch, detector, choice)


def _detect(batch: Sequence[_Held], detector: FaceDetector, choice: Choice) -> Iterator[_Held]:
    useful = any(h.wanted and h.photo is not None for h in batch)
    photos = [h.photo for h in batch if h.photo is not None] if useful else []
    found = iter(_faces(photos, detector, choice))
    # what is written must not be kept for the others of its batch
    del photos
    for held in batch:
        if held.photo is None or not useful:
            yield held.let_go()
            continue
        faces = next(found)
        if not held.wanted:
            yield held.let_go()
            continue
        source = held.outcome.item.source
        if isinstance(faces, str):
            yield held.failed(f"{source.file}: {faces}")
            continue
        info = PhotoInfo(source.name, held.photo.width, held.photo.height, held.photo.orientation)
        held.result = PhotoResult(info, detector.info, tuple(faces))
        held.budget.writes()
        yield held


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


def _write(held: _Held, write: Write) -> Outcome:
    outcome, source = held.outcome, held.outcome.item.source
    if held.result is None and outcome.item.work is not Work.CONVERT:
        return outcome
    try:
        written = write(outcome.item, held.photo, held.result)
    except WriteError as e:
        return replace(outcome, status=ERROR, reason=str(e), fatal=e.hopeless)
    except HrlmError as e:
        return replace(outcome, status=ERROR, reason=f"{source.file}: {e}")
    except Exception as e:
        return replace(outcome, status=ERROR, reason=f"{source.file}: its result cannot be written ({reason_of(e)})")
    finally:
        held.let_go()
    return replace(
        outcome,
        status=OK if written.faces else NO_FACE,
        faces=written.faces,
        digest=written.digest,
        lacking=written.lacking,
        reason=written.reason,
        fatal=written.fatal,
    )
