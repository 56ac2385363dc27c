"""Deeper networks in PyTorch. Compare numpy_cnn/networks.py: the same layers with the same names."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.networks import lenet_padding

Layer = tuple[str, nn.Module]


class Residual(nn.Module):
    """Two branches with one input; their outputs are added. A shortcut without layers is the identity.

    y = f(x) + s(x)
    """

    def __init__(self, residual: Sequence[Layer], shortcut: Sequence[Layer] = ()) -> None:
        super().__init__()
        self.residual = nn.Sequential(OrderedDict(residual))
        self.shortcut = nn.Sequential(OrderedDict(shortcut))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.residual(x) + self.shortcut(x)
        return y


def lenet5(a: Architecture) -> list[Layer]:
    """LeNet-5: two convolutions and three dense layers."""
    return [
        ("conv1", nn.Conv2d(a.in_channels, 6, kernel_size=5, padding=lenet_padding(a.image_size))),
        ("relu1", nn.ReLU()),
        ("pool1", nn.MaxPool2d(kernel_size=2)),
        ("conv2", nn.Conv2d(6, 16, kernel_size=5)),
        ("relu2", nn.ReLU()),
        ("pool2", nn.MaxPool2d(kernel_size=2)),
        ("flatten", nn.Flatten(start_dim=1)),
        ("fc1", nn.Linear(_flat(a), 120)),
        ("relu3", nn.ReLU()),
        ("fc2", nn.Linear(120, 84)),
        ("relu4", nn.ReLU()),
        ("fc3", nn.Linear(84, a.classes)),
    ]


def vgg(a: Architecture) -> list[Layer]:
    """A small VGG: 3x3 convolutions in pairs, each with batch norm."""
    return [
        ("conv1", nn.Conv2d(a.in_channels, 16, kernel_size=3, padding=1, bias=False)),
        ("bn1", nn.BatchNorm2d(16)),
        ("relu1", nn.ReLU()),
        ("conv2", nn.Conv2d(16, 16, kernel_size=3, padding=1, bias=False)),
        ("bn2", nn.BatchNorm2d(16)),
        ("relu2", nn.ReLU()),
        ("pool1", nn.MaxPool2d(kernel_size=2)),
        ("conv3", nn.Conv2d(16, 32, kernel_size=3, padding=1, bias=False)),
        ("bn3", nn.BatchNorm2d(32)),
        ("relu3", nn.ReLU()),
        ("conv4", nn.Conv2d(32, 32, kernel_size=3, padding=1, bias=False)),
        ("bn4", nn.BatchNorm2d(32)),
        ("relu4", nn.ReLU()),
        ("pool2", nn.MaxPool2d(kernel_size=2)),
        ("flatten", nn.Flatten(start_dim=1)),
        ("fc1", nn.Linear(_flat(a), 128)),
        ("relu5", nn.ReLU()),
        ("fc2", nn.Linear(128, a.classes)),
    ]


def resnet(a: Architecture) -> list[Layer]:
    """A small residual network: three blocks, of which the last two halve height and width."""
    return [
        ("conv1", nn.Conv2d(a.in_channels, 16, kernel_size=3, padding=1, bias=False)),
        ("bn1", nn.BatchNorm2d(16)),
        ("relu1", nn.ReLU()),
        ("block1", Residual(_two_convolutions(16, 16, stride=1))),
        ("relu2", nn.ReLU()),
        ("block2", Residual(_two_convolutions(16, 32, stride=2), shortcut=_one_convolution(16, 32, stride=2))),
        ("relu3", nn.ReLU()),
        ("block3", Residual(_two_convolutions(32, 64, stride=2), shortcut=_one_convolution(32, 64, stride=2))),
        ("relu4", nn.ReLU()),
        ("pool1", nn.AdaptiveAvgPool2d(output_size=1)),
        ("flatten", nn.Flatten(start_dim=1)),
        ("fc1", nn.Linear(64, a.classes)),
    ]


def _two_convolutions(before: int, filters: int, stride: int) -> list[Layer]:
    return [
        ("conv1", nn.Conv2d(before, filters, kernel_size=3, stride=stride, padding=1, bias=False)),
        ("bn1", nn.BatchNorm2d(filters)),
        ("relu1", nn.ReLU()),
        ("conv2", nn.Conv2d(filters, filters, kernel_size=3, padding=1, bias=False)),
        ("bn2", nn.BatchNorm2d(filters)),
    ]


def _one_convolution(before: int, filters: int, stride: int) -> list[Layer]:
    return [
        ("conv1", nn.Conv2d(before, filters, kernel_size=1, stride=stride, bias=False)),
        ("bn1", nn.BatchNorm2d(filters)),
    ]


def _flat(a: Architecture) -> int:
    (features,) = dict(a.stages())["flatten"]
    return features


DEEPER: Mapping[str, Callable[[Architecture], list[Layer]]] = {"lenet5": lenet5, "vgg": vgg, "resnet": resnet}
