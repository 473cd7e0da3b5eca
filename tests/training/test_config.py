from pathlib import Path

import pytest

from hrlm.errors import ConfigError
from hrlm.training.config import read_config

GOOD = """
name: mine
out: runs/mine
data: [{path: photos, validation_every: 5}]
stages: [{name: global, train: [global], samples: 10}]
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return path


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = read_config(write(tmp_path, GOOD + "scheme: my.yaml\nstart: old.safetensors\n"))
    assert config.out == tmp_path / "runs/mine"
    assert config.data[0].path == tmp_path / "photos"
    assert config.data[0].validation_every == 5
    assert config.scheme == str(tmp_path / "my.yaml")
    assert config.start == str(tmp_path / "old.safetensors")
    assert config.stages[0].train == ("global",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "must be a mapping"),
        ("name: [", "not valid YAML"),
        (GOOD.replace("name: mine", ""), "lacks 'name'"),
        (GOOD + "sead: 3\n", "unknown entry 'sead'"),
        (GOOD.replace("samples: 10", "samples: 10, speed: 3"), "unknown entry 'speed'"),
        (GOOD.replace("train: [global]", "train: [globl]"), "train must list"),
        (GOOD.replace("samples: 10", "samples: 0"), "must be positive"),
        (GOOD + "start: somewhere\n", "start is 'somewhere'"),
        (GOOD.replace("validation_every: 5", "share: 1.5"), "share must lie between 0 and 1"),
        (GOOD.replace("validation_every: 5", "share: 0.4"), "shares add up to 0.4"),
        (GOOD.replace("validation_every: 5", "own_convention: true"), "start from a .safetensors file"),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as e:
        read_config(write(tmp_path, text))
    assert "c.yaml" in str(e.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.yaml: cannot be read"):
        read_config(tmp_path / "gone.yaml")


def test_the_shipped_configuration_reads() -> None:
    examples = Path(__file__).parents[2] / "examples" / "train"
    for path in sorted(examples.glob("*.yaml")):
        assert read_config(path).stages
