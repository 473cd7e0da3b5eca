"""A model of random weights for the tests."""

import torch
from torch import nn

from hrlm.models.build import ModelConfig, build_model
from hrlm.models.nets import LandmarkModel
from hrlm.schemes import load_scheme


def untrained() -> LandmarkModel:
    """A model whose every batch normalisation does something."""
    torch.manual_seed(0)
    net = build_model(ModelConfig("x", load_scheme("ibug68").source, global_width=8, regional_width=8)).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    for weight in net.regional_net.context.parameters():
        nn.init.normal_(weight)
    return net.requires_grad_(False)
