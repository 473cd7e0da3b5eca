"""The training configuration: a YAML file, validated before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from hrlm.errors import ConfigError

T = TypeVar("T")
# starts that are no weight file
FRESH = ("imagenet", "random")
PARTS = ("global", "attention", "regional")


@dataclass(frozen=True)
class Source:
    """A folder of photos with landmark files.

    Args:
        path: the folder; relative to the configuration file.
        validation_every: every so many-th photo by name validates instead of training; 0 for none.
        terms: what the photos' licence asks, carried into the weights.
        share: of all faces shown, 0 to 1; 0 for what the others leave, by number of faces.
        own_convention: the labels mean slightly different points than those that `start` was trained on: before
            training, each label is moved by what is systematic in its distance from `start`'s predictions.
    """

    path: Path
    validation_every: int = 0
    terms: str = ""
    share: float = 0.0
    own_convention: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ConfigError(f"{self.path}: share must lie between 0 and 1, not {self.share}")


@dataclass(frozen=True)
class Stage:
    """One part of a training.

    Args:
        name: used in the log and in checkpoints.
        train: which of `global`, `attention` and `regional` learn; the others stay as they are.
        samples: photos shown, each with one face crop and, when `regional` learns, `regions` region crops.
        batch: photos a step.
        rate: peak learning rate of AdamW (cosine after a warm-up).
        max_side: photos are reduced to this long side (of the cut-out, 2.2 faces wide) before anything else.
        regions: region crops a photo, drawn at random; 0 for all.
        sigma: of the target heat map in cells.
        coordinate_weight: of the coordinate loss.
        validate_every: samples between validations; 0 only at the end.
        backbone_rate: factor of the rate for the pretrained backbone.
    """

    name: str
    train: tuple[str, ...]
    samples: int
    batch: int = 16
    rate: float = 1e-3
    max_side: int = 1024
    regions: int = 0
    sigma: float = 1.0
    coordinate_weight: float = 0.5
    validate_every: int = 0
    backbone_rate: float = 0.5

    def __post_init__(self) -> None:
        bad = [p for p in self.train if p not in PARTS]
        if bad or not self.train:
            raise ConfigError(f"stage {self.name}: train must list some of {', '.join(PARTS)}, not {bad or 'nothing'}")
        if min(self.samples, self.batch, self.max_side) <= 0 or self.rate <= 0:
            raise ConfigError(f"stage {self.name}: samples, batch, max_side and rate must be positive")


@dataclass(frozen=True)
class TrainConfig:
    """Everything a training needs.

    Args:
        name: of the model; the weights become `hrlm-NAME.safetensors`.
        version: results carry it.
        scheme: a built-in scheme's name or a YAML file.
        out: folder for checkpoints, log and weights; relative to the configuration file.
        start: `imagenet`, `random`, or a weight file to fine-tune.
        workers: threads that prepare batches.
        ema: decay a step of the averaged weights, which are what is validated and written.
        checkpoint_seconds: at most so much work is lost when a training is stopped.
        model: overrides of `hrlm.models.build.ModelConfig`.
    """

    name: str
    out: Path
    data: tuple[Source, ...]
    stages: tuple[Stage, ...]
    scheme: str = "ibug68"
    version: str = "1"
    start: str = "imagenet"
    seed: int = 0
    workers: int = 2
    ema: float = 0.998
    checkpoint_seconds: float = 120
    model: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.start not in FRESH and not self.start.endswith(".safetensors"):
            raise ConfigError(f"start is {self.start!r}: give imagenet, random or a .safetensors file")
        if self.start in FRESH and any(s.own_convention for s in self.data):
            raise ConfigError("own_convention compares labels with a trained model's: start from a .safetensors file")
        shared = sum(s.share for s in self.data)
        if shared > 1 + 1e-9 or (shared < 1 - 1e-9 and all(s.share for s in self.data) and self.data):
            raise ConfigError(f"the sources' shares add up to {shared:g}: give 1 in all, or leave one source without")


def read_config(path: Path) -> TrainConfig:
    """Read a configuration; relative paths in it are relative to its folder.

    Raises:
        ConfigError: unreadable, unknown or missing entries, each named.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise ConfigError(f"{path}: cannot be read ({e.strerror}): check the path") from e
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path}: is not valid YAML: {' '.join(str(e).split())}") from e
    try:
        return _build(data, path.parent)
    except (ConfigError, TypeError, ValueError) as e:
        raise ConfigError(f"{path}: {e}") from None


def _build(data: Any, folder: Path) -> TrainConfig:
    if not isinstance(data, dict):
        raise ConfigError("must be a mapping with name, out, data and stages")
    data = dict(data)
    for key in ("name", "out", "data", "stages"):
        if not data.get(key):
            raise ConfigError(f"lacks {key!r}: add it")
    data["out"] = folder / data["out"]
    sources = [_make(Source, d, "data") for d in data["data"]]
    data["data"] = tuple(replace(s, path=folder / s.path) for s in sources)
    data["stages"] = tuple(_make(Stage, {**d, "train": tuple(d.get("train", ()))}, "stages") for d in data["stages"])
    for key in ("scheme", "start"):
        value = str(data.get(key, ""))
        if value.endswith((".yaml", ".yml", ".safetensors")):
            data[key] = str(folder / value)
    return _make(TrainConfig, data, "configuration")


def _make(kind: type[T], values: Any, where: str) -> T:
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: {values!r} must be a mapping")
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    unknown = set(values) - known
    if unknown:
        raise ConfigError(f"{where}: unknown entry {min(unknown)!r}; known are {', '.join(sorted(known))}")
    return kind(**values)
