"""`hrlm train` as a person uses it."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from hrlm.cli import app

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from drawn import SCHEME, draw

STAGE = {"name": "global", "train": ["global"], "samples": 8, "batch": 4}
SMALL = {"face_size": 64, "region_size": 64, "global_width": 8, "regional_width": 8}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    draw(tmp_path / "photos", 6)
    (tmp_path / "marks4.yaml").write_text(SCHEME)
    data = {"name": "marks", "out": "runs", "data": [{"path": "photos", "validation_every": 3}], "stages": [STAGE]}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**data, "scheme": "marks4.yaml", "start": "random", "model": SMALL}))
    return path


def hrlm(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["train", *map(str, arguments)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stderr


def test_it_trains_and_says_what_it_wrote(config: Path) -> None:
    code, told = hrlm(config, "--device", "cpu")
    assert code == 0
    written = config.parent / "runs" / "hrlm-marks.safetensors"
    assert f"wrote {written}" in told
    assert written.is_file()
    assert "NME in % on the 2 validation faces" in told
    assert hrlm(config, "--device", "cpu", "--quiet") == (0, "")
    assert "checkpoint.pt: is finished already" in hrlm(config, "--device", "cpu")[1]
    config.write_text(config.read_text() + "seed: 1\n")
    code, told = hrlm(config, "--device", "cpu", "--quiet")
    assert code == 2
    assert f"{written.with_name('checkpoint.pt')}: was begun with another seed (0; now 1): set it back" in told


def test_a_folder_that_cannot_be_written_is_one_line(config: Path) -> None:
    (config.parent / "runs").write_text("a file")
    code, told = hrlm(config, "--device", "cpu")
    assert (code, told.count("\n")) == (2, 1)
    assert "runs: cannot be written" in told


def test_smoke_leaves_nothing(config: Path) -> None:
    code, told = hrlm(config, "--smoke", "--device", "cpu")
    assert code == 0
    assert "validation and writing work" in told
    assert not (config.parent / "runs").exists()


@pytest.mark.parametrize(("sound", "exit_code"), [(True, 0), (False, 1)])
def test_check_tells_and_trains_nothing(
    config: Path, monkeypatch: pytest.MonkeyPatch, sound: bool, exit_code: int
) -> None:
    seen = []

    def run_check(settings: object, out: object) -> tuple[list[str], bool]:
        seen.append((settings.name, out))  # type: ignore[attr-defined]
        return ["photos: 6 faces"], sound

    monkeypatch.setattr("hrlm.training.check.run_check", run_check)
    code, told = hrlm(config, "--check", "--out", config.parent / "sheet")
    assert (code, told) == (exit_code, "photos: 6 faces\n")
    assert seen == [("marks", config.parent / "sheet")]
    assert not (config.parent / "runs").exists()


def test_export_takes_a_configuration_or_a_weight_file(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exported = []

    def export_onnx(loaded: object, folder: Path, say: object) -> None:
        exported.append((loaded.config.name, folder))  # type: ignore[attr-defined]

    monkeypatch.setattr("hrlm.training.export.export_onnx", export_onnx)
    code, told = hrlm(config, "--export", "onnx")
    assert code == 2
    assert "no such weight file" in told
    assert hrlm(config, "--device", "cpu", "--quiet")[0] == 0
    runs = config.parent / "runs"
    assert hrlm(config, "--export", "onnx")[0] == 0
    assert hrlm(runs / "hrlm-marks.safetensors", "--export", "onnx", "--out", config.parent / "new")[0] == 0
    assert hrlm("ibug68", "--export", "onnx", "--out", config.parent / "new")[0] == 0
    assert exported == [("marks", runs), ("marks", config.parent / "new"), ("ibug68", config.parent / "new")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--check", "--smoke"], "give one"),
        (["--out", "there"], "--out goes with"),
        (["--device", "abacus"], "abacus"),
    ],
)
def test_wrong_usage_ends_with_2(config: Path, options: list[str], message: str) -> None:
    code, told = hrlm(config, *options)
    assert code == 2
    assert message in told


def test_a_faulty_configuration_is_named(tmp_path: Path) -> None:
    code, told = hrlm(tmp_path / "gone.yaml")
    assert code == 2
    assert told.count("\n") == 1
    assert "gone.yaml: cannot be read" in told


def test_help_needs_nothing_heavy() -> None:
    source = "import sys\nfrom typer.testing import CliRunner\nfrom hrlm.cli import app\n"
    source += "assert '--smoke' in CliRunner().invoke(app, ['train', '--help']).output\n"
    source += "print(sorted({'torch', 'cv2', 'numpy'} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert shown.stdout.strip() == "[]", shown.stderr
