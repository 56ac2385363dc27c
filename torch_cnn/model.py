"""SimpleCNN in PyTorch. Compare numpy_cnn/model.py: the same layers with the same names."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from numpy_cnn.common.spec.architecture import Activation, Architecture, Preset, preset
from numpy_cnn.common.spec.initial import initial_parameters
from torch_cnn.networks import DEEPER

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
    """A convolutional network whose gradients are autograd's.

        scores = model(x)                        # x (N, C, H, W), scores (N, classes)
        scores.backward(dscores)                 # gradients in model.conv1.weight.grad, …

    Args:
        architecture: the name of a preset, or the sizes.
        seed: of the initial parameters, which are the same numbers as numpy_cnn's.
        parameters: {name: array}, used instead of initial ones; copied.
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
        layers = (simple if a.network == "simple" else DEEPER[a.network])(a)
        super().__init__(OrderedDict(layers))
        self.architecture = a
        start = initial_parameters(a, seed, dtype) if parameters is None else a.check(parameters)
        for name, array in start.items():
            # A copy, because torch rejects negative strides and would share the caller's memory.
            self.get_parameter_or_buffer(name).data = torch.from_numpy(np.array(array, order="C"))
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name in a.trained)

    def get_parameter_or_buffer(self, name: str) -> torch.Tensor:
        """The tensor of that name."""
        module, _, own = name.rpartition(".")
        tensor: torch.Tensor = getattr(self.get_submodule(module), own)
        return tensor


class Dropout(nn.Module):
    """Dropout with a given mask, so that both backends can drop the same units.

        y = x · m / (1 − p) in training, otherwise x

    Args:
        p: the fraction that the mask drops.
    """

    mask: torch.Tensor | None = None  # m, of x's shape: set it before each step

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return x
        if self.mask is None or self.mask.shape != x.shape:
            got = None if self.mask is None else tuple(self.mask.shape)
            raise ValueError(f"Dropout: training needs a mask of shape {tuple(x.shape)}, got {got}")
        return x * (self.mask.to(x.dtype) / (1 - self.p))


def simple(a: Architecture) -> list[tuple[str, nn.Module]]:
    """One convolution, and one or two dense layers."""
    activation, flat = ACTIVATIONS[a.activation], dict(a.stages())["flatten"][0]
    return [
        ("conv1", nn.Conv2d(a.in_channels, a.filters, a.kernel_size, a.stride, a.padding, bias=a.conv_bias)),
        *([("bn1", nn.BatchNorm2d(a.filters))] if a.batch_norm else []),
        (f"{a.activation}1", activation()),
        ("pool1", nn.MaxPool2d(kernel_size=a.pool)),
        ("flatten", nn.Flatten(start_dim=1)),
        *([("fc1", nn.Linear(flat, a.hidden)), (f"{a.activation}2", activation())] if a.hidden else []),
        *([("dropout1", Dropout(a.dropout))] if a.dropout else []),
        ("fc2" if a.hidden else "fc1", nn.Linear(a.hidden or flat, a.classes)),
    ]
