"""Common forms of batch normalization are recognised, receive statistics and mode, and get fitting cases."""

from typing import Any

import numpy as np
import pytest
import torch.nn.functional as F
from hypothesis import given, settings

import parity
from numpy_cnn import ops
from parity.cases.inputs import inputs_of
from parity.cases.restrict import fits, narrow
from parity.cases.torch_op import oracle
from parity.rows.registry import ROWS

pytestmark = pytest.mark.usefixtures("named")


def batchnorm_forward(x: Any, gamma: Any, beta: Any, bn_param: dict[str, Any]) -> Any:
    """In the style of courses: rows only, the mode as a string, running statistics kept in the dict."""
    mode, eps, momentum = bn_param["mode"], bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9)
    _, size = x.shape
    mean = bn_param.get("running_mean", np.zeros(size, x.dtype))
    var = bn_param.get("running_var", np.zeros(size, x.dtype))
    if mode == "train":
        bn_param["running_mean"] = momentum * mean + (1 - momentum) * x.mean(axis=0)
        bn_param["running_var"] = momentum * var + (1 - momentum) * x.var(axis=0)
        mean, var = x.mean(axis=0), x.var(axis=0)
    elif mode != "test":
        raise ValueError(f"invalid mode {mode}")
    std = np.sqrt(var + eps)
    xhat = (x - mean) / std
    return gamma * xhat + beta, (mode, xhat, gamma, std)


def batchnorm_backward(dout: Any, cache: Any) -> Any:
    mode, xhat, gamma, std = cache
    dxhat = dout * gamma
    dx = dxhat / std
    if mode == "train":
        dx = (dxhat - dxhat.mean(axis=0) - xhat * (dxhat * xhat).mean(axis=0)) / std
    return dx, (dout * xhat).sum(axis=0), dout.sum(axis=0)


def batchnorm_backward_constant(dout: Any, cache: Any) -> Any:
    return batchnorm_backward(dout, ("test", *cache[1:]))


def rows(x: Any) -> Any:
    return x.transpose(0, 2, 3, 1).reshape(-1, x.shape[1])


def images(y: Any, like: Any) -> Any:
    n, c, h, w = like.shape
    return y.reshape(n, h, w, c).transpose(0, 3, 1, 2)


def spatial_batchnorm_forward(x: Any, gamma: Any, beta: Any, bn_param: dict[str, Any]) -> Any:
    y, cache = batchnorm_forward(rows(x), gamma, beta, bn_param)
    return images(y, x), cache


def spatial_batchnorm_backward(dout: Any, cache: Any) -> Any:
    dx, dgamma, dbeta = batchnorm_backward(rows(dout), cache)
    return images(dx, dout), dgamma, dbeta


def train_only(x: Any, gamma: Any, beta: Any) -> Any:
    """ε fixed."""
    y, cache = batchnorm_forward(x, gamma, beta, {"mode": "train"})
    return y, lambda dy: batchnorm_backward(dy, cache)


def torchs_order(
    x: Any, running_mean: Any, running_var: Any, weight: Any, bias: Any, training: Any, eps: Any
) -> Any:
    return ops.batch_norm(x, running_mean, running_var, weight, bias, training=training, eps=eps)


def torchs_order_backward(dout: Any, cache: Any) -> Any:
    return cache(dout)


def torchs_order_by_other_names(x: Any, mean: Any, var: Any, w: Any, b: Any, training: Any, eps: Any) -> Any:
    return ops.batch_norm(x, mean, var, w, b, training=training, eps=eps)


class BatchNormalization:
    """Takes everything in the constructor and the mode at each call; supports rows and images; ε is fixed."""

    def __init__(
        self, gamma: Any, beta: Any, momentum: float = 0.9, running_mean: Any = None, running_var: Any = None
    ) -> None:
        self.gamma, self.beta, self.momentum = gamma, beta, momentum
        self.running_mean, self.running_var = running_mean, running_var

    def forward(self, x: Any, train_flg: bool = True) -> Any:
        statistics = {"running_mean": self.running_mean, "running_var": self.running_var}
        forward = batchnorm_forward if x.ndim == 2 else spatial_batchnorm_forward
        param = {"mode": "train" if train_flg else "test", "eps": 1e-7, "momentum": self.momentum, **statistics}
        y, self.cache = forward(x, self.gamma, self.beta, param)
        self.running_mean, self.running_var = param["running_mean"], param["running_var"]
        return y

    def backward(self, dout: Any) -> Any:
        backward = batchnorm_backward if dout.ndim == 2 else spatial_batchnorm_backward
        dx, self.dgamma, self.dbeta = backward(dout, self.cache)
        return dx


class BatchNorm1d:
    """Takes its sizes; mode, statistics and parameters are attributes, of shape (1, C)."""

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones((1, num_features)), np.zeros((1, num_features))
        self.running_mean, self.running_var = np.zeros((1, num_features)), np.ones((1, num_features))

    def forward(self, x: Any) -> Any:
        param = {"mode": "train" if self.training else "test", "eps": self.eps}
        param |= {"running_mean": self.running_mean, "running_var": self.running_var}
        y, self.cache = batchnorm_forward(x, self.gamma, self.beta, param)
        if self.training and len(x):
            mean, var = x.mean(axis=0, keepdims=True), x.var(axis=0, ddof=1, keepdims=True)
            self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean
            self.running_var = (1 - self.momentum) * self.running_var + self.momentum * var
        return y

    def backward(self, dout: Any) -> Any:
        dx, self.dgamma, self.dbeta = batchnorm_backward(dout, self.cache)
        return dx


FOUND: dict[str, tuple[Any, dict[str, Any], set[str]]] = {
    "course": ((batchnorm_forward, batchnorm_backward), {}, {"rank=2"}),
    "course, images": ((spatial_batchnorm_forward, spatial_batchnorm_backward), {}, {"rank=4"}),
    "train alone": (train_only, {}, {"rank=2", "training=true", "eps=1e-05", "momentum=0.1"}),
    "torch's order": ((torchs_order, torchs_order_backward), {}, {"momentum=0.1"}),
    "torch's order by other names": (torchs_order_by_other_names, {}, {"momentum=0.1"}),
    "class": (BatchNormalization, {"supports": {"eps": 1e-7}}, {"rank=2|4"}),
    "class with attributes": (BatchNorm1d, {}, {"rank=2"}),
}


@pytest.mark.parametrize("form", FOUND)
def test_form_is_recognised(form: str) -> None:
    implementation, how, noted = FOUND[form]
    report = parity.check("batch_norm", implementation, examples=20, **how)
    row = report.rows[0]
    assert report.ok, f"\n{report}\n{row.notes}"
    assert min(row.lanes.values()) >= 20
    assert all(any(words in note for note in row.notes) for words in noted), row.notes


def test_a_mistake_in_a_pair_is_found_only_in_training() -> None:
    report = parity.check("batch_norm", (batchnorm_forward, batchnorm_backward_constant), examples=40)
    (failure,) = report.failures
    assert failure.quantity == "grad_input"
    assert failure.case.options["training"]


WANTED: list[dict[str, Any]] = [
    {"rank": 2}, {"rank": 4}, {"rank": {2, 4}, "training": False}, {"training": True, "rank": 2}, {"bias": True},
    {"bias": False}, {"batch": 2}, {"input": (5, 2, 3)}, {"input": (5,), "training": False},
]  # fmt: skip


@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_cases_are_rebuilt_to_fit_the_restriction(wanted: dict[str, Any]) -> None:
    seen = []

    @settings(max_examples=40, database=None)
    @given(narrow(ROWS["batch_norm"].strategy(lane="bound"), wanted))
    def holds(case: Any) -> None:
        seen.append(case)
        assert fits(case, wanted)
        inputs = inputs_of(case, "bound", integer=False)
        oracle(F.batch_norm)(*inputs.arrays, **inputs.options)  # torch accepts it

    holds()
    assert len(seen) >= 30
