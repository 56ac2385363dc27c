"""One picture through the network in PyTorch: every array forward, every gradient back, by autograd."""

import sys

import torch
import torch.nn.functional as F  # noqa: N812  # the name the field uses
from torch import nn

from numpy_cnn.common.exhibits.demo.child import serve
from numpy_cnn.common.exhibits.walkthrough.trace import Array, Trace
from numpy_cnn.common.spec.architecture import Architecture
from torch_cnn import device as devices
from torch_cnn.device import host
from torch_cnn.model import SimpleCNN
from torch_cnn.networks import Residual


def trace(architecture: Architecture, parameters: dict[str, Array], image: Array, label: Array) -> Trace:
    """Apply the layers one by one, keeping every output, and let autograd keep its gradient.

    Args:
        architecture: of the network.
        parameters: {torch's name: array}.
        image: (1, C, H, W), of the parameters' dtype.
        label: the right class, int64 (1,).
    """
    device = devices.selected()
    model = SimpleCNN(architecture, parameters=parameters).requires_grad_(True).to(device)  # fixed kernels as well
    picture = devices.copied(image, device).requires_grad_()
    values = {"input": picture}
    y = _forward(model.eval(), picture, values)
    target = devices.tensor(label, device)
    if architecture.loss == "mse":
        loss = F.mse_loss(y, F.one_hot(target, y.shape[1]).to(y.dtype))
    else:
        loss = F.cross_entropy(y, target)
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it without annotations

    # On a copy, because another gradient through the same stages would be added to the stored ones.
    names = [name for name, _ in model.named_children()]
    before = values[names[names.index("pool1") - 1]].detach().requires_grad_()
    pooled = model.get_submodule("pool1")(before)
    (routes,) = torch.autograd.grad(pooled, before, torch.ones_like(pooled))
    return Trace(
        {name: host(value) for name, value in values.items()},
        {name: _gradient(value) for name, value in values.items()},
        {name: _gradient(parameter) for name, parameter in model.named_parameters()},
        host(routes),
        host(F.softmax(y, dim=1)),
        float(host(loss)),
    )


def _forward(
    layers: nn.Module, x: torch.Tensor, values: dict[str, torch.Tensor], prefix: str = ""
) -> torch.Tensor:
    """Apply the layers and store each one's output under its name, also inside residual blocks."""
    for name, layer in layers.named_children():
        full = f"{prefix}{name}"
        if isinstance(layer, Residual):
            f = _forward(layer.residual, x, values, f"{full}.residual.")
            x = f + _forward(layer.shortcut, x, values, f"{full}.shortcut.")
        else:
            x = layer(x)
        x.retain_grad()
        values[full] = x
    return x


def _gradient(tensor: torch.Tensor) -> Array:
    assert tensor.grad is not None, "the gradient of every stage is retained"
    return host(tensor.grad)


if __name__ == "__main__":
    devices.select(sys.argv[2])
    serve(trace)
