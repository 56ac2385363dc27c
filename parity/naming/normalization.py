"""Mistakes in batch normalization: the statistics, the place of ε, and what depends on what."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from parity.cases.state import BUFFERS
from parity.cases.torch_op import Array
from parity.naming.explanation import Explanation, mistake, scaled
from parity.naming.general import argument
from parity.naming.probe import NotApplicable, Probe


@dataclass(frozen=True)
class Formulas:
    """Batch normalization as in torch; each field is one way to have it wrong."""

    trains: bool | None = None  # whatever `training` is
    unbiased: bool = False  # the variance divided by m − 1
    statistics_of: str = "batch"  # "batch", "image", "place" (each pixel of its own), "everything"
    epsilon: str = "inside"  # or "outside" of the root, or "nowhere"
    epsilon_in_backward: bool = True
    root: bool = True
    centred: bool = True
    mean_depends: bool = True  # the gradient passes through the mean,
    variance_depends: bool = True  # and through the variance
    weight_in_gradient: bool = True
    gathers: str = "normal"  # what dw gathers: the normalized x̂, "input", "centred" or "output"
    shift_scaled: bool = False  # (x̂ + b)·w

    def __call__(self, probe: Probe) -> Array:
        """The output or a gradient.

        Raises:
            NotApplicable: it is asked for the running statistics.
        """
        if probe.quantity in BUFFERS:
            raise NotApplicable("running statistics have formulas of their own")
        x, options = probe.first.astype(np.float64), probe.options
        training = options["training"] if self.trains is None else self.trains
        training = training or probe.arrays["running_mean"] is None
        axes = (0, *range(2, x.ndim))
        over = {"batch": axes, "image": axes[1:], "place": (0,), "everything": tuple(range(x.ndim))}
        across = over[self.statistics_of]

        def along(name: str, absent: float) -> Array:
            array = probe.arrays.get(name)
            if array is None:
                return np.full((1,) * x.ndim, absent)
            return array.astype(np.float64).reshape(1, -1, *[1] * (x.ndim - 2))

        if training:
            mean, variance = x.mean(axis=across, keepdims=True), x.var(axis=across, keepdims=True)
            count = x.size // max(1, mean.size)
            variance = variance * count / (count - 1) if self.unbiased else variance
        else:
            mean, variance = along("running_mean", 0.0), along("running_var", 1.0)
        deviation = self._deviation(variance, options["eps"])
        centred = x - mean if self.centred else x
        normal, w, b = centred / deviation, along("weight", 1.0), along("bias", 0.0)
        y = (normal + b) * w if self.shift_scaled else w * normal + b
        if probe.is_output:
            return np.asarray(y)
        u = probe.dy.astype(np.float64)
        if probe.quantity == "grad_bias":
            return np.asarray(u.sum(axis=axes))
        if probe.quantity == "grad_weight":
            gathered = {"normal": normal, "input": x, "centred": centred, "output": y}[self.gathers]
            return np.asarray((u * gathered).sum(axis=axes))
        g = u * w if self.weight_in_gradient else u
        dx = g
        if training:
            dx = dx - g.mean(axis=across, keepdims=True) if self.mean_depends else dx
            dx = dx - normal * (g * normal).mean(axis=across, keepdims=True) if self.variance_depends else dx
        return np.asarray(dx / (deviation if self.epsilon_in_backward else np.sqrt(variance)))

    def _deviation(self, variance: Array, eps: float) -> Array:
        if not self.root:
            return variance + eps
        if self.epsilon == "outside":
            return np.asarray(np.sqrt(variance) + eps)
        return np.asarray(np.sqrt(variance + (eps if self.epsilon == "inside" else 0.0)))


_EVERYWHERE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("unbiased-variance", {"unbiased": True}),
    ("epsilon-outside-root", {"epsilon": "outside"}),
    ("epsilon-ignored", {"epsilon": "nowhere"}),
    ("root-missing", {"root": False}),
    ("not-centred", {"centred": False}),
    ("training-ignored", {"trains": False}),
    ("evaluation-ignored", {"trains": True}),
    ("statistics-of-each-image", {"statistics_of": "image"}),
    ("statistics-of-each-place", {"statistics_of": "place"}),
    ("statistics-of-everything", {"statistics_of": "everything"}),
)

_OF_INPUT: tuple[tuple[str, dict[str, Any]], ...] = (
    ("mean-constant", {"mean_depends": False}),
    ("variance-constant", {"variance_depends": False}),
    ("statistics-constant", {"mean_depends": False, "variance_depends": False}),
    ("weight-in-gradient-lost", {"weight_in_gradient": False}),
    ("epsilon-missing-in-backward", {"epsilon_in_backward": False}),
)


@dataclass(frozen=True)
class RunningStatistics:
    """The update of the running statistics as in torch; each field is one way to have it wrong."""

    biased: bool = False  # the variance divided by m
    reversed: bool = False  # momentum weights the old value
    momentum: float | None = None  # whatever the option is
    trains: bool | None = None  # whatever `training` is
    root: bool = False  # the standard deviation instead of the variance

    def __call__(self, probe: Probe) -> Array:
        """The running mean or the running variance after the call."""
        x, options, before = probe.first.astype(np.float64), probe.options, probe.array(probe.quantity)
        if not (options["training"] if self.trains is None else self.trains) or not x.size:
            return before
        momentum = options["momentum"] if self.momentum is None else self.momentum
        momentum = 1 - momentum if self.reversed else momentum
        axes, count = (0, *range(2, x.ndim)), x.size // x.shape[1]
        of_batch = x.mean(axis=axes) if probe.quantity == "running_mean" else x.var(axis=axes)
        if probe.quantity == "running_var":
            of_batch = of_batch if self.biased or count < 2 else of_batch * count / (count - 1)
            of_batch = np.sqrt(of_batch) if self.root else of_batch
        return np.asarray((1 - momentum) * before + momentum * of_batch)


_RUNNING = (
    ("running-biased-variance", RunningStatistics(biased=True)),
    ("running-momentum-reversed", RunningStatistics(reversed=True)),
    ("running-never-updated", RunningStatistics(trains=False)),
    ("running-replaced", RunningStatistics(momentum=1.0)),
    ("running-always-updated", RunningStatistics(trains=True)),
    ("running-deviation", RunningStatistics(root=True)),
)


def _batch_norm() -> Iterator[Explanation]:
    right = Formulas()
    yield from (mistake(name, formula=replace(right, **wrong)) for name, wrong in _EVERYWHERE)
    yield from (mistake(name, "grad_input", formula=replace(right, **wrong)) for name, wrong in _OF_INPUT)
    for what in ("input", "centred", "output"):
        yield mistake(f"gathers-{what}", "grad_weight", formula=replace(right, gathers=what))
    yield mistake("shift-scaled", "output", formula=replace(right, shift_scaled=True))
    for name, statistics in _RUNNING:
        yield mistake(name, "running_", formula=statistics)
    yield mistake("scale-ignored", "output", argument("weight", np.ones_like))
    yield mistake("channel-mean", "grad_", result=scaled(lambda p: p.first.shape[1] / max(p.first.size, 1)))


BATCH_NORM = tuple(_batch_norm())
