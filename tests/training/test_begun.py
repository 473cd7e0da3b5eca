"""What a training was begun with decides what it may go on with."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from drawn import SCHEME, draw

from hrlm.errors import ConfigError
from hrlm.models.build import ModelConfig, load_model
from hrlm.schemes import parse_scheme
from hrlm.training.begun import described, described_data, refuse_changes
from hrlm.training.config import Source, Stage, TrainConfig, cache_bytes
from hrlm.training.data import Memory, load_sources
from hrlm.training.trainer import Trainer

CPU = torch.device("cpu")
SMALL = {"face_size": 64, "region_size": 64, "global_width": 8, "regional_width": 8}
STAGES = (
    Stage("global", ("global",), samples=16, batch=8),
    Stage("regional", ("regional",), samples=32, batch=8),
    Stage("more", ("regional",), samples=16, batch=8),
)


def config(folder: Path, **others: Any) -> TrainConfig:
    if not (folder / "photos").exists():
        draw(folder / "photos", 6)
        draw(folder / "others", 3, seed=1)
        (folder / "marks4.yaml").write_text(SCHEME)
    source = Source(folder / "photos", validation_every=3, terms="research only")
    made = TrainConfig(
        "marks", folder / "out", (source,), STAGES, str(folder / "marks4.yaml"), start="random", model=SMALL
    )
    return replace(made, **others)


def of(settings: TrainConfig, scheme: str = SCHEME) -> dict[str, Any]:
    parsed = parse_scheme(scheme)
    memory = Memory(cache_bytes(settings.cache))
    loaded = load_sources(settings.data, parsed, settings.max_side, memory, lambda _: None)
    return described(settings, ModelConfig("marks", scheme, **settings.model), parsed, described_data(loaded))


def stages(number: int, **changes: Any) -> tuple[Stage, ...]:
    return tuple(replace(s, **changes) if i == number else s for i, s in enumerate(STAGES))


def source(settings: TrainConfig, **changes: Any) -> tuple[Source, ...]:
    return (replace(settings.data[0], **changes),)


@pytest.mark.parametrize(
    ("change", "entry"),
    [
        (lambda c: replace(c, seed=1), r"seed \(0; now 1\)"),
        (lambda c: replace(c, ema=0.5), "ema"),
        (lambda c: replace(c, keep="best"), r"keep \('last'; now 'best'\)"),
        (lambda c: replace(c, start="imagenet"), r"start \('random'; now 'imagenet'\)"),
        (lambda c: replace(c, model={**SMALL, "face_margin": 1.3}), r"model: face_margin \(1.5; now 1.3\)"),
        (lambda c: replace(c, stages=STAGES[1:]), r"stage 1: name \('global'; now 'regional'\)"),
        (lambda c: replace(c, stages=STAGES[:1]), r"stage 2 \('regional'; now none\)"),
        (lambda c: replace(c, stages=stages(0, rate=1e-4)), "stage 1: rate"),
        (lambda c: replace(c, stages=stages(1, samples=8)), r"stage 2: samples \(32; now 8\)"),
        (lambda c: replace(c, stages=stages(1, objective="awing")), "stage 2: objective"),
        (lambda c: replace(c, data=source(c, terms="mine, CC0")), "data: photos: terms .*'mine, CC0'"),
        (lambda c: replace(c, data=source(c, warp=0.1)), "data: photos: warp"),
        (lambda c: replace(c, data=source(c, limit=2)), "data: photos: limit .0; now 2"),
        (lambda c: replace(c, data=source(c, validation_every=2)), "data: photos: validation_every .3; now 2"),
        (lambda c: replace(c, data=(*c.data, Source(c.data[0].path))), r"data \(photos; now photos, photos\)"),
    ],
)
def test_a_training_does_not_go_on_with_what_it_was_not_begun_with(
    tmp_path: Path, change: Callable[[TrainConfig], TrainConfig], entry: str
) -> None:
    """Within the second of three stages."""
    begun = config(tmp_path)
    cure = r": set it back, remove the file to begin anew, or change out$"
    with pytest.raises(ConfigError, match=rf"checkpoint\.pt: was begun with another {entry}.*{cure}"):
        refuse_changes(tmp_path / "checkpoint.pt", of(begun), of(change(begun)), 1, 3)


def test_other_labels_photos_and_mirror_pairs_are_others(tmp_path: Path) -> None:
    begun = config(tmp_path)
    then, path = of(begun), tmp_path / "checkpoint.pt"
    with pytest.raises(ConfigError, match=r"another scheme: mirror"):
        refuse_changes(path, then, of(begun, SCHEME.replace("[[0, 1]]", "[[2, 3]]")), 1, 3)
    assert refuse_changes(path, then, of(begun), 1, 3) == []
    move_a_landmark(tmp_path / "photos" / "d01.pts")
    assert "faces ('4 faces" in refuse_changes(path, then, of(begun), 1, 3)[0]
    assert "goes on" in refuse_changes(path, then, of(begun), 1, 3)[0]
    # nothing would learn from the mended one
    with pytest.raises(ConfigError, match=r"another data: photos: faces .'4 faces, .*; now '4 faces,"):
        refuse_changes(path, then, of(begun), 3, 0)
    # another photo, and others validate
    draw(tmp_path / "more", 1, seed=5)
    for file in (tmp_path / "more").iterdir():
        file.rename(tmp_path / "photos" / f"a{file.name}")
    with pytest.raises(ConfigError, match=r"another data: photos: faces"):
        refuse_changes(path, then, of(begun), 1, 3)


def move_a_landmark(label: Path) -> None:
    label.write_text(label.read_text().replace("{\n", "{\n1").replace("{\n1-", "{\n-1"))


def test_photos_that_cannot_be_read_today_are_the_same_faces(tmp_path: Path) -> None:
    begun = config(tmp_path)
    then = of(begun)
    photo = tmp_path / "photos" / "d01.png"
    photo.write_bytes(photo.read_bytes()[:200])
    for cache in ("4G", "0"):
        assert refuse_changes(tmp_path / "checkpoint.pt", then, of(replace(begun, cache=cache)), 3, 0) == []


def test_a_folder_has_its_name_wherever_it_is_named_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = config(tmp_path)
    then = of(begun)
    monkeypatch.chdir(tmp_path / "photos")
    assert refuse_changes(tmp_path / "c.pt", then, of(replace(begun, data=source(begun, path=Path()))), 3, 0) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda c: replace(c, workers=5, cache="0", checkpoint_seconds=9.0, tensorboard=True, name="other", version="2"),
        lambda c: replace(c, stages=stages(2, samples=64, objective="awing", rate=1e-4)),
        lambda c: replace(c, stages=(*STAGES[:2], replace(STAGES[2], name="another"), STAGES[2])),
        lambda c: replace(c, stages=STAGES[:2]),
        lambda c: replace(c, stages=stages(0, validate_every=8, checkpoint_activations=True)),
        # what gets it over a failed step, or into less memory
        lambda c: replace(c, stages=stages(1, rate=1e-4, clip=1.0, precision="bf16", accumulate=2, validate_every=8)),
        lambda c: replace(c, data=(*c.data, Source(c.out.parent / "others", validate=True))),
    ],
)
def test_what_decides_no_weights_or_comes_later_may_change(
    tmp_path: Path, change: Callable[[TrainConfig], TrainConfig]
) -> None:
    begun = config(tmp_path)
    refuse_changes(tmp_path / "checkpoint.pt", of(begun), of(change(begun)), 1, 3)


def test_photos_may_move_and_an_entry_of_a_later_hrlm_says_nothing(tmp_path: Path) -> None:
    begun = config(tmp_path)
    then = of(begun)
    (tmp_path / "photos").rename(tmp_path / "elsewhere")
    (tmp_path / "new").mkdir()
    (tmp_path / "elsewhere").rename(tmp_path / "new" / "photos")
    now = of(replace(begun, data=source(begun, path=tmp_path / "new" / "photos")))
    now["model"]["new"] = now["data"][0]["new"] = now["stages"][0]["new"] = 1
    refuse_changes(tmp_path / "checkpoint.pt", then, now, 3, 0)


def test_validation_faces_decide_where_the_best_is_kept(tmp_path: Path) -> None:
    begun = config(tmp_path, keep="best")
    other = replace(begun, data=(*begun.data, Source(tmp_path / "others", validate=True)))
    with pytest.raises(ConfigError, match=r"another validation .2 faces, .*; now 5 faces"):
        refuse_changes(tmp_path / "checkpoint.pt", of(begun), of(other), 1, 3)
    with pytest.raises(ConfigError, match="another stage 1: validate_every"):
        refuse_changes(
            tmp_path / "checkpoint.pt", of(begun), of(replace(begun, stages=stages(0, validate_every=8))), 1, 3
        )


def train(settings: TrainConfig) -> list[str]:
    lines: list[str] = []
    Trainer(settings, CPU, lines.append, lambda *_: None).run()
    return lines


def test_a_finished_training_says_so_and_writes_the_same_and_never_something_else(tmp_path: Path) -> None:
    settings = config(tmp_path, stages=STAGES[:1])
    train(settings)
    first = load_model(settings.weights)
    lines = train(replace(settings, workers=1))
    assert any("checkpoint.pt: is finished already: nothing more is learnt" in line for line in lines)
    again = load_model(settings.weights)
    assert again.metadata == first.metadata
    assert all(torch.equal(a, b) for a, b in zip(*(m.net.state_dict().values() for m in (first, again)), strict=True))
    written = settings.weights.read_bytes()
    with pytest.raises(ConfigError, match="another data: photos: terms"):
        train(replace(settings, data=source(settings, terms="mine, CC0")))
    assert settings.weights.read_bytes() == written
    # one of an older hrlm is gone on with, and a stage may follow
    state = torch.load(settings.out / "checkpoint.pt", weights_only=True)
    del state["begun"]
    torch.save(state, settings.out / "checkpoint.pt")
    lines = train(replace(settings, stages=(STAGES[0], replace(STAGES[1], samples=8))))
    assert any("an older hrlm" in line for line in lines)
    assert any("resuming from" in line and "stage 2, step 0" in line for line in lines)
    assert load_model(settings.weights).metadata["samples"] == {"global": 16, "regional": 8}


def test_another_weight_file_of_the_same_name_is_another_start(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"one")
    begun = config(tmp_path, start=str(path))
    then = of(begun)
    moved = tmp_path / "b.safetensors"
    path.rename(moved)
    refuse_changes(tmp_path / "checkpoint.pt", then, of(replace(begun, start=str(moved))), 1, 3)
    path.write_bytes(b"another")
    with pytest.raises(ConfigError, match=r"another start: set it back"):
        refuse_changes(tmp_path / "checkpoint.pt", then, of(begun), 1, 3)
