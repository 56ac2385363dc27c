"""Batch normalization with one mistake."""

from collections.abc import Callable
from typing import Any

import numpy as np

from numpy_cnn import ops
from numpy_cnn.arguments import Array
from parity.cases.torch_op import Op
from parity.exam.bug import CORRECT, Correct, plant, planted
from parity.exam.edits import Called, edited, forward_of


def _along(channels: Array | None, x: Array, absent: float) -> Array:
    """(C,) to be broadcast against x."""
    if channels is None:
        return np.asarray(absent, np.float64)
    return channels.astype(np.float64).reshape(-1, *[1] * (x.ndim - 2))


def _textbook(
    x: Array,
    mean: Array | None,
    var: Array | None,
    w: Array | None = None,
    b: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,  # noqa: ARG001  # torch's running statistics need it
    eps: float = 1e-5,
    *,
    variance: Callable[[Array, tuple[int, ...]], Array] = lambda x, axes: x.var(axis=axes, keepdims=True),
    root: Callable[[Array, float], Array] = lambda v, eps: np.sqrt(v + eps),
    through_mean: bool = True,
    through_variance: bool = True,
    of_dw: Callable[[Array, Array], Array] = lambda xhat, x: xhat,  # noqa: ARG005
    scaled: bool = True,
    dtype: Any = np.float64,
) -> Called:
    """The formulas in double precision; each bug changes one of them."""
    axes = (0, *range(2, x.ndim))
    wide = x.astype(dtype)
    batch = training and x.size > 0
    mu = wide.mean(axis=axes, keepdims=True) if batch else _along(mean, x, 0.0)
    deviation = root(variance(wide, axes) if batch else _along(var, x, 1.0), eps)
    xhat = (wide - mu) / deviation
    y = xhat * _along(w, x, 1.0) + _along(b, x, 0.0)

    def pullback(dy: Array) -> tuple[Any, ...]:
        u = dy.astype(dtype)
        g = u * _along(w, x, 1.0) if scaled else u
        dx = g
        if batch:
            if through_mean:
                dx = dx - g.mean(axis=axes, keepdims=True)
            if through_variance:
                dx = dx - xhat * (g * xhat).mean(axis=axes, keepdims=True)
        dw, db = (u * of_dw(xhat, wide)).sum(axis=axes), u.sum(axis=axes)
        return (
            (dx / deviation).astype(x.dtype),
            None,
            None,
            None if w is None else dw.astype(x.dtype),
            None if b is None else db.astype(x.dtype),
        )

    return y.astype(x.dtype), pullback


@planted("batch_norm", explained=("unbiased-variance",))
def norm_unbiased_variance(*arrays: Any, **options: Any) -> Called:
    """The batch is normalized by the variance over m - 1, which belongs to the running statistics alone."""

    def variance(x: Array, axes: tuple[int, ...]) -> Array:
        m = x.size // x.shape[1]
        return np.asarray(x.var(axis=axes, keepdims=True) * m / (m - 1))

    return _textbook(*arrays, **options, variance=variance)


@planted("batch_norm", explained=("epsilon-outside-root",))
def norm_epsilon_outside_root(*arrays: Any, **options: Any) -> Called:
    """Epsilon is added to the standard deviation instead of the variance."""
    return _textbook(*arrays, **options, root=lambda v, eps: np.sqrt(v) + eps)


@planted("batch_norm", explained=("variance-constant",), at="dx")
def norm_variance_taken_for_constant(*arrays: Any, **options: Any) -> Called:
    """The gradient does not pass through the variance."""
    return _textbook(*arrays, **options, through_variance=False)


@planted("batch_norm", explained=("mean-constant",), at="dx")
def norm_mean_taken_for_constant(*arrays: Any, **options: Any) -> Called:
    """The gradient does not pass through the mean."""
    return _textbook(*arrays, **options, through_mean=False)


@planted("batch_norm", explained=("statistics-constant",), at="dx")
def norm_statistics_taken_for_constant(*arrays: Any, **options: Any) -> Called:
    """In training the gradient is that of evaluation: neither mean nor variance is differentiated."""
    return _textbook(*arrays, **options, through_mean=False, through_variance=False)


@planted("batch_norm", explained=("weight-in-gradient-lost",), at="dx", source="denizyuret/Knet.jl#288")
def norm_dx_without_weight(*arrays: Any, **options: Any) -> Called:
    """dx leaves the scale out."""
    return _textbook(*arrays, **options, scaled=False)


@planted("batch_norm", explained=("gathers-input",), at="dw")
def norm_dw_of_the_input(*arrays: Any, **options: Any) -> Called:
    """dw multiplies dy by the input where it should be the normalized input."""
    return _textbook(*arrays, **options, of_dw=lambda _, x: x)


@planted("batch_norm", at="y")
def norm_variance_by_squares(*arrays: Any, **options: Any) -> Called:
    """E[x²] - E[x]² cancels far from 0."""

    def variance(x: Array, axes: tuple[int, ...]) -> Array:
        squares = (x * x).mean(axis=axes, keepdims=True)
        return np.asarray(np.maximum(squares - np.square(x.mean(axis=axes, keepdims=True)), 0))

    x = arrays[0]
    return forward_of(
        _textbook(*arrays, **options, variance=variance, dtype=x.dtype), ops.batch_norm(*arrays, **options)
    )


@planted("batch_norm", explained=("statistics-of-each-image",), at="y")
def norm_statistics_of_each_image(*arrays: Any, **options: Any) -> Called:
    """In training mean and variance are those of each image, as in instance normalization."""
    x = arrays[0]
    right = ops.batch_norm(*arrays, **options)
    if not options["training"] or x.ndim < 3 or not x.size:
        return right
    axes = tuple(range(2, x.ndim))
    wide = x.astype(np.float64)
    xhat = (wide - wide.mean(axis=axes, keepdims=True)) / np.sqrt(
        wide.var(axis=axes, keepdims=True) + options["eps"]
    )
    y = xhat * _along(arrays[3], x, 1.0) + _along(arrays[4], x, 0.0)
    return y.astype(x.dtype), right[1]


@planted("batch_norm", explained=("training-ignored",))
def norm_training_ignored(x: Array, mean: Any, var: Any, *parameters: Any, **options: Any) -> Called:
    """The running statistics normalize in training as well, where there are some."""
    return ops.batch_norm(x, mean, var, *parameters, **(options | {"training": mean is None}))


@planted("batch_norm", explained=("mutates-input",))
def norm_input_centred_in_place(x: Array, mean: Any, var: Any, *parameters: Any, **options: Any) -> Called:
    """The input is centred in place."""
    called = ops.batch_norm(x.copy(), mean, var, *parameters, **options)
    if x.flags.writeable and x.size:
        x -= x.mean(axis=(0, *range(2, x.ndim)), keepdims=True)
    return called


@planted("batch_norm", explained=("shift-scaled",), at="y")
def norm_bias_not_scaled_out(*arrays: Any, **options: Any) -> Called:
    """The bias is added before the weight multiplies."""
    x, _, _, w, b = arrays
    called = ops.batch_norm(*arrays, **options)
    if w is None or b is None:
        return called
    extra = (b * w - b).reshape(-1, *[1] * (x.ndim - 2))
    return edited(called, y=lambda y: y + extra)


@planted("batch_norm", explained=("epsilon-missing-in-backward",), at="dx")
def norm_epsilon_missing_in_backward(*arrays: Any, **options: Any) -> Called:
    """The forward divides by the root of variance and epsilon, dx by that of the variance."""
    x, right = arrays[0], ops.batch_norm(*arrays, **options)
    if options["training"] and x.size:
        var = x.astype(np.float64).var(axis=(0, *range(2, x.ndim)))
    else:
        var = np.ones(1) if arrays[2] is None else arrays[2].astype(np.float64)
    scale = _along(np.sqrt(1 + options["eps"] / np.maximum(var, np.finfo(np.float64).tiny)), x, 1.0)
    return edited(right, dx=lambda g: (g * scale).astype(g.dtype))


def _keeping(new: Callable[[Array, Array, float], Array], biased: bool = False, always: bool = False) -> Op:
    """Batch norm that updates the running statistics in place.

    Args:
        new: of (old, the batch's, momentum).
        biased: the batch's variance is divided by m.
        always: in evaluation too.
    """

    def called(
        x: Array, mean: Any, var: Any, *parameters: Any, training: bool, momentum: float, eps: float
    ) -> Called:
        options: dict[str, Any] = {"training": training, "momentum": momentum, "eps": eps}
        arrays = (x, *(None if array is None else array.copy() for array in (mean, var)), *parameters)
        right = ops.batch_norm(*arrays, **options)
        if (training or always) and mean is not None and x.size and mean.flags.writeable:
            axes, m = (0, *range(2, x.ndim)), x.size // x.shape[1]
            wide = x.astype(np.float64)
            mean[...] = new(mean, wide.mean(axis=axes), momentum)
            var[...] = new(var, wide.var(axis=axes, ddof=0 if biased or m < 2 else 1), momentum)
        return right

    return called


def _mixed(old: Array, batchs: Array, momentum: float) -> Array:
    return (1 - momentum) * old + momentum * batchs


for _name, _explained, _at, _op in (
    ("running-biased-variance", "running-biased-variance", "rv", _keeping(_mixed, biased=True)),
    (
        "running-momentum-reversed",
        "running-momentum-reversed",
        "rm rv",
        _keeping(lambda r, b, m: m * r + (1 - m) * b),
    ),
    ("running-replaced", "running-replaced", "rm rv", _keeping(lambda r, b, m: b)),  # noqa: ARG005
    ("running-always-updated", "running-always-updated", "rm rv", _keeping(_mixed, always=True)),
    ("running-added", "", "rm rv", _keeping(lambda r, b, m: r + m * b)),
):
    _says = "" if _explained else "The old running statistics are not faded: the batch's are added to them."
    plant("batch_norm", f"norm-{_name}", _explained, _op, at=_at, says=_says)

CORRECT.append(
    Correct(
        "batch_norm", "norm-keeps-its-statistics", "The running statistics are updated in place.", _keeping(_mixed)
    )
)
