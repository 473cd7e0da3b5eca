"""Which faces deserve a person's look, and how much."""

from __future__ import annotations

import numpy as np

from hrlm.results import Face
from hrlm.schemes import Scheme

# a flag weighs as much as landmarks that are uncertain by this share of the normaliser
FLAG_WEIGHT = 0.06


def concern(face: Face, scheme: Scheme) -> float:
    """How much a face deserves a look: 0 none at all; a flag, or landmarks just uncertain enough for one, 0.06.

    It is the median deviation of its landmarks as a share of the scheme's normaliser (unknown deviations left out),
    and 0.06 for each flag.
    """
    known = face.deviation[np.isfinite(face.deviation)]
    size = float(scheme.inter_ocular(face.landmarks))
    doubt = float(np.median(known)) / size if len(known) and size > 0 else 0.0
    return doubt + FLAG_WEIGHT * len(face.flags)
