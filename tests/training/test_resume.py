"""Stopping, going on, keeping the best, failing: what a night's training goes through."""

import csv
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from drawn import SCHEME, draw

from hrlm.errors import ConfigError, DataError, DependencyError, HrlmError
from hrlm.models.build import load_model
from hrlm.training import trainer as trainer_module
from hrlm.training.config import Source, Stage, TrainConfig
from hrlm.training.smoke import rehearse
from hrlm.training.trainer import Trainer

CPU = torch.device("cpu")
SMALL = {"face_size": 64, "region_size": 64, "global_width": 8, "regional_width": 8}
STAGES = (
    Stage("global", ("global",), samples=12, batch=4, rate=2e-3, validate_every=4),
    Stage("all", ("global", "attention", "regional"), samples=12, batch=4, objective="structured", validate_every=4),
)


def config(tmp_path: Path, out: str, stages: tuple[Stage, ...] = STAGES, **others: object) -> TrainConfig:
    scheme = tmp_path / "marks4.yaml"
    scheme.write_text(SCHEME)
    if not (tmp_path / "photos").exists():
        draw(tmp_path / "photos", 10)
    source = Source(tmp_path / "photos", validation_every=5)
    made = TrainConfig(
        "marks", tmp_path / out, (source,), stages, str(scheme), start="random", checkpoint_seconds=0, model=SMALL
    )
    return replace(made, **others)  # type: ignore[arg-type]


def train(settings: TrainConfig, stop_after: int | None = None) -> list[str]:
    lines: list[str] = []
    steps = 0

    def progress(stage: str, done: int, total: int, loss: float) -> None:
        nonlocal steps
        steps += 1
        if steps == stop_after:
            raise KeyboardInterrupt

    try:
        Trainer(settings, CPU, lines.append, progress).run()
    except KeyboardInterrupt:
        lines.append("stopped")
    return lines


def checkpoint(settings: TrainConfig, name: str = "checkpoint.pt") -> dict:
    return torch.load(settings.out / name, weights_only=True)


def test_going_on_gives_the_same_bits(tmp_path: Path) -> None:
    """Stopped twice, in the middle of both stages, against never: weights, averages and the optimiser's state."""
    whole, parts = config(tmp_path, "whole", keep="best"), config(tmp_path, "parts", keep="best")
    train(whole)
    assert "stopped" in train(parts, 3)
    assert "stopped" in train(parts, 3)
    assert "stopped" not in train(parts)
    a, b = checkpoint(whole), checkpoint(parts)
    assert str(a.keys()) == str(b.keys())
    for kind in ("net", "ema"):
        for name, tensor in a[kind].items():
            assert torch.equal(tensor, b[kind][name]), name
    for key, state in a["optimizer"]["state"].items():
        for name, value in state.items():
            assert torch.equal(value, b["optimizer"]["state"][key][name]), (key, name)
    assert torch.equal(a["generator"], b["generator"])
    written = [load_model(p.out / "hrlm-marks.safetensors").net.state_dict() for p in (whole, parts)]
    assert all(torch.equal(tensor, written[1][name]) for name, tensor in written[0].items())


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path: Path) -> None:
    made = []
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        settings = config(tmp_path, out, STAGES[:1], seed=seed)
        train(settings)
        made.append(checkpoint(settings)["net"]["global_net.score.weight"])
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_a_stop_while_the_checkpoint_is_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(tmp_path, "a", STAGES[:1])
    train(settings, 3)
    before = (settings.out / "checkpoint.pt").read_bytes()

    def torn(content: object, file: object) -> None:
        file.write(b"half a")  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", torn)
    train(settings)
    assert (settings.out / "checkpoint.pt").read_bytes() == before
    assert not list(settings.out.glob(".hrlm*"))


def figures_in_turn(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    """Validation answers these figures, the last one for ever."""
    left = list(values)

    def validate(*_: object) -> dict[str, float]:
        value = left.pop(0) if len(left) > 1 else left[0]
        return dict.fromkeys(("global nme", "global inner", "full nme", "full inner"), value)

    monkeypatch.setattr(trainer_module, "validate", validate)


def test_the_best_is_kept_beside_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for keep in ("last", "best"):
        figures_in_turn(monkeypatch, [5.0, 3.0, 4.0])
        settings = config(tmp_path, keep, STAGES[:1], keep=keep)
        lines = train(settings)
        best, last = checkpoint(settings, "best.pt"), checkpoint(settings)
        assert (best["stage"], best["step"], best["figures"]["global nme"]) == (0, 2, 3.0)
        name = "global_net.score.weight"
        assert torch.equal(best["ema"][name], last["ema"][name]) == (keep == "best")
        assert any("kept the weights of step 2" in line for line in lines) == (keep == "best")
        written = load_model(settings.out / "hrlm-marks.safetensors").net.state_dict()[name]
        assert torch.equal(written, last["ema"][name].half().float())


def test_a_stage_ends_when_nothing_gets_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures_in_turn(monkeypatch, [5.0, 3.0, 4.0])
    stage = replace(STAGES[0], samples=800, patience=2)
    settings = config(tmp_path, "a", (stage,))
    lines = train(settings, stop_after=3)
    # what was waited is not forgotten when the training goes on
    lines += train(settings, stop_after=10)
    assert any("ends early, 2 validations without a better figure" in line for line in lines)
    assert len((settings.out / "log.csv").read_text().splitlines()) == 1 + 4


def test_a_loss_that_is_no_number_ends_the_training_and_keeps_its_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(tmp_path, "a", STAGES[:1])
    real = trainer_module.batch_losses
    calls = 0

    def broken(net: object, batch: object, *others: object) -> object:
        nonlocal calls
        calls += 1
        losses = real(net, batch, *others)  # type: ignore[arg-type]
        return replace(losses, coarse=losses.coarse * math.nan) if calls == 2 else losses  # type: ignore[operator]

    monkeypatch.setattr(trainer_module, "batch_losses", broken)
    with pytest.raises(HrlmError, match=r"stage global: the loss is nan at step 1; its batch is in .*failed-batch\.pt"):
        train(settings)
    kept = checkpoint(settings, "failed-batch.pt")
    assert kept["pixels"].shape == (4, 3, 64, 64)
    assert len(kept["photos"]) == 4
    assert kept["points"].shape == (4, 4, 2)
    # nothing of it is in the checkpoint
    assert checkpoint(settings)["place"]["step"] == 1


def test_the_log_says_where_the_time_goes(tmp_path: Path) -> None:
    settings = config(tmp_path, "a", STAGES[:1])
    lines = train(settings)
    with (settings.out / "log.csv").open() as f:
        rows = list(csv.DictReader(f))
    assert len(rows) == 3
    for row in rows:
        assert 0 <= float(row["loading_seconds"]) < float(row["step_seconds"])
        assert float(row["global nme"]) > 0
    assert any("s a step" in line and "waiting for photos" in line for line in lines)
    assert any(line.startswith("sides") for line in lines)


def test_an_older_log_is_gone_on_with_in_its_own_columns(tmp_path: Path) -> None:
    settings = config(tmp_path, "a", STAGES[:1])
    settings.out.mkdir()
    (settings.out / "log.csv").write_text("time,stage,samples,loss,rate,full nme\n")
    train(settings)
    with (settings.out / "log.csv").open() as f:
        rows = list(csv.DictReader(f))
    assert [r["samples"] for r in rows] == ["4", "8", "12"]
    assert all(float(r["full nme"]) > 0 for r in rows)


def test_tensorboard_gets_the_same_figures(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = config(tmp_path, "a", STAGES[:1], tensorboard=True)
    train(settings)
    events = EventAccumulator(str(settings.out / "tensorboard"))
    events.Reload()
    assert [e.step for e in events.Scalars("validation/global nme")] == [4, 8, 12]
    assert len(events.Scalars("training/loss")) == 3


def test_a_missing_tensorboard_is_named_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(DependencyError, match=r"pip install 'hrlm\[tensorboard\]'"):
        train(config(tmp_path, "a", tensorboard=True))


def test_what_changed_is_told_by_region(tmp_path: Path) -> None:
    first = config(tmp_path, "a", STAGES[:1])
    train(first)
    start = str(first.out / "hrlm-marks.safetensors")
    lines = train(config(tmp_path, "b", STAGES[:1], start=start, model={}))
    table = lines[lines.index("NME in % on the 2 validation faces:") + 1 :]
    assert table[0].split() == ["start", "now", "change"]
    assert [line.split()[0] for line in table[1:4]] == ["all", "sides", "middle"]
    assert all(line.endswith("%") for line in table[1:4])


def test_keeping_the_best_needs_faces_to_validate_on(tmp_path: Path) -> None:
    settings = config(tmp_path, "a", keep="best")
    settings = replace(settings, data=(replace(settings.data[0], validation_every=0),))
    with pytest.raises(DataError, match="set validation_every"):
        train(settings)


def test_half_precision_needs_a_gpu(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fp16 needs a CUDA GPU"):
        train(config(tmp_path, "a", (replace(STAGES[0], precision="fp16"),)))


def test_smoke_does_everything_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    settings = config(tmp_path, "a", tuple(replace(s, samples=8000, batch=2, max_side=80) for s in STAGES), keep="best")
    lines: list[str] = []
    rehearse(settings, CPU, lines.append)
    text = "\n".join(lines)
    assert "resuming from" in text
    assert "all 20/20" in text
    assert "all stages, checkpoint, resume, validation and writing work" in text
    assert not settings.out.exists()
    assert not list(tmp_path.glob("hrlm-smoke*"))


def test_a_training_goes_on_at_the_rate_that_is_configured_now(tmp_path: Path) -> None:
    first = config(tmp_path, "a", STAGES[:1])
    train(first, stop_after=2)
    slower = replace(STAGES[0], rate=STAGES[0].rate / 10, backbone_rate=0.25)
    peaks: list[set[float]] = []

    class Watched(Trainer):
        def _step(self, stage: Stage, place: Any, batches: Any, optimizer: Any, *rest: Any) -> float:
            peaks.append({group["peak"] for group in optimizer.param_groups})
            return super()._step(stage, place, batches, optimizer, *rest)

    lines: list[str] = []
    Watched(config(tmp_path, "a", (slower,)), CPU, lines.append, lambda *_: None).run()
    assert any("resuming" in line for line in lines)
    # of the heads and of the backbone
    assert sorted(peaks[0]) == pytest.approx([slower.rate / 4, slower.rate])
