"""The exported networks, run by another program."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import SCHEME

from hrlm.errors import DependencyError, ModelError
from hrlm.models import backbone
from hrlm.models.build import LoadedModel, ModelConfig, build_model
from hrlm.models.heatmaps import cells_to_pixels, decode
from hrlm.results import ModelInfo
from hrlm.training import export

MODEL = ModelConfig("marks", SCHEME, face_size=64, region_size=64, global_width=8, regional_width=8)


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        # a block of each kind is enough, and exported in half the time
        patch.setattr(backbone, "LITE0", tuple((*stage[:4], 1) for stage in backbone.LITE0))
        net = build_model(MODEL).eval().requires_grad_(False)
    # scores as a trained network's: not all the same
    for level in (net.global_net, net.regional_net):
        torch.nn.init.normal_(level.score.weight, std=30)
        for layer in level.context:
            torch.nn.init.normal_(layer.weight)
    return LoadedModel(
        Path("marks.safetensors"),
        net,
        MODEL,
        ModelInfo("marks", "marks4", "7"),
        {"terms": ["mine"], "trained_on": ["drawn"]},
    )


@pytest.fixture(scope="module")
def files(loaded: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[str]]:
    for package in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(package)
    lines: list[str] = []
    return export.export_onnx(loaded, tmp_path_factory.mktemp("onnx") / "new", lines.append), lines


@pytest.mark.parametrize("shape", [(1, 64, 64), (2, 96, 32), (5, 128, 160)])
def test_another_program_finds_the_same_landmarks(
    loaded: LoadedModel, files: tuple[list[Path], list[str]], shape: tuple[int, int, int]
) -> None:
    import onnxruntime

    batch, height, width = shape
    pixels = torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(1))
    context = torch.rand(batch, 4, height // 4, width // 4, generator=torch.Generator().manual_seed(2))
    for path, net, inputs in (
        (files[0][0], loaded.net.global_net, {"pixels": pixels}),
        (files[0][1], loaded.net.regional_net, {"pixels": pixels, "context": context}),
    ):
        session = onnxruntime.InferenceSession(str(path))
        scores, points, covariance = session.run(None, {n: t.numpy() for n, t in inputs.items()})
        expected = net(*inputs.values())
        cells, spread = decode(expected)
        assert scores == pytest.approx(expected.numpy(), abs=1e-2)
        assert np.abs(points - cells_to_pixels(cells, 4).numpy()).max() < 0.05
        assert covariance == pytest.approx(16 * spread.numpy(), rel=1e-2, abs=0.05)


def test_the_files_say_what_a_program_needs(files: tuple[list[Path], list[str]]) -> None:
    import onnxruntime

    paths, lines = files
    assert [p.name for p in paths] == ["hrlm-marks-global.onnx", "hrlm-marks-regional.onnx"]
    assert all("pixels of PyTorch's" in line for line in lines)
    told = onnxruntime.InferenceSession(str(paths[1])).get_modelmeta().custom_metadata_map
    about = json.loads(told["hrlm"])
    assert about["network"] == "regional"
    assert about["version"] == "7"
    assert about["landmarks"] == ["right", "left", "below", "above"]
    assert about["terms"] == ["mine"]
    assert [r["name"] for r in about["regions"]] == ["sides", "middle"]
    assert about["regions"][0]["extent"] == pytest.approx(np.exp(1.5))
    assert [r["size"] for r in about["regions"]] == [64, 64]


def test_an_export_that_differs_is_refused(
    loaded: LoadedModel, files: tuple[list[Path], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnx

    class Made:
        model_proto = onnx.load(str(files[0][0]))

    monkeypatch.setattr(export, "_export", lambda *_: Made)
    monkeypatch.setattr(export, "_difference", lambda *_: 0.06)
    with pytest.raises(ModelError, match=r"differ from PyTorch's by 0\.06 pixels"):
        export.export_onnx(replace(loaded), tmp_path, print)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(loaded: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DependencyError, match=r"pip install 'hrlm\[onnx\]'"):
        export.export_onnx(loaded, tmp_path, print)
