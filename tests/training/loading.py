"""A folder's annotated faces in memory, as the tests of training want them."""

import sys
from pathlib import Path

from hrlm.schemes import Scheme
from hrlm.training.config import Source
from hrlm.training.data import Memory, Sample, load_sources


def load_samples(folder: Path, scheme: Scheme, max_side: int) -> tuple[list[Sample], list[str]]:
    """Every face, by photo, and a message for every file that was passed over."""
    problems: list[str] = []
    loaded = load_sources([Source(folder)], scheme, max_side, Memory(sys.maxsize), problems.append)[0]
    return loaded.training[:], [p.removeprefix("passed over: ") for p in problems]
