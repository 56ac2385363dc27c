"""Modules of torch, and modules in the form in which people write them, are right: none is called wrong."""

import inspect
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import parity

pytestmark = pytest.mark.usefixtures("named")


class DetachedLoss(nn.Module):
    """A loss whose target is a constant, as in most training loops."""

    def forward(self, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return ((x - target.detach()) ** 2).mean()


class CrossEntropy(nn.Module):
    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return -torch.log_softmax(logits, 1)[torch.arange(len(labels)), labels].mean()


class WrappedLoss(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.loss = nn.CrossEntropyLoss()

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> Any:
        return self.loss(x, y)


class TanhGELU(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))


class SteepLeakyReLU(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > 0, x, 0.2 * x)


class LayerNorm(nn.Module):
    def __init__(self, d: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.gamma, self.beta, self.eps = nn.Parameter(torch.ones(d)), nn.Parameter(torch.zeros(d)), eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        variance, mean = torch.var_mean(x, -1, unbiased=False, keepdim=True)
        return self.gamma * (x - mean) / torch.sqrt(variance + self.eps) + self.beta


class GlobalPool(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3), keepdim=True)


class MaskedDropout(nn.Module):
    """It draws its mask itself, with `torch.rand_like`."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * (torch.rand_like(x) >= self.p) / (1 - self.p) if self.training else x


MODULES: list[tuple[str, Any]] = [
    ("conv2d", nn.Conv2d), ("conv1d", nn.Conv1d), ("conv_transpose2d", nn.ConvTranspose2d),
    ("linear", nn.Linear), ("linear", nn.Linear(3, 4)), ("max_pool2d", nn.MaxPool2d),
    ("avg_pool2d", nn.AvgPool2d), ("flatten", nn.Flatten), ("adaptive_avg_pool2d", nn.AdaptiveAvgPool2d),
    ("adaptive_avg_pool2d", GlobalPool), ("interpolate", nn.Upsample), ("batch_norm", nn.BatchNorm2d),
    ("group_norm", nn.GroupNorm), ("instance_norm", nn.InstanceNorm2d), ("layer_norm", nn.LayerNorm),
    ("layer_norm", LayerNorm), ("dropout", nn.Dropout), ("dropout2d", nn.Dropout2d), ("dropout", MaskedDropout),
    ("relu", nn.ReLU), ("leaky_relu", nn.LeakyReLU), ("leaky_relu", SteepLeakyReLU), ("elu", nn.ELU),
    ("gelu", nn.GELU), ("gelu", TanhGELU), ("silu", nn.SiLU), ("sigmoid", nn.Sigmoid), ("tanh", nn.Tanh),
    ("softplus", nn.Softplus), ("hardswish", nn.Hardswish), ("softmax", nn.Softmax),
    ("log_softmax", nn.LogSoftmax), ("cross_entropy", nn.CrossEntropyLoss),
    ("cross_entropy", nn.CrossEntropyLoss()), ("cross_entropy", CrossEntropy), ("cross_entropy", WrappedLoss),
    ("nll_loss", nn.NLLLoss), ("mse_loss", nn.MSELoss), ("mse_loss", nn.MSELoss()), ("mse_loss", DetachedLoss),
    ("l1_loss", nn.L1Loss), ("smooth_l1_loss", nn.SmoothL1Loss), ("huber_loss", nn.HuberLoss),
    ("kl_div", nn.KLDivLoss), ("binary_cross_entropy_with_logits", nn.BCEWithLogitsLoss),
]  # fmt: skip


@pytest.mark.parametrize(("row", "module"), MODULES, ids=lambda value: str(getattr(value, "__name__", value)))
def test_a_right_module_is_not_called_wrong(row: str, module: Any) -> None:
    report = parity.check(row, module, examples=8)
    assert report.ok, report
    assert report.cases >= 8, report


class HandWrittenMomentum(torch.optim.Optimizer):
    def __init__(self, params: Any, lr: float = 1e-3, momentum: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # without a loss
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                state["v"] = p.grad.clone() if "v" not in state else group["momentum"] * state["v"] + p.grad
                p -= group["lr"] * state["v"]


class Reversed(HandWrittenMomentum):
    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # without a loss
        for group in self.param_groups:
            group["lr"] = -abs(group["lr"])
        super().step()


OPTIMIZERS = [
    ("SGD", torch.optim.SGD),
    ("SGD", HandWrittenMomentum),
    ("Adam", torch.optim.Adam),
    ("AdamW", torch.optim.AdamW),
    ("RMSprop", torch.optim.RMSprop),
    ("Adagrad", torch.optim.Adagrad),
]


@pytest.mark.parametrize(
    ("row", "optimizer"), OPTIMIZERS, ids=lambda value: str(getattr(value, "__name__", value))
)
def test_an_optimizer_of_torch_is_not_called_wrong(row: str, optimizer: Any) -> None:
    report = parity.check(row, optimizer, examples=8)
    assert report.ok, report
    assert report.cases >= 8, report
    assert not [note for note in report.notes if note.aspect == "schedule"], report


def test_a_mistake_in_an_optimizer_of_torch_is_named() -> None:
    (failure, *_) = parity.check("SGD", Reversed, examples=20, lanes=["exact"]).failures
    assert failure.explanation == "ascends"


@pytest.mark.parametrize(
    ("row", "module", "quantity"),
    [
        ("gelu", TanhGELU, "output"), ("leaky_relu", SteepLeakyReLU, "output"),
        ("layer_norm", LayerNorm, "output"), ("dropout", MaskedDropout, "output"),
        ("mse_loss", DetachedLoss, "output"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_module_is_found(row: str, module: Any, quantity: str) -> None:
    class Wrong(module):  # type: ignore[misc]  # the base is a parameter
        def forward(self, *arrays: torch.Tensor) -> Any:
            return 1.5 * super().forward(*arrays)

    Wrong.forward.__signature__ = inspect.signature(module.forward)  # type: ignore[attr-defined]  # read by parity
    report = parity.check(row, Wrong, examples=20)
    assert quantity in {failure.quantity for failure in report.failures}, report


FUNCTIONS = (
    "conv2d", "conv_transpose2d", "linear", "max_pool2d", "avg_pool2d", "batch_norm", "instance_norm",
    "layer_norm", "group_norm", "cross_entropy", "huber_loss", "interpolate", "pad", "unfold",
)  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_torch_is_not_called_wrong(name: str) -> None:
    report = parity.check(name, getattr(functional, name), examples=6)
    assert report.ok, report


def batch_norm_of_biased_variance(
    x: torch.Tensor,
    running_mean: torch.Tensor,
    running_var: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> torch.Tensor:
    if training and running_mean is not None:
        axes = [axis for axis in range(x.ndim) if axis != 1]
        with torch.no_grad():
            running_mean.lerp_(x.mean(axes), momentum)
            running_var.lerp_(x.var(axes, correction=0), momentum)
        return functional.batch_norm(x, None, None, weight, bias, True, momentum, eps)
    return functional.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)


def test_running_statistics_that_a_function_of_tensors_updates_are_compared() -> None:
    report = parity.check("batch_norm", batch_norm_of_biased_variance, examples=25, lanes=["bound"])
    assert [failure.quantity for failure in report.failures] == ["running_var"]
    assert "the variance is divided by m;" in str(report)
