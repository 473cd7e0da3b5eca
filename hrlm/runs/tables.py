"""The files of a whole run, written at its end from the photos' results, one at a time and in order.

So a run that was stopped and resumed ends with the same bytes, and a table never needs the memory of all faces.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from hrlm.errors import HrlmError
from hrlm.formats import csv
from hrlm.formats import json as result_json
from hrlm.formats.atomic import write_whole
from hrlm.formats.catalogue import Format, write_run
from hrlm.results import PhotoResult
from hrlm.runs.discovery import Problem, Source
from hrlm.runs.journal import NO_FACE, Journal
from hrlm.runs.review import FLAG_WEIGHT, concern
from hrlm.schemes import Scheme

REVIEW_FILE = "review.csv"
REVIEW_HEAD = ("photo", "face", "concern", "reason", "result")


def results_of(
    sources: Iterable[Source], journal: Journal, file: Callable[[Source], Path], lost: dict[str, Problem]
) -> Iterator[PhotoResult]:
    """The results of the photos that are done; one that cannot be read again is noted in `lost`.

    Args:
        file: a photo's `NAME.json`.
    """
    for source in sources:
        if journal.done(source):
            try:
                yield result_json.read(file(source))
            except HrlmError as e:
                lost[source.name] = Problem(source.name, str(e))


def check_tables(formats: Iterable[Format], scheme: Scheme) -> None:
    """See that per-run formats can be written at all, before hours of work.

    Raises:
        DependencyError: a format's package is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        for format in formats:
            write_run(format, Path(folder, format.suffix), (), scheme)


def write_review(
    path: Path,
    sources: Sequence[Source],
    journal: Journal,
    results: Iterable[PhotoResult],
    problems: Sequence[Problem],
    scheme: Scheme,
) -> None:
    """`review.csv`: what deserves a person's look, worst first.

    First what failed, then photos without a face, then faces by falling concern (see `review.concern`), those that have
    a flag or are as uncertain. Columns: `photo`, `face` (0 is the photo's largest), `concern` (empty where there is no
    face), `reason`, `result` (the file, relative to the output folder).

    Raises:
        WriteError: the file cannot be written.
    """
    files = {s.name: f"{s.result.as_posix()}.json" for s in sources}
    nothing = [s for s in sources if (e := journal.done(s)) and e.status == NO_FACE]
    faces = [
        (worry, result.photo.path, number, " ".join(face.flags) or "uncertain")
        for result in results
        for number, face in enumerate(result.faces)
        if (worry := concern(face, scheme)) >= FLAG_WEIGHT
    ]
    rows: list[Sequence[object]] = [REVIEW_HEAD]
    rows += [(csv.name_cell(p.name), "", "", p.reason, "") for p in problems]
    rows += [(csv.name_cell(s.name), "", "", "no face found", files[s.name]) for s in nothing]
    # stable: equals stay in the order of the photos
    for worry, photo, number, reason in sorted(faces, key=lambda face: -face[0]):
        rows.append((csv.name_cell(photo), number, f"{worry:.3f}", reason, files[photo]))
    write_whole(path, b"".join(map(csv.line, rows)))
