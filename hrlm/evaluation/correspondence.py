"""Which points of another laboratory's template are which landmarks of a scheme."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from hrlm.errors import DataError
from hrlm.schemes import Scheme

FOLDER = Path(__file__).parent / "maps"


@dataclass(frozen=True)
class Correspondence:
    """A template of `points` points, some of which are landmarks of the scheme: template index to landmark index."""

    points: int
    scheme: str
    pairs: Mapping[int, int]

    def to_scheme(self, template: np.ndarray, scheme: Scheme) -> np.ndarray:
        """The scheme's landmarks `(N, 2)` out of a template `(points, 2)`; NaN for those that it lacks."""
        landmarks = np.full((len(scheme), 2), np.nan)
        landmarks[list(self.pairs.values())] = template[list(self.pairs)]
        return landmarks


def correspondences(scheme: Scheme, given: Path | None = None) -> dict[int, Correspondence]:
    """The known correspondences to a scheme by number of template points; a `given` YAML file's comes first.

    Raises:
        DataError: the file cannot be used, or is of another scheme.
    """
    built_in = (read_correspondence(file, scheme) for file in sorted(FOLDER.glob("*.yaml")))
    known = [c for c in built_in if c.scheme == scheme.name]
    if given:
        own = read_correspondence(given, scheme)
        if own.scheme != scheme.name:
            raise DataError(
                f"{given}: is a map to the scheme {own.scheme!r} where the model's is {scheme.name!r}: give one to that"
            )
        known.append(own)
    return {c.points: c for c in known}


def read_correspondence(path: Path, scheme: Scheme) -> Correspondence:
    """Read a YAML file with `points`, `scheme` and `pairs` (template index: landmark index or name).

    Raises:
        DataError: unreadable, or with a point or landmark that does not exist.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        count, name = int(data["points"]), str(data["scheme"])
        if name != scheme.name:
            return Correspondence(count, name, {})
        names = {landmark: i for i, landmark in enumerate(scheme.landmarks)}
        pairs = {int(point): int(names.get(to, to)) for point, to in data["pairs"].items()}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as e:
        raise DataError(f"{path}: cannot be read ({' '.join(str(e).split())}): give a YAML file") from e
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise DataError(f"{path}: needs points, scheme and pairs of whole numbers ({e}): see docs/benchmark.md") from e
    lost = [p for p in pairs if not 0 <= p < count] or [i for i in pairs.values() if not 0 <= i < len(scheme)]
    if lost or len(set(pairs.values())) != len(pairs):
        reason = f"there is no {lost[0]}" if lost else "a landmark stands twice"
        raise DataError(f"{path}: pairs: {reason}: points go from 0 to {count - 1}, landmarks to {len(scheme) - 1}")
    if not set(scheme.normaliser) <= set(pairs.values()):
        raise DataError(
            f"{path}: pairs lack a landmark of {scheme.normaliser}, whose distance measures the face: add it"
        )
    return Correspondence(count, name, pairs)
