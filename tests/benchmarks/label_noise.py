"""How much of the error on annotated photos is the annotation's own: python tests/benchmarks/label_noise.py DATA …

Two networks and the labels are three measurements of the same landmarks. Were their errors independent, the label's
own would follow from the three mean squared distances (Gray and Allan, A method for estimating the frequency stability
of an individual oscillator, 1974: the "three-cornered hat"): half of label to one plus label to other less one to
other. But networks err together, and what they have in common is put down to the label. Rendered portraits, whose
labels are exact, tell how much that is: it is taken off.

Every landmark's mean offset is left out, as conventions differ. Figures are root mean squares in % of the normaliser's
distance, so they are larger than mean errors.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from hrlm.detector import Detector
from hrlm.evaluation.contours import face_offsets
from hrlm.evaluation.correspondence import correspondences
from hrlm.evaluation.data import find_data
from hrlm.evaluation.measure import measure
from hrlm.evaluation.systems import FindingSystem
from hrlm.photos import open_photo
from hrlm.schemes import Scheme

HEADS = Path(__file__).parents[2] / "examples" / "heads"
FULL, GLOBAL = "full", "global"


def offsets(folders: list[Path], detectors: dict[str, Detector]) -> dict[str, np.ndarray]:
    """By system, landmarks' offsets from their labels without the mean ones, `(F, N, 2)`, normaliser's distance 1."""
    scheme = detectors[FULL].scheme
    data = find_data(folders, scheme, correspondences(scheme, None))
    measured = measure(data.samples, {name: FindingSystem(d) for name, d in detectors.items()}, open_photo)
    both = [m for m in measured.native if all(p is not None for p in m.predicted.values())]
    found = {
        name: np.stack([face_offsets(np.asarray(m.predicted[name]), m.points, scheme) for m in both])
        for name in detectors
    }
    # the mean offset takes a part of few faces' own errors with it
    whole = (len(both) / (len(both) - 1)) ** 0.5
    return {name: whole * (each - np.nanmean(each, 0)) for name, each in found.items()}


def square(vectors: np.ndarray, landmarks: tuple[int, ...]) -> float:
    """Mean squared length over some landmarks of all faces."""
    return float(np.nanmean((vectors[:, list(landmarks)] ** 2).sum(-1)))


def hat(found: dict[str, np.ndarray], landmarks: tuple[int, ...]) -> tuple[float, float]:
    """The full system's mean squared distance from the label, and which part of it is the label's or in common."""
    full, other = (square(found[name], landmarks) for name in (FULL, GLOBAL))
    return full, (full + other - square(found[FULL] - found[GLOBAL], landmarks)) / 2


def tell(found: dict[str, np.ndarray], exact: dict[str, np.ndarray], scheme: Scheme) -> None:
    """Print a row for each of the scheme's subsets."""
    print(f"{'landmarks':10} {'error':>7} {'shared':>7} {'rendered':>9} {'label':>7} {'its share':>10}")
    sets = {"all": tuple(range(len(scheme))), **scheme.subsets}
    for name, landmarks in sets.items():
        full, shared = hat(found, landmarks)
        common = max(0.0, hat(exact, landmarks)[1])
        label = max(0.0, shared - common)
        root = [100 * max(0.0, v) ** 0.5 for v in (full, shared, common, label)]
        print(f"{name:10} {root[0]:7.2f} {root[1]:7.2f} {root[2]:9.2f} {root[3]:7.2f} {100 * label / full:8.0f} %")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--exact", nargs="+", type=Path, default=[HEADS], help="portraits with exact landmarks")
    parser.add_argument("--model", default="ibug68")
    chosen = parser.parse_args()
    detectors = {FULL: Detector(chosen.model), GLOBAL: Detector(chosen.model, levels=0)}
    exact = offsets(chosen.exact, detectors)
    found = offsets(chosen.data, detectors)
    print(f"{len(found[FULL])} faces: error of the full system, its part that is the label's or both networks',")
    print(f"what both networks share on {len(exact[FULL])} rendered faces, and what is left for the label")
    tell(found, exact, detectors[FULL].scheme)


if __name__ == "__main__":
    main()
