import io
import os
import subprocess
import sys

import pytest

from hrlm.runs.discovery import Problem
from hrlm.runs.report import Reporter

SAYS = """
from hrlm.runs.discovery import Problem
from hrlm.runs.report import Reporter
with Reporter(3) as reporter:
    for k in range(3):
        reporter.problem(Problem(f"{k}.jpg", "is broken"))
print("done")
"""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")  # noqa: PTH110
def test_a_log_that_is_full_does_not_end_the_run() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        ended = subprocess.run([sys.executable, "-c", SAYS], stdout=subprocess.PIPE, stderr=full, check=False)
    assert (ended.returncode, ended.stdout) == (0, b"done\n")


def test_a_log_that_nobody_reads_does_not_end_the_run() -> None:
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run([sys.executable, "-c", SAYS], stdout=subprocess.PIPE, stderr=write, check=False)
    os.close(write)
    assert (ended.returncode, ended.stdout) == (0, b"done\n")


def test_a_problem_is_named_once() -> None:
    from rich.console import Console

    out = io.StringIO()
    reporter = Reporter(2, quiet=True, console=Console(file=out, width=200))
    reporter.problem(Problem("a.jpg", "is broken"))
    reporter.problem(Problem("b.jpg", "photos/b.jpg: is broken"))
    assert out.getvalue().splitlines() == ["a.jpg: is broken", "photos/b.jpg: is broken"]
