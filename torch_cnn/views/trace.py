"""One picture through the network in PyTorch: every array forward, every gradient back, by autograd."""

import torch
import torch.nn.functional as F  # noqa: N812  # the name the field uses

from numpy_cnn.common.exhibits.walkthrough.trace import Array, Trace
from numpy_cnn.common.spec.architecture import Architecture
from torch_cnn import device as devices
from torch_cnn.device import host
from torch_cnn.model import SimpleCNN


def trace(architecture: Architecture, parameters: dict[str, Array], image: Array, label: Array) -> Trace:
    """Apply the layers one by one, keeping every output, and let autograd keep its gradient.

    Args:
        architecture: of a network whose loss is the cross-entropy.
        parameters: {torch's name: array}.
        image: (1, C, H, W), of the parameters' dtype.
        label: the right class, int64 (1,).
    """
    device = devices.selected()
    model = SimpleCNN(architecture, parameters=parameters).requires_grad_(True).to(device)  # fixed kernels as well
    y = devices.copied(image, device).requires_grad_()
    values = {"input": y}
    for name, layer in model.named_children():
        y = layer(y)
        y.retain_grad()
        values[name] = y
    loss = F.cross_entropy(y, devices.tensor(label, device))
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it without annotations

    # On a copy, because another gradient through the same stages would be added to the stored ones.
    before = values["relu1"].detach().requires_grad_()
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


def _gradient(tensor: torch.Tensor) -> Array:
    assert tensor.grad is not None, "every stage was asked to keep its gradient"
    return host(tensor.grad)
