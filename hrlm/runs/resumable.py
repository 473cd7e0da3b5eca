"""A detection run that can be stopped and resumed: what is left to do, its journal, and its own files at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hrlm.errors import FormatError, HrlmError
from hrlm.formats.atomic import WriteError
from hrlm.formats.catalogue import Format, write_run
from hrlm.results import PhotoResult
from hrlm.runs.ahead import Stop
from hrlm.runs.discovery import Found, Problem, Source, absolute
from hrlm.runs.journal import ERROR, JOURNAL_FILE, NO_FACE, Entry, Journal
from hrlm.runs.jsonl import ClosedPipe, Lines, lines
from hrlm.runs.pipeline import Item, Outcome, Work
from hrlm.runs.report import Reporter, Summary, counted
from hrlm.runs.shards import WHOLE, Shard
from hrlm.runs.sinks import ERRORS_FILE, write_errors
from hrlm.runs.tables import REVIEW_FILE, results_of, write_review
from hrlm.runs.writing import OVERLAY, Writer
from hrlm.schemes import Scheme

AGAIN = "then run the same command again: it goes on from here"
WITHOUT = "then run the same command again without --overwrite: it goes on from here"


@dataclass(frozen=True)
class Order:
    """What a run writes besides each photo's files.

    Args:
        out: the output folder.
        scheme: of the landmarks.
        fingerprint: of the model and the options that change what is found.
        tables: per-run formats.
        review: whether `review.csv` is written.
        jsonl: where each photo's line goes: a file, `-` for standard output, None for nowhere.
        overwrite: whether finished photos are done again.
    """

    out: Path
    scheme: Scheme
    fingerprint: str
    tables: tuple[Format, ...] = ()
    review: bool = False
    jsonl: str | None = None
    overwrite: bool = False
    shard: Shard = WHOLE


def plan(found: Found, journal: Journal, writer: Writer, order: Order) -> list[Item]:
    """What is to be done with every photo, in order; finished photos are noted in `journal`.

    A photo whose result would replace that of another one, from an earlier run, leaves `found` for its problems, unless
    everything is done again; so does one whose files would replace what no run has written.
    """
    others = {} if order.overwrite else {s.result: other for s in found.sources if (other := journal.other(s))}
    for source in found.sources:
        if source.result in others:
            where = writer.file(source)
            cure = "give another --out, all photos in one command, or --overwrite to replace it"
            found.problems.append(Problem(source.name, f"{where} is the result of {others[source.result]}: {cure}"))
    found.sources = [source for source in found.sources if source.result not in others]
    items: list[Item] = []
    left: set[Source] = set()
    for source in found.sources:
        work, lacks = Work.DETECT, set[str]()
        if not order.overwrite and (entry := journal.find(source, order.fingerprint, writer.file(source))):
            lacks = writer.missing(source, entry)
            if OVERLAY not in lacks:
                # an overlay needs the photo's pixels, every other format only its result
                work = Work.CONVERT if lacks else Work.NOTHING
        if work is not Work.NOTHING and (file := writer.foreign(source, journal.last(source))):
            found.problems.append(Problem(source.name, f"{file}: is there and was written by no run: move it away"))
            left.add(source)
            continue
        items.append(Item(source, work, frozenset(lacks)))
    found.sources = [source for source in found.sources if source not in left]
    return items


def run_photos(
    found: Found,
    items: Sequence[Item],
    work: Generator[Outcome, None, None],
    journal: Journal,
    writer: Writer,
    order: Order,
    reporter: Reporter,
    stop: Stop,
) -> Summary:
    """Do what is left of a run.

    What goes wrong with one photo is recorded for it, and the run goes on; a full or read-only disk ends the run.

    Args:
        work: does the items as it is iterated, and tells what became of each.
        stop: ends the run early; `work` looks at it too.
    """
    run = _Run(found, items, journal, writer, order, reporter, stop)
    try:
        run.go(work)
        run.finish()
    except KeyboardInterrupt:
        run.summary.interrupted = True
    return run.summary


@dataclass
class _Run:
    found: Found
    items: Sequence[Item]
    journal: Journal
    writer: Writer
    order: Order
    reporter: Reporter
    stop: Stop
    hopeless: bool = False

    def __post_init__(self) -> None:
        done = sum(item.work is Work.NOTHING for item in self.items)
        self.summary = Summary(done=done, problems=list(self.found.problems))

    def go(self, work: Generator[Outcome, None, None]) -> None:
        """Take what becomes of every photo, until all are done or the run is stopped."""
        start = time.monotonic()
        seen = 0
        try:
            with closing(work), self.journal.appending(), lines(self.order.jsonl) as told:
                for outcome in work:
                    seen += 1
                    self.take(outcome, told)
        except WriteError as e:
            # without its journal a run could not go on where it stops
            self.fail(Problem(str(self.order.out), str(e)), fatal=True)
        finally:
            self.summary.stopped_by = self.stop.signal
            self.summary.interrupted = self.stop.is_set() and seen < len(self.items) and not self.hopeless
            self.summary.seconds = time.monotonic() - start

    def take(self, outcome: Outcome, told: Lines | None) -> None:
        """Note a photo's outcome: in the journal, in the summary, and to whoever reads the lines."""
        source, failed = outcome.item.source, bool(outcome.reason)
        if failed and self.hopeless:
            # once the disk is full, what fails for that reason is no news, and is tried again by the next run
            return
        if outcome.status:
            self.summary.photos += 1
            self.reporter.step()
            if failed:
                self.fail(Problem(source.name, outcome.reason), outcome.fatal)
            if outcome.status != ERROR:
                self.summary.faces += outcome.faces
                self.summary.without_face += outcome.status == NO_FACE
            for note in outcome.notes:
                self.reporter.say(f"{source.name}: {note}")
            if not outcome.fatal:
                self.journal.add(self.entry(outcome))
        if told is not None and not self.summary.pipe_closed:
            self.tell(outcome, told)

    def tell(self, outcome: Outcome, told: Lines) -> None:
        source = outcome.item.source
        try:
            if outcome.status == ERROR:
                told.failure(source.name, outcome.reason)
            else:
                told.result(self.writer.file(source))
        except ClosedPipe:
            self.summary.pipe_closed = True
            self.stop.set()
        except FormatError as e:
            self.fail(Problem(source.name, str(e)))

    def entry(self, outcome: Outcome) -> Entry:
        source = outcome.item.source
        formats = set(self.writer.formats) if outcome.status != ERROR else set()
        size, mtime_ns, notes = outcome.size, outcome.mtime_ns, outcome.notes
        earlier = self.journal.last(source)
        if outcome.item.work is Work.CONVERT and (before := self.journal.done(source)):
            formats.update(before.formats)
            # the result is of the photo as it was then: one that was replaced meanwhile is to be done again
            size, mtime_ns, notes = before.size, before.mtime_ns, before.notes
        formats.difference_update(outcome.lacking)
        return Entry(
            path=source.name,
            result=source.result.as_posix(),
            status=outcome.status,
            size=size,
            mtime_ns=mtime_ns,
            fingerprint=self.order.fingerprint,
            digest=outcome.digest,
            faces=outcome.faces,
            formats=tuple(sorted(formats)),
            stale=tuple(sorted({*earlier.formats, *earlier.stale} - formats)) if earlier else (),
            reason=outcome.reason,
            notes=notes,
            file=str(absolute(source.file)),
        )

    def fail(self, problem: Problem, fatal: bool = False) -> None:
        """Record a problem and name it; a fatal one ends the run, and what follows from it is not told."""
        if self.hopeless:
            return
        if fatal:
            problem = Problem(problem.name, f"{problem.reason}, {WITHOUT if self.order.overwrite else AGAIN}")
            self.hopeless = True
            self.stop.set()
        self.summary.problems.append(problem)
        self.reporter.problem(problem)

    def finish(self) -> None:
        """Write the run's own files, also for what is done of a run that was stopped."""
        sources, scheme = self.found.sources, self.order.scheme
        lost: dict[str, Problem] = {}

        def results() -> Iterator[PhotoResult]:
            return results_of(sources, self.journal, self.writer.file, lost)

        tables = [f.suffix for f in self.order.tables] + [REVIEW_FILE] * self.order.review
        others = self.journal.others(sources)
        failed = sum(e.status == ERROR for e in others)
        if failed or (tables and others):
            names = ", ".join([*tables, ERRORS_FILE])
            more = f"{counted(len(others), 'photo')} more, of which {failed} failed"
            self.reporter.say(f"{names}: of this command's photos; {self.order.out} knows {more}: see {JOURNAL_FILE}")
        for format in self.order.tables:
            self.attempt(format.suffix, partial(write_run, format, results=results(), scheme=scheme))
        if self.order.review:
            self.attempt(
                REVIEW_FILE,
                lambda path: write_review(path, sources, self.journal, results(), self.failures(), scheme),
            )
        for problem in lost.values():
            self.fail(problem)
        self.attempt(ERRORS_FILE, lambda path: write_errors(path, self.failures()))
        self.attempt(JOURNAL_FILE, lambda _: self.journal.compact(sources))

    def attempt(self, name: str, write: Callable[[Path], None]) -> None:
        path = self.order.out / self.order.shard.file(name)
        try:
            write(path)
        except HrlmError as e:
            self.fail(Problem(str(path), str(e)))

    def failures(self) -> list[Problem]:
        """All that failed, and what failed in an earlier run and was not tried again before this one was stopped."""
        told = {p.name for p in self.summary.problems}
        wanted = self.writer.formats
        earlier = ((s.name, self.journal.error(s, wanted)) for s in self.found.sources if s.name not in told)
        return [*self.summary.problems, *(Problem(name, e.reason) for name, e in earlier if e)]
