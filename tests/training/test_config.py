from pathlib import Path
from typing import Any

import pytest

from hrlm.errors import ConfigError
from hrlm.training.config import Stage, read_config

GOOD = """
name: mine
out: runs/mine
data: [{path: photos, validation_every: 5}]
stages: [{name: global, train: [global], samples: 10, batch: 2}]
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
        (
            GOOD.replace("[{name: global, train: [global], samples: 10, batch: 2}]", "[]"),
            "without stages nothing is learnt",
        ),
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
        (GOOD.replace("samples: 10", "samples: 10, accumulate: 3"), "accumulate must divide the batch of 2"),
        (GOOD.replace("samples: 10", "samples: 10, patience: 3"), "set validate_every as well"),
        (GOOD.replace("samples: 10", "samples: 10, draw_sizes: [160]"), "draw_sizes serve the regional network"),
        (GOOD.replace("[global], samples", "[regional], draw_sizes: [150], samples"), "multiples of 32, not .150."),
        (GOOD.replace("[global], samples", "[regional], draw_sizes: 160, samples"), "draw_sizes is 160: give a list"),
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
        (GOOD + "version: 2024-13-45\n", "not valid YAML: month must be in"),
        (GOOD + "version: 1.10\n", "version is 1.1: give a text, in quotes"),
        (GOOD + "seed: -1\n", "seed is -1: give a number from 0"),
        (GOOD + "seed: two\n", "seed is 'two': give a whole number"),
        (GOOD + "seed: 1.5\n", "seed is 1.5: give a whole number"),
        (GOOD + "seed: true\n", "seed is True: give a whole number"),
        (GOOD + "ema: 2\n", "ema is 2.0: it is a share"),
        (GOOD + "workers: -1\n", "workers and checkpoint_seconds must not be negative"),
        (GOOD + "tensorboard: 1\n", "tensorboard is 1: give true or false"),
        (GOOD + "scheme:\n", "scheme is empty: give it a value or leave it out"),
        (GOOD + "model:\n", "model is empty"),
        (GOOD + "model: small\n", "model is 'small': give a mapping"),
        (GOOD + "model: {face_sise: 32}\n", "model: unknown entry 'face_sise'; known are face_margin, face_size"),
        (GOOD + "model: {name: other}\n", "model: unknown entry 'name'"),
        (GOOD + "model: {face_size: 250}\n", "face_size is 250: make it a multiple of 32"),
        (GOOD + "model: {face_margin: 0}\n", "face_margin is 0.0: make it more than 0"),
        (GOOD + "1: 2\n", "unknown entry 1"),
        (GOOD.replace("name: mine", "name: studio/v2"), "name is 'studio/v2': it names a file"),
        (GOOD.replace("name: mine", "name: [a]"), r"name is \['a'\]: give a text"),
        (GOOD.replace("validation_every: 5", "terms: [a, b]"), r"data, entry 1: terms is \['a', 'b'\]: give a text"),
        (GOOD.replace("validation_every: 5", "share: .nan"), "share is nan: give a number"),
        (GOOD.replace("validation_every: 5", "map: 5"), "map is 5: give a mapping"),
        (GOOD.replace("path: photos, ", ""), "data, entry 1: lacks 'path': add it"),
        (GOOD.replace("[{path: photos, validation_every: 5}]", "photos"), "data is 'photos': give a list"),
        (
            GOOD.replace("[{path: photos, validation_every: 5}]", "[photos]"),
            "data, entry 1 is 'photos': give a mapping",
        ),
        (
            GOOD.replace(
                "{path: photos, validation_every: 5}", "{path: a, share: 0.5}, {path: b, share: 0.5}, {path: c}"
            ),
            r"c has no share, and the others' add up to 1",
        ),
        (GOOD.replace("[global]", "global"), "train is 'global': give a list"),
        (GOOD.replace("samples: 10", "samples: 1"), "1 samples are not one step of a batch of 2: raise samples"),
        (GOOD.replace("samples: 10", "samples: 10, sigma: 0"), "rate and sigma must be positive"),
        (GOOD.replace("samples: 10", "samples: 10, rate: fast"), "stages, entry 1: rate is 'fast': give a number"),
        (GOOD.replace("samples: 10", "samples: 10, backbone_rate: -1"), "validate_every must not be negative"),
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


def test_numbers_and_texts_are_read_as_people_write_them(tmp_path: Path) -> None:
    """YAML 1.1 takes numbers without a point for text, and a day for a date."""
    text = GOOD.replace("samples: 10", "samples: 1e1, rate: 1e-3, backbone_rate: 1e-1, draw_sizes: []")
    text = text.replace("name: mine", "name: 189").replace("validation_every: 5", "terms: 7, photos: null")
    config = read_config(
        write(tmp_path, text + "checkpoint_seconds: 1e3\nversion: 2024-05-01\ncache: 0\nmodel: {face_margin: 13e-1}\n")
    )
    (stage,) = config.stages
    assert (stage.samples, stage.rate, stage.backbone_rate) == (10, 0.001, 0.1)
    assert isinstance(stage.samples, int)
    assert (config.checkpoint_seconds, config.version, config.name, config.cache) == (1000, "2024-05-01", "189", "0")
    assert (config.data[0].terms, config.data[0].photos, config.model) == ("7", None, {"face_margin": 1.3})


def test_a_list_of_the_model_is_kept_as_weights_have_it(tmp_path: Path) -> None:
    model = "start: a.safetensors\nmodel: {region_sizes: [64, 32]}\n"
    assert read_config(write(tmp_path, GOOD + model)).model == {"region_sizes": (64, 32)}


@pytest.mark.parametrize("key", ["start", "style_judge"])
def test_weights_that_a_training_needs_are_not_its_result(tmp_path: Path, key: str) -> None:
    (tmp_path / "mod").mkdir()
    (tmp_path / "mod" / "hrlm-a.safetensors").write_bytes(b"weights")
    text = GOOD.replace("out: runs/mine", "out: mod").replace("name: mine", "name: a")
    others = "" if key == "start" else "start: imagenet\n"
    config = write(tmp_path, text + f"{key}: other/../mod/hrlm-a.safetensors\n" + others)
    (tmp_path / "other").mkdir()
    with pytest.raises(
        ConfigError, match=rf"c\.yaml: {key} .*hrlm-a.* would be replaced by the result: change name or"
    ):
        read_config(config)
    config.write_text(config.read_text().replace("name: a", "name: b"))
    assert read_config(config).weights == tmp_path / "mod" / "hrlm-b.safetensors"
