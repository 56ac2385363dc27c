"""Mistakes in normalizations: the statistics, the place of ε, and the terms of the gradient."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from parity.cases.op import Array
from parity.cases.state import BUFFERS
from parity.naming.explanation import Explanation, mistake, scaled
from parity.naming.general import argument
from parity.naming.probe import NotApplicable, Probe

Axes: TypeAlias = tuple[int, ...]
Term: TypeAlias = Literal["right", "lost", "negated", "summed", "halved", "doubled", "unbiased"]


@dataclass(frozen=True)
class Layout:
    """The axes of a normalization, on a view of x with a separate axis for the groups."""

    view: tuple[int, ...]
    own: Axes  # axes of mean and variance
    gathered: Axes  # axes of the sums dw and db
    weight: tuple[int, ...]  # shape of weight and bias for broadcasting against the view

    @classmethod
    def of(cls, probe: Probe) -> "Layout":
        """The layout of batch, layer, group or instance normalization, recognized by the call's options."""
        shape, options = probe.first.shape, probe.options
        if "normalized_shape" in options:
            each = tuple(options["normalized_shape"])
            leading = len(shape) - len(each)
            return cls(shape, tuple(range(leading, len(shape))), tuple(range(leading)), each)
        if "num_groups" in options:
            groups = options["num_groups"]
            view = (shape[0], groups, shape[1] // groups, *shape[2:])
            around = tuple(range(3, len(view)))
            return cls(view, (2, *around), (0, *around), (1, groups, view[2], *[1] * len(around)))
        around = tuple(range(2, len(shape)))
        own = around if "use_input_stats" in options else (0, *around)
        return cls(shape, own, (0, *around), (1, shape[1], *[1] * len(around)))

    def axes(self, which: str) -> Axes:
        """The axes of the statistics, by name."""
        every = tuple(range(len(self.view)))
        named = {"image": every[2:], "batch": (0,), "channel": (0, *every[2:]), "last": every[-1:]}
        return (named | {"own": self.own, "everything": every})[which]


def _times(term: Term, count: int) -> float:
    """The factor of a term of dx that is a mean over `count` entries."""
    if term == "unbiased" and count < 2:
        raise NotApplicable("one entry has no unbiased variance")
    of_count = {"summed": float(count), "unbiased": count / max(1, count - 1)}
    return {"right": 1.0, "lost": 0.0, "negated": -1.0, "halved": 0.5, "doubled": 2.0, **of_count}[term]


@dataclass(frozen=True)
class Formulas:
    """A normalization as in torch; each field is one possible mistake."""

    trains: bool | None = None  # overrides `training`
    unbiased: bool = False  # the variance divided by m − 1
    statistics_of: str = "own"  # or "image", "batch" (per position), "everything"
    epsilon: str = "inside"  # the root; or "outside", or "nowhere"
    epsilon_in_backward: bool = True
    root: bool = True
    centred: bool = True
    mean_term: Term = "right"  # the gradient through the mean
    variance_term: Term = "right"  # and through the variance
    deviation_in_gradient: bool = True
    weight_in_gradient: bool = True
    gathers: str = "normal"  # the factor of dy in dw: the normalized x̂, "input", "centred" or "output"
    shift_scaled: bool = False  # (x̂ + b)·w

    def __call__(self, probe: Probe) -> Array:
        """The output or a gradient.

        Raises:
            NotApplicable: the quantity is a running statistic.
        """
        if probe.quantity in BUFFERS:
            raise NotApplicable("running statistics have separate formulas")
        layout, options = Layout.of(probe), probe.options
        x = probe.first.astype(np.float64).reshape(layout.view)
        training = options.get("training", options.get("use_input_stats", True))
        training = training if self.trains is None else self.trains
        training = training or probe.arrays.get("running_mean") is None
        across = layout.axes(self.statistics_of)

        def along(name: str, absent: float) -> Array:
            array = probe.arrays.get(name)
            return (
                np.full((1,) * x.ndim, absent)
                if array is None
                else array.astype(np.float64).reshape(layout.weight)
            )

        count = 1
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
            return np.asarray(y).reshape(probe.first.shape)
        u = probe.dy.astype(np.float64).reshape(layout.view)
        if probe.quantity == "grad_bias":
            return np.asarray(u.sum(axis=layout.gathered)).reshape(probe.array("bias").shape)
        if probe.quantity == "grad_weight":
            gathered = {"normal": normal, "input": x, "centred": centred, "output": y}[self.gathers]
            return np.asarray((u * gathered).sum(axis=layout.gathered)).reshape(probe.array("weight").shape)
        g = u * w if self.weight_in_gradient else u
        dx = g
        if training:
            of_mean = _times(self.mean_term, count) * g.mean(axis=across, keepdims=True)
            of_variance = _times(self.variance_term, count) * (g * normal).mean(axis=across, keepdims=True)
            dx = dx - of_mean - normal * of_variance
        if self.deviation_in_gradient:
            dx = dx / (deviation if self.epsilon_in_backward else np.sqrt(variance))
        return np.asarray(dx).reshape(probe.first.shape)

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
    ("statistics-of-everything", {"statistics_of": "everything"}),
)

_BATCH: tuple[tuple[str, dict[str, Any]], ...] = (
    *_EVERYWHERE,
    ("training-ignored", {"trains": False}),
    ("evaluation-ignored", {"trains": True}),
    ("statistics-of-each-image", {"statistics_of": "image"}),
    ("statistics-of-each-place", {"statistics_of": "batch"}),
)

_LAYER = (
    *_EVERYWHERE,
    ("statistics-of-batch", {"statistics_of": "batch"}),
    ("statistics-of-last-axis", {"statistics_of": "last"}),
)
_INSTANCE = (*_EVERYWHERE, ("statistics-of-batch", {"statistics_of": "channel"}))

_OF_INPUT: tuple[tuple[str, dict[str, Any]], ...] = (
    ("mean-constant", {"mean_term": "lost"}),
    ("variance-constant", {"variance_term": "lost"}),
    ("statistics-constant", {"mean_term": "lost", "variance_term": "lost"}),
    ("weight-in-gradient-lost", {"weight_in_gradient": False}),
    ("epsilon-missing-in-backward", {"epsilon_in_backward": False}),
    ("deviation-lost", {"deviation_in_gradient": False}),
    ("mean-term-sign", {"mean_term": "negated"}),
    ("mean-term-summed", {"mean_term": "summed"}),
    ("variance-term-sign", {"variance_term": "negated"}),
    ("variance-term-summed", {"variance_term": "summed"}),
    ("variance-term-halved", {"variance_term": "halved"}),
    ("variance-term-doubled", {"variance_term": "doubled"}),
    ("variance-term-unbiased", {"variance_term": "unbiased"}),
)


# Of which entries the batch's mean and variance are taken.
Sample: TypeAlias = Literal["all", "first", "last", "each"]


@dataclass(frozen=True)
class RunningStatistics:
    """The update of the running statistics as in torch; each field is one possible mistake."""

    biased: bool = False  # the variance divided by m
    reversed: bool = False  # momentum is the weight of the old value
    momentum: float | None = None  # replaces the option
    trains: bool | None = None  # overrides `training`
    keeps_all: bool = False  # the old value lacks the factor 1 − momentum
    adds_all: bool = False  # the batch's value lacks the factor momentum
    updates: int = 1  # by the same batch
    root: bool = False  # the standard deviation
    squares: bool = False  # the mean of x²
    epsilon: bool = False  # is added to the variance
    samples: Sample = "all"  # statistics of one sample, or the mean of each sample's
    counts_samples: bool = False  # the factor N/(N − 1)
    about_new: bool = False  # deviations from the updated running mean
    exchanged: bool = False  # the mean takes the variance, and the variance the mean

    def __call__(self, probe: Probe) -> Array:
        """The running mean or the running variance after the call."""
        options, before = probe.options, probe.array(probe.quantity)
        if not (options["training"] if self.trains is None else self.trains) or not probe.first.size:
            return before
        momentum = options["momentum"] if self.momentum is None else self.momentum
        momentum = 1 - momentum if self.reversed else momentum
        mean, variance = self._of_batch(probe, momentum)
        of_batch = mean if (probe.quantity == "running_mean") != self.exchanged else variance
        after = before.astype(np.float64)
        for _ in range(self.updates):
            after = self._mixed(after, of_batch, momentum)
        return np.asarray(after)

    def _mixed(self, old: Array, of_batch: Array, momentum: float) -> Array:
        kept = 1.0 if self.keeps_all else 1 - momentum
        return kept * old + (1.0 if self.adds_all else momentum) * of_batch

    def _of_batch(self, probe: Probe, momentum: float) -> tuple[Array, Array]:
        x = probe.first.astype(np.float64)
        x = {"first": x[:1], "last": x[-1:]}.get(self.samples, x)
        around = tuple(range(2, x.ndim))
        axes = around if self.samples == "each" else (0, *around)
        mean, variance = x.mean(axis=axes), (x * x).mean(axis=axes) if self.squares else x.var(axis=axes)
        if self.about_new:
            after = self._mixed(probe.array("running_mean").astype(np.float64), mean, momentum)
            variance = variance + (mean - after) ** 2
        count = len(x) if self.counts_samples else x.size // max(mean.size, 1)
        if not self.biased:
            variance = variance * (count / max(1, count - 1))
        if self.root:
            variance = np.sqrt(variance)
        if self.epsilon:
            variance = variance + probe.options["eps"]
        return (mean.mean(axis=0), variance.mean(axis=0)) if self.samples == "each" else (mean, variance)


_RUNNING = (
    ("running-biased-variance", RunningStatistics(biased=True)),
    ("running-momentum-reversed", RunningStatistics(reversed=True)),
    ("running-never-updated", RunningStatistics(trains=False)),
    ("running-replaced", RunningStatistics(momentum=1.0)),
    ("running-always-updated", RunningStatistics(trains=True)),
    ("running-deviation", RunningStatistics(root=True)),
    ("running-deviation", RunningStatistics(root=True, biased=True)),
    ("running-added", RunningStatistics(keeps_all=True)),
    ("running-share-missing", RunningStatistics(adds_all=True)),
    ("running-updated-twice", RunningStatistics(updates=2)),
    ("running-default-momentum", RunningStatistics(momentum=0.1)),
    ("running-squares", RunningStatistics(squares=True, biased=True)),
    ("running-variance-of-samples", RunningStatistics(counts_samples=True)),
    ("running-epsilon", RunningStatistics(epsilon=True)),
    ("running-exchanged", RunningStatistics(exchanged=True)),
    ("running-exchanged", RunningStatistics(exchanged=True, biased=True)),
    ("running-about-new-mean", RunningStatistics(about_new=True)),
    ("running-about-new-mean", RunningStatistics(about_new=True, biased=True)),
    *(
        (f"running-of-{samples}-sample", RunningStatistics(samples=samples, biased=biased))
        for samples in get_args(Sample)[1:]
        for biased in (False, True)
    ),
)


def _normalization(everywhere: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[Explanation]:
    right = Formulas()
    yield from (mistake(name, formula=replace(right, **wrong)) for name, wrong in everywhere)
    yield from (mistake(name, "grad_input", formula=replace(right, **wrong)) for name, wrong in _OF_INPUT)
    for what in ("input", "centred", "output"):
        yield mistake(f"gathers-{what}", "grad_weight", formula=replace(right, gathers=what))
    yield mistake("shift-scaled", "output", formula=replace(right, shift_scaled=True))
    yield mistake("scale-ignored", "output", argument("weight", np.ones_like))


BATCH_NORM = (
    *_normalization(_BATCH),
    *(
        mistake(name, "running_", formula=statistics, convention=statistics.reversed)
        for name, statistics in _RUNNING
    ),
    mistake("channel-mean", "grad_", result=scaled(lambda p: p.first.shape[1] / max(p.first.size, 1))),
)


def _channels(probe: Probe) -> Array:
    """The channels in the order in which neighbouring ones form the groups that the mistake forms."""
    return np.arange(probe.first.shape[1]).reshape(-1, probe.options["num_groups"]).T.ravel()


def _interleaved(probe: Probe) -> Probe:
    order = _channels(probe)
    arrays = {n: None if a is None else a[:, order] if a.ndim > 1 else a[order] for n, a in probe.arrays.items()}
    return probe.with_arrays(**arrays).with_upstream(probe.dy[:, order])


def _in_own_places(r: Array, probe: Probe) -> Array:
    back = np.argsort(_channels(probe))
    return r[:, back] if r.ndim > 1 else r[back]


def _summed_per_group(result: Array, probe: Probe) -> Array:
    groups = result.reshape(probe.options["num_groups"], -1)
    return np.broadcast_to(groups.sum(1, keepdims=True), groups.shape).reshape(result.shape)


ENTRIES_MEAN = tuple(
    mistake("entries-mean", gradient, result=scaled(lambda p: p.array("weight").size / max(p.first.size, 1)))
    for gradient in ("grad_weight", "grad_bias")
)
LAYER_NORM = (*_normalization(_LAYER), *ENTRIES_MEAN)
GROUP_NORM = (
    *_normalization(_EVERYWHERE),
    *ENTRIES_MEAN,
    mistake("channels-interleaved", "", _interleaved, _in_own_places),
    *(
        mistake("gathered-per-group", gradient, result=_summed_per_group)
        for gradient in ("grad_weight", "grad_bias")
    ),
)
INSTANCE_NORM = (*_normalization(_INSTANCE), *ENTRIES_MEAN)
