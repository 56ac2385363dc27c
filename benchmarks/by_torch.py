"""PyTorch: eager, with a fused optimizer, in the channels-last layout, and compiled."""

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  # the name the field uses
from cases import Case, arrays, images, options
from layers import arguments

from torch_cnn.model import SimpleCNN


def prepare(workload: str, case: Case, variant: str = "") -> Callable[[], object]:
    """The function to time. `variant` is a string that may contain fused, channels-last and compiled."""
    layout = torch.channels_last if "channels-last" in variant else torch.contiguous_format
    if workload in ("step", "network", "inference"):
        pictures, classes = images(case)
        x, labels = torch.from_numpy(pictures).to(memory_format=layout), torch.from_numpy(classes)
        module = SimpleCNN(case.get("arch", "hidden"), seed=0).to(memory_format=layout)
        model = torch.compile(module) if "compiled" in variant else module
        optimizer = torch.optim.Adam(module.parameters(), fused=True if "fused" in variant else None)

        def step() -> float:
            loss = F.cross_entropy(model(x), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss.item()

        return step if workload != "inference" else torch.inference_mode()(lambda: model(x))
    if workload.startswith("layer"):
        return _layer(workload, case)
    given = [torch.from_numpy(array) for array in arrays(case)]
    x, weight, dy = (given[i].to(memory_format=layout) for i in (0, 1, 3))
    inputs, chosen = [x, weight, given[2]], options(case)
    if workload == "forward":
        return torch.inference_mode()(lambda: F.conv2d(*inputs, **chosen))
    for array in inputs:
        array.requires_grad_()
    return lambda: torch.autograd.grad(F.conv2d(*inputs, **chosen), inputs, dy)


def _layer(workload: str, case: Case) -> Callable[[], object]:
    name, arrays_of_case, chosen = arguments(case)
    op = getattr(torch if name in ("sigmoid", "tanh") else F, name)
    given = [torch.from_numpy(array) for array in arrays_of_case]
    chosen = {key: torch.from_numpy(value) if hasattr(value, "dtype") else value for key, value in chosen.items()}
    if workload == "layer forward":
        return torch.inference_mode()(lambda: op(*given, **chosen))
    buffers = (1, 2) if name in ("batch_norm", "instance_norm") else ()
    every = [*(a for i, a in enumerate(given) if i not in buffers), *filter(torch.is_tensor, chosen.values())]
    inputs = [array.requires_grad_() for array in every if array.is_floating_point()]
    dy = torch.ones_like(op(*given, **chosen))
    return lambda: torch.autograd.grad(op(*given, **chosen), inputs, dy)
