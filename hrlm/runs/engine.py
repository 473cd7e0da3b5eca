"""Where a run's photos are worked on: by this process, or by the machines of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from hrlm.photos import Photo, open_photo
from hrlm.photos.isolated import IsolatedOpener
from hrlm.runs.ahead import Stop, cores, thread_count
from hrlm.runs.pipeline import Choice, FaceDetector, Item, Outcome, Work, process
from hrlm.runs.writing import Writer

# a GPU takes more photos than a few cores can decode
MOST_DECODERS = 16


@dataclass(frozen=True)
class Engine:
    """All that is needed to work on photos, on this machine or another.

    Args:
        make: gives the detector.
        gpu: whether the detector runs on one.
        timeout: seconds for decoding a photo.
        max_pixels: photos with more are refused.
    """

    make: Callable[[], FaceDetector]
    writer: Writer
    choice: Choice
    gpu: bool
    timeout: float
    max_pixels: int

    def here(
        self, items: Sequence[Item], detector: FaceDetector, stop: Stop | None = None
    ) -> Generator[Outcome, None, None]:
        """Do the items in this process, with decoders in processes of their own; see `pipeline.process`."""
        with ExitStack() as stack:
            read: Callable[[str], Photo] = open_photo
            if any(item.work is Work.DETECT for item in items):
                read = stack.enter_context(self._opener()).open
            yield from process(items, detector, read, self.writer, self.choice, stop, self._threads())

    def on_cluster(self, items: Sequence[Item], stop: Stop) -> Generator[Outcome, None, None]:
        """Do the items on the machines of the Ray cluster that is connected."""
        from hrlm.runs.ray_run import process_over_cluster

        yield from process_over_cluster(items, self._prepare, self.gpu, self.choice.batch, stop)

    def _prepare(self) -> Callable[[Sequence[Item]], Iterator[Outcome]]:
        detector, opener = self.make(), self._opener()
        return lambda items: process(items, detector, opener.open, self.writer, self.choice, threads=self._threads())

    def _opener(self) -> IsolatedOpener:
        return IsolatedOpener(self._threads(), self.timeout, self.max_pixels)

    def _threads(self) -> int:
        return min(MOST_DECODERS, cores()) if self.gpu else thread_count()
