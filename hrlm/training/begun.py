"""What a training was begun with: its checkpoint holds it, so that it goes on with nothing else."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from hrlm.errors import ConfigError
from hrlm.models.build import ModelConfig, find_weights
from hrlm.schemes import Scheme
from hrlm.training.config import FRESH, Source, TrainConfig
from hrlm.training.data import Entry, SourceSamples

# of a source, beside its faces
SHOWN = ("terms", "share", "limit", "validate", "validation_every")
OF_A_SOURCE = (*SHOWN, "crop", "max_side", "warp", "bend", "style", "own_convention")
# of a scheme, beside its regions, and its contours where labels are elongated along them; its shape shows in the faces
OF_A_SCHEME = ("landmarks", "mirror", "normaliser")
# what a stage that is going on may change: how it gets over a failed step, or fits into memory
GOES_ON = {"rate", "backbone_rate", "clip", "precision", "accumulate", "patience", "validate_every"}
# characters of both values that a message may show
LONGEST = 100


def fingerprint(faces: Sequence[Entry]) -> str:
    """How many faces, and a digest of their photos' names and labels."""
    found = hashlib.sha256()
    for face in faces:
        found.update(os.fsencode(face.photo.name))
        # what a missing landmark is filled up with may differ between machines in the last digits
        found.update((np.round(np.asarray(face.points, np.float64), 2) + 0.0).tobytes())
        found.update(b"all" if face.visible is None else np.packbits(face.visible).tobytes())
    return f"{len(faces)} faces, digest {found.hexdigest()[:16]}"


def described_data(loaded: Sequence[SourceSamples]) -> dict[str, Any]:
    """The faces as they were labelled, whether their photos can be read today or not, before any is moved or added."""
    training = [_described_source(own) for own in loaded if own.training.labelled]
    return {"data": training, "validation": fingerprint([e for own in loaded for e in own.validation.labelled])}


def _described_source(own: SourceSamples) -> dict[str, Any]:
    source: Source = own.source
    faces = [*own.training.labelled, *(own.validation.labelled if source.own_convention else ())]
    # of a folder that is given as `.`, too
    name = Path(os.path.abspath(source.path)).name  # noqa: PTH100
    return {"path": name, **{n: getattr(source, n) for n in OF_A_SOURCE}, "faces": fingerprint(faces)}


def described(config: TrainConfig, model: ModelConfig, scheme: Scheme, data: Mapping[str, Any]) -> dict[str, Any]:
    """What decides a training's weights and what they say of themselves, in plain values.

    Args:
        data: of `described_data`.
    """
    given = {n: list(getattr(scheme, n)) for n in OF_A_SCHEME}
    regions = [[list(r.landmarks), r.mirrored] for r in scheme.regions]
    contours = [[list(c.landmarks), c.closed] for c in scheme.contours]
    styled = any(s["style"] for s in data.get("data", ()))
    return {
        "start": config.start if config.start in FRESH else _digest(config.start),
        "style_judge": _digest(config.style_judge) if styled and config.style_judge else "",
        "seed": config.seed,
        "ema": config.ema,
        "keep": config.keep,
        "scheme": {**given, "regions": regions, "contours": contours},
        "model": {k: v for k, v in asdict(model).items() if k not in ("name", "scheme", "shape_modes")},
        "stages": [asdict(s) for s in config.stages],
        **data,
    }


def _digest(weights: str) -> str:
    with find_weights(weights).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def refuse_changes(path: Path, then: Mapping[str, Any], now: Mapping[str, Any], stage: int, step: int) -> list[str]:
    """Make sure that a training goes on with what it was begun with.

    Where faces are still to be shown, others may be, with mended labels for instance; not where it is their number that
    decides which of them validate: some that were trained on would.

    Args:
        path: the checkpoint.
        then, now: of `described`, as the checkpoint holds it and of the configuration.
        stage, step: where the training stands; what comes later may be another.

    Returns:
        a line for each source that shows other faces from now on.

    Raises:
        ConfigError: something that was used has changed, named.
    """
    sources = list(zip(then["data"], now["data"], strict=False))
    others = [e for one, other in sources for e in _differences(f"data: {one['path']}: ", one, other, {"faces"})]
    used = others if stage >= len(now["stages"]) or then["validation"] != now["validation"] else []
    for entry in (*_changes(then, now, stage, step), *used):
        raise ConfigError(
            f"{path}: was begun with another {entry}: set it back, remove the file to begin anew, or change out"
        )
    return [f"{path}: was begun with another {entry}, and goes on with what is there now" for entry in others]


def _changes(then: Mapping[str, Any], now: Mapping[str, Any], stage: int, step: int) -> Iterator[str]:
    used = then["stages"][: stage + (step > 0)]
    judged = then["keep"] == "best" or any(s["patience"] for s in used)
    yield from _differences("", then, now, {"start", "style_judge", "seed", "ema", *(["keep"] if stage else [])})
    yield from _differences("model: ", then["model"], now["model"])
    along = {"contours"} if any(s["elongation"] != 1 for s in used) else set()
    yield from _differences("scheme: ", then["scheme"], now["scheme"], {*OF_A_SCHEME, "regions", *along})
    yield from _stage_changes(used, now["stages"], stage, judged)
    ours, theirs = ([s["path"] for s in each["data"]] for each in (then, now))
    if ours != theirs:
        yield f"data ({', '.join(ours)}; now {', '.join(theirs)})"
    for one, other in zip(then["data"], now["data"], strict=False):
        yield from _differences(f"data: {one['path']}: ", one, other, set(one) - {"faces"})
    if judged and then["validation"] != now["validation"]:
        yield f"validation ({then['validation']}; now {now['validation']})"


def _stage_changes(
    used: Sequence[Mapping[str, Any]], stages: Sequence[Mapping[str, Any]], stage: int, judged: bool
) -> Iterator[str]:
    neutral = {"checkpoint_activations"} | (set() if judged else {"validate_every"})
    for number, one in enumerate(used):
        if number == len(stages):
            yield f"stage {number + 1} ({one['name']!r}; now none)"
            return
        free = neutral | (GOES_ON if number == stage else set())
        yield from _differences(f"stage {number + 1}: ", one, stages[number], set(one) - free)


def _differences(
    where: str, then: Mapping[str, Any], now: Mapping[str, Any], keys: set[str] | None = None
) -> Iterator[str]:
    """Entries that differ, each with both values where they are short; what only one version of hrlm knows is none."""
    for key in then:
        if key in now and (keys is None or key in keys) and then[key] != now[key]:
            told = f" ({then[key]!r}; now {now[key]!r})"
            yield f"{where}{key}" + (told if len(told) < LONGEST else "")
