from pathlib import Path
from typing import Any

import pytest

from hrlm.errors import ConfigError
from hrlm.training.config import Stage, read_config

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


def test_a_sources_own_paths_are_relative_too(tmp_path: Path) -> None:
    entry = "{path: t.csv, photos: p, exclude: e.txt, validation_list: v.txt, scheme: s.yaml, map: m.yaml}"
    (source,) = read_config(write(tmp_path, GOOD.replace("{path: photos, validation_every: 5}", entry))).data
    assert [source.path, source.photos, source.exclude, source.validation_list] == [
        tmp_path / n for n in ("t.csv", "p", "e.txt", "v.txt")
    ]
    assert (source.scheme, source.map) == (str(tmp_path / "s.yaml"), str(tmp_path / "m.yaml"))
    (source,) = read_config(write(tmp_path, GOOD.replace("validation_every: 5", "scheme: wflw98, map: {0: chin}"))).data
    assert (source.scheme, source.map) == ("wflw98", {0: "chin"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "must be a mapping"),
        ("name: [", "not valid YAML"),
        (GOOD.replace("name: mine", ""), "lacks 'name'"),
        (GOOD.replace("[{name: global, train: [global], samples: 10}]", "[]"), "without stages nothing is learnt"),
        (GOOD.replace("name: mine", "name: []"), "lacks 'name'"),
        (GOOD + "sead: 3\n", "unknown entry 'sead'"),
        (GOOD.replace("samples: 10", "samples: 10, speed: 3"), "unknown entry 'speed'"),
        (GOOD.replace("train: [global]", "train: [globl]"), "train must list"),
        (GOOD.replace("samples: 10", "samples: 0"), "must be positive"),
        (GOOD + "start: somewhere\n", "start is 'somewhere'"),
        (GOOD + "keep: all\n", "keep is 'all'"),
        (GOOD.replace("samples: 10", "samples: 10, objective: wing"), "objective is 'wing'.*awing"),
        (GOOD.replace("samples: 10", "samples: 10, precision: double"), "precision is 'double'"),
        (GOOD.replace("samples: 10", "samples: 10, elongate_along: lip"), "elongate_along is 'lip'"),
        (GOOD.replace("samples: 10", "samples: 10, elongation: 0.5"), "elongation must be 1 or more"),
        (GOOD.replace("samples: 10", "samples: 10, clip: -1"), "clip and patience 0 or more"),
        (GOOD.replace("samples: 10", "samples: 10, accumulate: 3"), "accumulate must divide the batch of 16"),
        (GOOD.replace("samples: 10", "samples: 10, patience: 3"), "set validate_every as well"),
        (GOOD.replace("samples: 10", "samples: 10, draw_sizes: [160]"), "draw_sizes serve the regional network"),
        (GOOD.replace("[global], samples", "[regional], draw_sizes: [150], samples"), "multiples of 32, not .150."),
        (GOOD.replace("[global], samples", "[regional], draw_sizes: 160, samples"), "not iterable"),
        (GOOD.replace("validation_every: 5", "share: 1.5"), "share must lie between 0 and 1"),
        (GOOD.replace("validation_every: 5", "share: 0.4"), "shares add up to 0.4"),
        (GOOD.replace("validation_every: 5", "own_convention: true"), "start from a .safetensors file"),
        (GOOD.replace("validation_every: 5", "crop: circle"), "crop must be landmarks or box"),
        (GOOD.replace("validation_every: 5", "warp: 0.7"), "warp must lie between 0 and 0.5"),
        (GOOD.replace("validation_every: 5", "bend: 0.1"), "bend must lie between 0 and 0.02"),
        (GOOD.replace("validation_every: 5", "limit: -1"), "limit must not be negative"),
        (GOOD.replace("validation_every: 5", "validation_every: 5, validate: true"), "give one of validation_every"),
        (GOOD.replace("validation_every: 5", "style: 0.5"), "name one as style_judge"),
        (GOOD + "cache: lots\n", "give a size such as 4G"),
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
        assert bool(read_config(path).stages) == (path.stem not in ("ibug68_shape", "adapt50"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": ("attention",)}, "train regional too"),
        ({"train": ("global", "attention")}, "train regional too"),
        ({"train": ("native",), "elongation": 2.0}, "leave out elongation"),
    ],
)
def test_what_could_learn_nothing_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Stage("s", samples=8, **options)
