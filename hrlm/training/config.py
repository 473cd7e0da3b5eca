"""The training configuration: a YAML file, validated before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from hrlm.errors import ConfigError, HrlmError
from hrlm.models.build import ModelConfig
from hrlm.training.entries import read_entries

# starts that are no weight file
FRESH = ("imagenet", "random")
PARTS = ("global", "attention", "regional", "native")
OBJECTIVES = ("soft-argmax", "structured", "awing", "gaussian-nll", "star")
PRECISIONS = ("float32", "bf16", "fp16")


@dataclass(frozen=True)
class Source:
    """Photos with landmarks.

    Args:
        path: a folder of photos with their landmark files, or a table (COCO, CSV, dlib, WFLW list …); relative to the
            configuration file, as every path here.
        format: one of `hrlm.training.sources.FORMATS`; empty to tell it from what is there.
        scheme: the scheme that the landmarks follow, a built-in one's name or a YAML file; empty for the model's.
        map: which of its landmarks is which of the model's: a mapping of names or numbers, or a YAML file with one
            under `pairs`; null for none of them. Landmarks of equal name need no entry.
        photos: the folder that a table's photo names start from; the table's own where not said.
        exclude: a text file of photo names, one a line, that are never read: the faces of a test.
        validation_every: every so many-th photo by name validates instead of training; 0 for none.
        validation_list: a text file of photo names that validate.
        validate: all of it validates.
        limit: at most so many photos train, evenly out of all by name; 0 for all.
        crop: `landmarks` places the face crop by the landmarks, `box` by the box that comes with the data: for animals
            and objects that another program finds.
        max_side: faces are kept with at most this long side (of the cut-out); 0 for what the stages need.
        terms: what the photos' licence asks, carried into the weights.
        share: of all faces shown, 0 to 1; 0 for what the others leave, by number of faces.
        warp: how strongly faces are stretched, sheared and tilted at random, 0 to 0.5; 0.15 makes much of few faces.
        bend: how strongly parts of the face are shifted against each other at random, in parts of its size, 0 to 0.02;
            with few faces 0.012 makes others of them.
        style: stylised faces added for each face, 0 to 1; see `hrlm.training.style`.
        own_convention: the labels mean slightly different points than those that `start` was trained on: before
            training, each label is moved by what is systematic in its distance from `start`'s predictions. Level 2
            learns the labels as they are, and what it finds is moved instead.
    """

    path: Path
    format: str = ""
    scheme: str = ""
    map: dict[Any, Any] | str = field(default_factory=dict)
    photos: Path | None = None
    exclude: Path | None = None
    validation_every: int = 0
    validation_list: Path | None = None
    validate: bool = False
    limit: int = 0
    crop: str = "landmarks"
    max_side: int = 0
    terms: str = ""
    share: float = 0.0
    warp: float = 0.0
    bend: float = 0.0
    style: float = 0.0
    own_convention: bool = False

    def __post_init__(self) -> None:
        for name in ("share", "style"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{self.path}: {name} must lie between 0 and 1, not {getattr(self, name)}")
        if self.crop not in ("landmarks", "box"):
            raise ConfigError(f"{self.path}: crop must be landmarks or box, not {self.crop!r}")
        if not 0 <= self.warp <= 0.5:
            raise ConfigError(f"{self.path}: warp must lie between 0 and 0.5, not {self.warp}")
        if not 0 <= self.bend <= 0.02:
            raise ConfigError(f"{self.path}: bend must lie between 0 and 0.02, not {self.bend}")
        for name in ("max_side", "validation_every", "limit"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{self.path}: {name} must not be negative")
        if bool(self.validation_every) + bool(self.validation_list) + bool(self.validate) > 1:
            raise ConfigError(f"{self.path}: give one of validation_every, validation_list and validate")

    def placed(self, folder: Path) -> Source:
        """The source with its paths taken from `folder`."""
        paths: dict[str, Any] = {
            n: folder / v for n in ("path", "photos", "exclude", "validation_list") if (v := getattr(self, n))
        }
        files: dict[str, Any] = {n: str(folder / v) for n in ("scheme", "map") if is_yaml(v := getattr(self, n))}
        return replace(self, **paths, **files)


def is_yaml(value: Any) -> bool:
    """Whether an entry names a YAML file."""
    return isinstance(value, str) and value.endswith((".yaml", ".yml"))


@dataclass(frozen=True)
class Stage:
    """One part of a training.

    Args:
        name: used in the log and in checkpoints.
        train: which of `global`, `attention` and `regional` learn, or `native` (level 2) alone; the others stay as they
            are.
        samples: photos shown, each with one face crop and, when `regional` learns, its region crops.
        batch: photos a step, over all processes.
        rate: peak learning rate of AdamW (cosine after a warm-up).
        max_side: photos are reduced to this long side (of the cut-out, 2.2 faces wide) before anything else.
        sigma: of the target heat map in cells.
        coordinate_weight: of the coordinate loss, for the objectives that have one.
        validate_every: samples between validations; 0 only at the end.
        backbone_rate: factor of the rate for the pretrained backbone.
        objective: one of `OBJECTIVES`; see docs/objectives.md.
        elongation: so many times as wide as across is the target heat map along a contour; 1 for round.
        elongate_along: `contour`, the scheme's lines through the labels, or `edge`, what the picture shows there.
        margin: factor of the distance cost of `structured`: with a large one a fresh network learns slowly.
        accumulate: parts that a step's batch goes through the networks in, to save memory.
        clip: gradients are scaled down to this norm; 0 for never.
        precision: of the networks: `float32`, `bf16` or, on a GPU, `fp16`. Losses and weights stay float32.
        checkpoint_activations: compute activations twice instead of keeping them: slower, for large regions.
        patience: validations without a better figure after which the stage ends; 0 for never.
        draw_sizes: of regions' crops in pixels, of which every step draws one; none for the model's `region_size`.
    """

    name: str
    train: tuple[str, ...]
    samples: int
    batch: int = 16
    rate: float = 1e-3
    max_side: int = 1024
    sigma: float = 1.0
    coordinate_weight: float = 0.5
    validate_every: int = 0
    backbone_rate: float = 0.5
    objective: str = "soft-argmax"
    elongation: float = 1.0
    elongate_along: str = "contour"
    margin: float = 0.1
    accumulate: int = 1
    clip: float = 5.0
    precision: str = "float32"
    checkpoint_activations: bool = False
    patience: int = 0
    draw_sizes: tuple[int, ...] = ()

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole stage."""
        return self.samples // self.batch

    def __post_init__(self) -> None:
        bad = [p for p in self.train if p not in PARTS]
        if bad or not self.train:
            raise ConfigError(f"stage {self.name}: train must list some of {', '.join(PARTS)}, not {bad or 'nothing'}")
        if "native" in self.train and len(self.train) > 1:
            raise ConfigError(f"stage {self.name}: native learns alone: give it a stage, and a training, of its own")
        if "attention" in self.train and "regional" not in self.train:
            raise ConfigError(
                f"stage {self.name}: attention learns from the regional network's errors: train regional too"
            )
        if "native" in self.train and self.elongation != 1:
            raise ConfigError(f"stage {self.name}: level 2 learns from round labels: leave out elongation")
        if min(self.samples, self.batch, self.max_side, self.rate, self.sigma) <= 0:
            raise ConfigError(f"stage {self.name}: samples, batch, max_side, rate and sigma must be positive")
        if min(self.coordinate_weight, self.backbone_rate, self.validate_every) < 0:
            raise ConfigError(
                f"stage {self.name}: coordinate_weight, backbone_rate and validate_every must not be negative"
            )
        for key, allowed in (
            ("objective", OBJECTIVES),
            ("precision", PRECISIONS),
            ("elongate_along", ("contour", "edge")),
        ):
            if getattr(self, key) not in allowed:
                raise ConfigError(
                    f"stage {self.name}: {key} is {getattr(self, key)!r}: give one of {', '.join(allowed)}"
                )
        if self.elongation < 1 or min(self.margin, self.clip, self.patience) < 0:
            raise ConfigError(f"stage {self.name}: elongation must be 1 or more; margin, clip and patience 0 or more")
        if any(size <= 0 or size % 32 for size in self.draw_sizes):
            raise ConfigError(f"stage {self.name}: draw_sizes must be multiples of 32, not {list(self.draw_sizes)}")
        if self.draw_sizes and "regional" not in self.train:
            raise ConfigError(f"stage {self.name}: draw_sizes serve the regional network: train regional, or drop them")
        if self.accumulate < 1 or self.batch % self.accumulate:
            raise ConfigError(f"stage {self.name}: accumulate must divide the batch of {self.batch} into equal parts")
        if self.patience and not self.validate_every:
            raise ConfigError(f"stage {self.name}: patience counts validations: set validate_every as well")
        if not self.steps:
            raise ConfigError(
                f"stage {self.name}: {self.samples} samples are not one step of a batch of {self.batch}: raise samples"
            )


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
        cache: memory for faces that are kept decoded, such as `4G` or `500M`; others are read again when shown.
        style_judge: the trained model that stylised faces must still be read right by; empty for `start`.
        checkpoint_seconds: at most so much work is lost when a training is stopped.
        keep: `last`, or `best`: at the end of each stage go on with, and write, the averaged weights that had the best
            figure on the validation faces in that stage.
        tensorboard: write the log for TensorBoard too; needs the extra `tensorboard`.
        model: overrides of `hrlm.models.build.ModelConfig`; on top of a weight file only the tiles' sizes, a smaller
            `regional_coarsest`, and those of level 2.
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
    keep: str = "last"
    tensorboard: bool = False
    cache: str = "4G"
    style_judge: str = ""
    model: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name or any(c in "/\\" or not c.isprintable() for c in self.name):
            raise ConfigError(f"name is {self.name!r}: it names a file: leave out slashes, and say where with out")
        model = read_entries(ModelConfig, self.model, "model", without=("name", "scheme", "shape_modes"))
        object.__setattr__(self, "model", model)
        ModelConfig("", "", **model)
        if not 0 <= self.seed < 1 << 32:
            raise ConfigError(f"seed is {self.seed}: give a number from 0 to {(1 << 32) - 1}")
        if not 0 <= self.ema <= 1:
            raise ConfigError(f"ema is {self.ema}: it is a share: give a number from 0 to 1")
        if min(self.workers, self.checkpoint_seconds) < 0:
            raise ConfigError("workers and checkpoint_seconds must not be negative")
        if self.start not in FRESH and not self.start.endswith(".safetensors"):
            raise ConfigError(f"start is {self.start!r}: give imagenet, random or a .safetensors file")
        if self.keep not in ("last", "best"):
            raise ConfigError(f"keep is {self.keep!r}: give last or best")
        if self.start in FRESH and any(s.own_convention for s in self.data):
            raise ConfigError("own_convention compares labels with a trained model's: start from a .safetensors file")
        if self.start in FRESH and not self.style_judge and any(s.style for s in self.data):
            raise ConfigError("style keeps what a trained model still reads right: name one as style_judge")
        if self.native and self.start in FRESH:
            raise ConfigError("level 2 refines a trained model's landmarks: start from a .safetensors file")
        if not self.stages and self.start in FRESH:
            raise ConfigError("without stages nothing is learnt: list some, or start from a .safetensors file")
        if not self.native and any("native" in s.train for s in self.stages):
            raise ConfigError("native learns in a training of its own: take its stage into another configuration")
        cache_bytes(self.cache)
        for key in ("start", "style_judge"):
            if _same_file(Path(getattr(self, key)), self.weights):
                raise ConfigError(f"{key} ({self.weights}) would be replaced by the result: change name or out")
        training = [s for s in self.data if not s.validate]
        shared = sum(s.share for s in training)
        if shared > 1 + 1e-9 or (shared < 1 - 1e-9 and all(s.share for s in training) and training):
            raise ConfigError(f"the sources' shares add up to {shared:g}: give 1 in all, or leave one source without")
        unseen = [s for s in training if not s.share and s.validation_every != 1]
        if shared > 1 - 1e-9 and unseen and self.stages:
            raise ConfigError(
                f"{unseen[0].path} has no share, and the others' add up to 1, so that it would never be shown: "
                "lower their shares, or let it validate"
            )

    @property
    def weights(self) -> Path:
        """The file that is written in the end."""
        return self.out / f"hrlm-{self.name}.safetensors"

    @property
    def native(self) -> bool:
        """Whether it is level 2 that learns."""
        return bool(self.stages) and all(s.train == ("native",) for s in self.stages)

    @property
    def refines(self) -> bool:
        """Whether the levels 0 and 1 stay as they are."""
        return self.native or not self.stages

    @property
    def max_side(self) -> int:
        """What faces are kept with at most, long side in pixels."""
        return max((s.max_side for s in self.stages), default=Stage.max_side)


def _same_file(a: Path, b: Path) -> bool:
    try:
        return a.samefile(b)
    except OSError:
        return False


def cache_bytes(text: str) -> int:
    """Bytes of a size such as `4G`, `500M` or `0`.

    Raises:
        ConfigError: it is none.
    """
    digits, unit = (text[:-1], text[-1:].upper()) if text[-1:].isalpha() else (text, "")
    try:
        size = float(digits) * {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}[unit]
        if not 0 <= size < float("inf"):
            raise ValueError
    except (KeyError, ValueError):
        raise ConfigError(f"cache is {text!r}: give a size such as 4G or 500M") from None
    return int(size)


def read_config(path: Path) -> TrainConfig:
    """Read a configuration; relative paths in it are relative to its folder.

    Raises:
        ConfigError: unreadable, unknown or missing entries, each named.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise ConfigError(f"{path}: cannot be read ({e.strerror}): check the path") from e
    # of a date that there is not, too
    except (yaml.YAMLError, ValueError) as e:
        raise ConfigError(f"{path}: is not valid YAML: {' '.join(str(e).split())}") from e
    try:
        return _build(data, path.parent)
    except HrlmError as e:
        raise ConfigError(f"{path}: {e}") from None


def _build(data: Any, folder: Path) -> TrainConfig:
    if not isinstance(data, dict):
        raise ConfigError("must be a mapping with name, out, data and stages")
    for key in ("name", "out", "data", "stages"):
        if not data.get(key) and (key, data.get(key)) != ("stages", []):
            raise ConfigError(f"lacks {key!r}: add it")
    entries = read_entries(TrainConfig, data, "")
    entries["out"] = folder / entries["out"]
    entries["data"] = tuple(source.placed(folder) for source in entries["data"])
    for key in ("scheme", "start", "style_judge"):
        if entries.get(key, "").endswith((".yaml", ".yml", ".safetensors")):
            entries[key] = str(folder / entries[key])
    return TrainConfig(**entries)
