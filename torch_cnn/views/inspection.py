"""Inspection of the PyTorch network: feature maps, and the gradient of a score with respect to the picture."""

import sys

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # the name the field uses

from numpy_cnn.common.exhibits.demo.child import serve
from numpy_cnn.common.exhibits.demo.inspector import maps_of
from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.backend import Array
from torch_cnn import device as devices
from torch_cnn.device import host
from torch_cnn.model import SimpleCNN


class Inspector:
    """`numpy_cnn.common.exhibits.demo.inspector.Inspector` in PyTorch."""

    def __init__(self, architecture: Architecture, parameters: dict[str, Array]) -> None:
        self.device = devices.selected()
        self.model = SimpleCNN(architecture, parameters=parameters).requires_grad_(False).to(self.device)
        self.maps = maps_of(architecture)

    def look(self, image: Array, digit: int | None = None) -> dict[str, Array]:
        x = picture = devices.copied(image, self.device).requires_grad_()
        seen: dict[str, Array] = {}
        for name, layer in self.model.named_children():
            x = layer(x)
            if name in self.maps:
                seen[name] = host(x[0])
        chosen = int(x[0].argmax()) if digit is None else digit
        (gradient,) = torch.autograd.grad(x[0, chosen], picture)
        return seen | {
            "scores": host(x[0]),
            "probabilities": host(F.softmax(x, dim=1)[0]),
            "saliency": host(gradient[0]),
            "digit": np.array([chosen]),
        }


if __name__ == "__main__":
    devices.select(sys.argv[2])
    serve(Inspector)
