"""What each variant's networks cost, one face at a time, on a CPU: python tests/benchmarks/networks.py"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from hrlm.detector import Detector
from hrlm.photos import open_photo

HEADS = Path(__file__).parents[2] / "examples" / "heads"
VARIANTS = (
    ("ibug68", "best", 2),
    ("ibug68", "best", 1),
    ("ibug68", "best", 0),
    ("ibug68", "fast", 1),
    ("ibug68-small", "fast", 1),
    ("ibug68", "fast", 0),
)
ROUNDS = 3


def main() -> None:
    """Measure and print; the variants take turns, since machines are noisy."""
    photos = [open_photo(path) for path in sorted(HEADS.glob("*.jpg"))[:8]]
    detectors = {(m, q, k): Detector(m, device="cpu", quality=q, levels=k) for m, q, k in VARIANTS}
    taken: dict[tuple[str, str, int], list[float]] = {variant: [] for variant in VARIANTS}
    crops = [detectors[VARIANTS[0]].first_crops(detectors[VARIANTS[0]].find(photo)) for photo in photos]
    for detector in detectors.values():
        detector.locate(photos[:1], crops[:1])
    for _ in range(ROUNDS):
        for variant, detector in detectors.items():
            for photo, own in zip(photos, crops, strict=True):
                start = time.perf_counter()
                detector.locate([photo], [own])
                taken[variant].append((time.perf_counter() - start) / len(own))
    for (model, quality, levels), each in taken.items():
        print(f"--model {model} --quality {quality} --levels {levels}: {1000 * statistics.median(each):.0f} ms a face")


if __name__ == "__main__":
    main()
