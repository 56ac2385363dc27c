"""A dense network in PyTorch, the baseline for SimpleCNN. Compare numpy_cnn/views/dense.py."""

from collections import OrderedDict

import torch
import torch.nn.functional as F  # noqa: N812  # the name the field uses
from torch import nn

from numpy_cnn.common.spec.backend import Array
from numpy_cnn.common.spec.config import OptimizerConfig
from torch_cnn import device as devices
from torch_cnn.backend import OPTIMIZERS
from torch_cnn.device import host


class Dense:
    """A shift-study `Learner`: flatten → dense → ReLU → dense, without a convolution.

    Args:
        parameters: {torch's name: array}, the initial values; copied.
        optimizer: the optimizer and its settings.
    """

    def __init__(self, parameters: dict[str, Array], optimizer: OptimizerConfig) -> None:
        self.device = devices.selected()
        hidden, pixels = parameters["fc1.weight"].shape
        classes = len(parameters["fc2.bias"])
        self.model = nn.Sequential(
            OrderedDict(
                flatten=nn.Flatten(start_dim=1),
                fc1=nn.Linear(pixels, hidden),
                relu1=nn.ReLU(),
                fc2=nn.Linear(hidden, classes),
            )
        ).to(self.device)
        for name, parameter in self.model.named_parameters():
            parameter.data = devices.copied(parameters[name], self.device)
        self.optimizer = OPTIMIZERS[optimizer.optimizer](self.model.parameters(), **optimizer.settings())

    def train_step(self, images: Array, labels: Array, lr: float) -> tuple[float, Array]:
        scores = self.model(devices.tensor(images, self.device))
        loss = F.cross_entropy(scores, devices.tensor(labels, self.device))
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it without annotations
        self.optimizer.param_groups[0]["lr"] = lr
        self.optimizer.step()
        return float(host(loss)), host(scores)

    @torch.no_grad()
    def logits(self, images: Array) -> Array:
        return host(self.model(devices.tensor(images, self.device)))
