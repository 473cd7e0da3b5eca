import torch
from torch.nn import functional as F

from hrlm.models.pyramid import Pyramid


def test_each_level_gets_the_context_averaged_to_its_stride() -> None:
    net = Pyramid(4, 8, context=3)
    context = torch.rand(2, 3, 48, 48)
    levels = net._at_each_stride(context)
    assert [level.shape[-1] for level in levels] == [48, 24, 12, 6]
    for level in levels:
        assert torch.allclose(level, F.adaptive_avg_pool2d(context, level.shape[-2:]), atol=1e-6)
