"""Running statistics that a batch norm keeps are compared with torch's."""

from typing import Any

import numpy as np
import pytest

import parity
from numpy_cnn import ops


class BatchNorm:
    """A layer whose running statistics are attributes; the tests change how they are updated."""

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
    """The op by torch's arguments, which are updated in place with the standard deviation."""
    result = ops.batch_norm(x, mean, var, *parameters, **options)
    if options["training"] and mean is not None and x.size:
        axes, m = (0, *range(2, x.ndim)), options["momentum"]
        mean[...] = (1 - m) * mean + m * x.mean(axis=axes)
        var[...] = (1 - m) * var + m * x.std(axis=axes, ddof=1)
    return result


class Course(Reversed):
    """Momentum weights the old statistics, as its default shows: another convention, which is not compared."""

    def __init__(self, num_features: int, momentum: float = 0.9, eps: float = 1e-5) -> None:
        super().__init__(num_features, momentum, eps)


def findings(implementation: Any) -> dict[str, str | None]:
    report = parity.check("batch_norm", implementation, examples=20, lanes=["bound"])
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
    ],
)
def test_running_statistics_are_compared_and_their_mistakes_named(
    implementation: Any, expected: dict[str, str]
) -> None:
    assert findings(implementation) == expected


def test_an_update_in_place_breaks_no_contract() -> None:
    report = parity.check("batch_norm", BatchNorm, examples=40, lanes=["structure", "special"])
    assert report.failures == []
    assert [note for note in report.notes if note.aspect != "invalid"] == []


def test_statistics_that_are_not_compared_are_listed() -> None:
    report = parity.check("batch_norm", ops.batch_norm, examples=10, lanes=["bound"])
    assert report.ok
    assert "running statistics are not compared" in str(report)
