"""The running statistics of a batch norm are compared with torch's."""

from typing import Any

import numpy as np
import pytest
import torch

import parity
from numpy_cnn import ops
from numpy_cnn.ops.batch_normalization import running_statistics
from parity.cases.state import collected
from parity.rows.registry import ROWS

pytestmark = pytest.mark.usefixtures("named")


class BatchNorm:
    """A layer with running statistics as attributes; subclasses change their update."""

    def __init__(self, num_features: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.momentum, self.eps, self.training = momentum, eps, True

    def forward(self, x: Any) -> Any:
        options: dict[str, Any] = {"training": self.training, "momentum": self.momentum, "eps": self.eps}
        y, self.pullback = ops.batch_norm(x, self.running_mean, self.running_var, self.gamma, self.beta, **options)
        if self.training and x.size:
            axes = (0, *range(2, x.ndim))
            wide = x.astype(np.float64)
            self.update(wide.mean(axis=axes), wide.var(axis=axes), x.size // x.shape[1])
        return y

    def update(self, mean: Any, var: Any, count: int) -> None:
        self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean
        self.running_var = (1 - self.momentum) * self.running_var + self.momentum * var * count / (count - 1)

    def backward(self, dy: Any) -> Any:
        dx, _, _, self.dgamma, self.dbeta = self.pullback(dy)
        return dx


class Biased(BatchNorm):
    def update(self, mean: Any, var: Any, count: int) -> None:
        super().update(mean, var * (count - 1) / count, count)


class Reversed(BatchNorm):
    def update(self, mean: Any, var: Any, count: int) -> None:
        self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mean
        self.running_var = self.momentum * self.running_var + (1 - self.momentum) * var * count / (count - 1)


class Never(BatchNorm):
    def update(self, mean: Any, var: Any, count: int) -> None:
        pass


def by_arguments(x: Any, mean: Any, var: Any, *parameters: Any, **options: Any) -> Any:
    """The op with torch's arguments; wrongly updates running_var with the standard deviation."""
    result = ops.batch_norm(x, mean, var, *parameters, **options)
    if options["training"] and mean is not None and x.size:
        axes, m = (0, *range(2, x.ndim)), options["momentum"]
        mean[...] = (1 - m) * mean + m * x.mean(axis=axes)
        var[...] = (1 - m) * var + m * x.std(axis=axes, ddof=1)
    return result


class Stated(Reversed):
    """Its momentum is the weight of the old statistics, as its default shows; the variance is torch's."""

    def __init__(self, num_features: int, momentum: float = 0.9, eps: float = 1e-5) -> None:
        super().__init__(num_features, momentum, eps)


class Course(Stated):
    """The rule of courses, which also uses the biased variance."""

    def update(self, mean: Any, var: Any, count: int) -> None:
        super().update(mean, var * (count - 1) / count, count)


class CourseNever(Course):
    def update(self, mean: Any, var: Any, count: int) -> None:
        pass


class Module(torch.nn.Module):
    """A torch module with the statistics as buffers; options change torch's update."""

    def __init__(self, num_features: int, biased: bool = False) -> None:
        super().__init__()
        self.weight, self.bias = (torch.nn.Parameter(torch.ones(num_features)) for _ in range(2))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.momentum, self.eps, self.biased = 0.1, 1e-5, biased

    def forward(self, x: Any) -> Any:
        axes, view = [0, *range(2, x.ndim)], (1, -1) + (1,) * (x.ndim - 2)
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = x.mean(axes), x.var(axes, unbiased=False)
            of_batch = var if self.biased else x.var(axes)
            self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean.detach()
            self.running_var = (1 - self.momentum) * self.running_var + self.momentum * of_batch.detach()
        normal = (x - mean.view(view)) / torch.sqrt(var.view(view) + self.eps)
        return normal * self.weight.view(view) + self.bias.view(view)


def in_a_dict(update: Any) -> Any:
    """A function and its backward; `update(old, of_batch, momentum)` returns the statistics stored in bn_param."""

    def forward(x: Any, gamma: Any, beta: Any, bn_param: dict[str, Any]) -> Any:
        training, momentum = bn_param["mode"] == "train", bn_param.get("momentum", 0.9)
        mean, var = bn_param["running_mean"], bn_param["running_var"]
        options = {"training": training, "momentum": momentum, "eps": bn_param.get("eps", 1e-5)}
        y, pullback = ops.batch_norm(x, mean, var, gamma, beta, **options)
        if training and update is not None:
            axes = (0, *range(2, x.ndim))
            bn_param["running_mean"] = update(mean, x.mean(axis=axes), momentum)
            bn_param["running_var"] = update(var, x.var(axis=axes), momentum)
        return y, pullback

    def backward(dout: Any, cache: Any) -> Any:
        dx, _, _, dgamma, dbeta = cache(dout)
        return dx, dgamma, dbeta

    return forward, backward


def findings(implementation: Any) -> dict[str, str | None]:
    report = parity.check("batch_norm", implementation, examples=30, lanes=["bound"])
    assert all(failure.verdict == "wrong" for failure in report.failures)
    return {failure.quantity: failure.explanation for failure in report.failures}


@pytest.mark.parametrize(
    ("implementation", "expected"),
    [
        (BatchNorm, {}),
        (Biased, {"running_var": "running-biased-variance"}),
        (Reversed, {"running_mean": "running-momentum-reversed", "running_var": "running-momentum-reversed"}),
        (Never, {"running_mean": "running-never-updated", "running_var": "running-never-updated"}),
        (by_arguments, {"running_var": "running-deviation"}),
        (Course, {}),
        (CourseNever, {"running_mean": "running-never-updated", "running_var": "running-never-updated"}),
        (Module(3), {}),
        (Module, {}),
        (Module(3, biased=True), {"running_var": "running-biased-variance"}),
        (in_a_dict(lambda old, new, m: m * old + (1 - m) * new), {}),
        (in_a_dict(lambda old, new, m: (1 - m) * old + m * new), {"running_var": "running-biased-variance"}),
        (in_a_dict(None), {"running_mean": "running-never-updated", "running_var": "running-never-updated"}),
    ],
)
def test_mistakes_in_running_statistics_are_named(implementation: Any, expected: dict[str, str]) -> None:
    assert findings(implementation) == expected


def test_momentum_as_the_weight_of_the_old_statistics_is_a_convention() -> None:
    report = parity.check("batch_norm", Stated, examples=30, lanes=["bound"])
    assert {f.quantity: (f.verdict, f.explanation) for f in report.failures} == dict.fromkeys(
        ("running_mean", "running_var"), ("convention", "running-momentum-reversed")
    )
    accepted = parity.check(
        "batch_norm", Stated, examples=30, lanes=["bound"], accept=["running-momentum-reversed"]
    )
    assert accepted.ok


@pytest.mark.parametrize("right", [Course, Module(3), in_a_dict(lambda old, new, m: m * old + (1 - m) * new)])
def test_converted_statistics_stay_within_their_bounds(right: Any) -> None:
    report = parity.check("batch_norm", right, examples=40)
    assert report.ok, f"\n{report}"
    assert "not compared" not in str(report)
    assert not [note for note in report.notes if note.aspect == "default"]


def test_an_update_in_place_is_allowed() -> None:
    report = parity.check("batch_norm", BatchNorm, examples=40, lanes=["structure", "special"])
    assert report.failures == []
    assert [note for note in report.notes if note.aspect != "invalid"] == []


def test_statistics_that_are_not_compared_are_listed() -> None:
    report = parity.check("batch_norm", ops.batch_norm, examples=10, lanes=["bound"])
    assert report.ok
    assert "running statistics are not compared" in str(report)


def test_our_own_statistics_are_compared() -> None:
    report = parity.check("batch_norm", examples=20, lanes=["bound"])
    assert report.ok, f"\n{report}"
    assert {"running_mean", "running_var"} <= {*report.rows[0].quantities}
    assert "not compared" not in str(report)


@pytest.mark.parametrize("training", [True, False])
def test_statistics_change_only_in_training(training: bool) -> None:
    x, mean, var = np.arange(12.0).reshape(4, 3), np.ones(3), np.full(3, 2.0)
    with collected() as kept:
        ROWS["batch_norm"].op(x, mean, var, training=training, momentum=0.25)
    after = running_statistics(x, mean, var, 0.25) if training else (mean, var)
    np.testing.assert_array_equal([kept["running_mean"], kept["running_var"]], after)


def test_a_fixed_momentum_of_one_half_does_not_show_the_convention_of_courses() -> None:
    """It weights the old and the new statistics equally, so the biased variance is a mistake."""
    module = Module(3, biased=True)
    module.momentum = 0.5
    assert findings(module) == {"running_var": "running-biased-variance"}
