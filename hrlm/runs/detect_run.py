"""A plain detection run: every photo once, its faces handed to sinks; nothing is remembered for another run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from hrlm.photos import Photo
from hrlm.results import PhotoResult
from hrlm.runs.discovery import Problem, Source
from hrlm.runs.journal import ERROR, NO_FACE
from hrlm.runs.pipeline import DEFAULT, Choice, FaceDetector, Item, Written, process
from hrlm.runs.report import Reporter, Summary
from hrlm.runs.sinks import PhotoSink


def detect_photos(
    sources: Sequence[Source],
    detector: FaceDetector,
    open_photo: Callable[[str], Photo],
    sinks: Sequence[PhotoSink],
    reporter: Reporter,
    choice: Choice = DEFAULT,
    stop: threading.Event | None = None,
) -> Summary:
    """Detect the faces of photos and hand every result to the sinks, in the order of `sources`.

    What goes wrong with one photo is recorded for it, and the run goes on; a full or read-only disk ends the run.

    Args:
        open_photo: decodes a file; called by several threads.
        sinks: called by several threads, in order for one photo.
        stop: once set, no further photos are begun; those in hand are finished and written.
    """
    start = time.monotonic()
    stop = stop or threading.Event()
    summary = Summary()
    hopeless = False

    def write(item: Item, photo: Photo | None, result: PhotoResult | None) -> Written:
        if photo is None or result is None:
            raise ValueError("a plain run has no earlier results")
        for sink in sinks:
            sink(item.source, photo, result)
        return Written(len(result.faces))

    try:
        for outcome in process([Item(source) for source in sources], detector, open_photo, write, choice, stop):
            summary.photos += 1
            summary.faces += outcome.faces
            summary.without_face += outcome.status == NO_FACE
            if outcome.status == ERROR and not hopeless:
                summary.problems.append(Problem(outcome.item.source.name, outcome.reason))
                reporter.problem(summary.problems[-1])
            reporter.step()
            if outcome.fatal:
                hopeless = True
                stop.set()
        summary.interrupted = stop.is_set() and not hopeless and summary.photos < len(sources)
    except KeyboardInterrupt:
        summary.interrupted = True
    summary.seconds = time.monotonic() - start
    return summary
