"""SimpleCNN in PyTorch. Lay it beside numpy_cnn/model.py: the same layers under the same names."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from numpy_cnn.common.spec.architecture import Activation, Architecture, Preset, preset
from numpy_cnn.common.spec.initial import initial_parameters

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


class SimpleCNN(nn.Sequential):
    """A small convolutional network whose gradients are autograd's.

        scores = model(x)                        # x (N, C, H, W), scores (N, classes)
        scores.backward(dscores)                 # gradients in model.conv1.weight.grad, …

    Args:
        architecture: a preset's name or the sizes themselves.
        seed: of the initial parameters, the same numbers as numpy_cnn's.
        parameters: {name: array} to begin with instead; they are copied.
        dtype: of the initial parameters.
    """

    def __init__(
        self,
        architecture: Architecture | Preset = "hidden",
        *,
        seed: int = 0,
        parameters: Mapping[str, npt.NDArray[Any]] | None = None,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        a = preset(architecture) if isinstance(architecture, str) else architecture
        activation, flat = ACTIVATIONS[a.activation], dict(a.stages())["flatten"][0]
        layers: list[tuple[str, nn.Module]] = [
            (
                "conv1",
                nn.Conv2d(a.in_channels, a.filters, a.kernel_size, a.stride, a.padding, bias=not a.fixed_edges),
            ),
            (f"{a.activation}1", activation()),
            ("pool1", nn.MaxPool2d(kernel_size=a.pool)),
            ("flatten", nn.Flatten(start_dim=1)),
            ("fc1", nn.Linear(flat, a.hidden or a.classes)),
        ]
        if a.hidden:
            layers += [
                (f"{a.activation}2", activation()),
                ("fc2", nn.Linear(a.hidden, a.classes)),
            ]
        super().__init__(OrderedDict(layers))
        self.architecture = a
        start = initial_parameters(a, seed, dtype) if parameters is None else a.check(parameters)
        for name, parameter in self.named_parameters():
            # A copy, for torch refuses negative strides and would share the caller's memory.
            parameter.data = torch.from_numpy(np.array(start[name], order="C"))
            parameter.requires_grad_(name in a.trained)
