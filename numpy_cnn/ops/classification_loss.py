"""The losses of a classifier."""

from functools import lru_cache

import numpy as np

from numpy_cnn.arguments import Array, Pullback, check_floats, cotangent, integer, real
from numpy_cnn.ops.probabilities import log_softmax
from numpy_cnn.ops.reduction import Reduction, check_reduction, reduced

__all__ = ["cross_entropy", "nll_loss"]


def nll_loss(
    input: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> tuple[Array, Pullback]:
    """The negative log-likelihood of the right class, as `torch.nn.functional.nll_loss`.

        none: y_n = −v_n · x[n, t_n]        sum: Σ_n y_n        mean: Σ_n y_n / Σ_n v_n
        dx[n, t_n] = −v_n · dy_n, and 0 elsewhere; in a mean dy_n is dy / Σ v, in a sum dy

    with v_n = weight[t_n], or 1 without weights, and v_n = 0 where t_n is `ignore_index`. The mean of no samples
    is NaN.

    Args:
        input: x, log-probabilities (N, C), (C,) or (N, C, d1, …).
        target: int64 or uint8 class indices (N,), () or (N, d1, …), each in [0, C) or equal to `ignore_index`.
        weight: one factor per class (C,), or None. It is an option: it has no gradient.
        ignore_index: the target that marks a sample to be ignored.
        reduction: "none", "mean" or "sum".

    Returns:
        y, of target's shape for "none" and () otherwise, and the pullback dy → (dx, None).

    Raises:
        ValueError: shapes, dtypes or the reduction are invalid, or a target is not a class.

    Source: R. Fisher, On the mathematical foundations of theoretical statistics (1922), for the likelihood.
    """
    check_floats("nll_loss", input=input, weight=weight)
    x = input
    check_reduction("nll_loss", reduction)
    ignored = _ignored(x, target, weight, ignore_index)

    def taken(numbers: Array) -> Array:
        """The numbers, but 0 where the sample is ignored. Not a product with 0, because 0·∞ is NaN."""
        return numbers if ignored is None else np.where(ignored, x.dtype.type(0), numbers)

    # An ignored target need not be a valid index: replace it by 0.
    classes = target if ignored is None else np.where(ignored, 0, target)
    if not x.shape[0 if x.ndim == 1 else 1] and target.size:  # no class, and every sample ignored
        return _all_ignored(x, target, reduction)
    if weight is None and ignored is None:  # the common case: one number for all samples
        v, total = x.dtype.type(1), x.dtype.type(target.size)
    else:
        v = taken(np.ones(target.shape, x.dtype) if weight is None else weight[classes])
        total = v.sum(dtype=x.dtype.newbyteorder("="))
    # x[chosen] is x[n, t_n, …] for every sample: the class index, between open grids over the other axes.
    grids = _grids(target.shape)
    chosen = (*grids[:1], classes, *grids[1:])
    with np.errstate(invalid="ignore"):  # 0·∞ in an ignored sample, and 0/0 in the mean of no samples
        y = reduced(taken(-v * x[chosen]), reduction, total)

    def pullback(dy: Array) -> tuple[Array, None]:
        dy = cotangent("nll_loss", dy, y)
        dx = np.zeros(x.shape, dtype=x.dtype)
        with np.errstate(invalid="ignore", divide="ignore"):  # if the weights sum to 0, as in torch
            dx[chosen] = taken(-v * (dy / total if reduction == "mean" else dy))
        return dx, None

    return y, pullback


def cross_entropy(
    input: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> tuple[Array, Pullback]:
    """The loss of a classifier from its raw scores, as `torch.nn.functional.cross_entropy`.

        y = nll_loss(log_softmax(x), t)        dx = (softmax(x) − onehot(t)) · v · dy / Σ v   for a mean

    With label smoothing ε, or with probabilities t[n,c] as targets, every class contributes:

        y_n = −Σ_c q[n,c] · log softmax(x)[n,c]        dx[n,c] = dy_n · (softmax(x)[n,c] · Σ_k q[n,k] − q[n,c])
        q[n,c] = (1 − ε) · v_n · [c = t_n] + ε/C · w[c]        for class indices, all 0 where t_n is ignored
        q[n,c] = w[c] · ((1 − ε) · t[n,c] + ε/C)               for probabilities
        dt[n,c] = −dy_n · (1 − ε) · w[c] · log softmax(x)[n,c]

    The mean divides by Σ v for class indices and by the number of samples for probabilities.

    Args:
        input: x, scores (N, C), (C,) or (N, C, d1, …).
        target: t, int64 or uint8 class indices (N,), () or (N, d1, …), each in [0, C) or equal to `ignore_index`;
            or probabilities of x's shape and dtype.
        weight: w, one factor per class (C,), or None for 1. It is an option: it has no gradient.
        ignore_index: the class index that marks a sample to be ignored.
        reduction: "none", "mean" or "sum".
        label_smoothing: ε in [0, 1], the part of the target that is spread evenly over the classes.

    Returns:
        y, without the class axis for "none" and () otherwise, and the pullback dy → (dx, dt); dt is None for
        indices.

    Raises:
        ValueError: shapes, dtypes or options are invalid, or a target is not a class.

    Source: J. Bridle (1990) for the loss, see `softmax`; C. Szegedy et al., Rethinking the Inception architecture
    for computer vision (2016), for label smoothing.
    """
    check_floats("cross_entropy", input=input, weight=weight)
    x = input
    if x.ndim == 0:
        raise ValueError("cross_entropy: expected scores (N, C), (C,) or (N, C, d1, …), got a single number")
    smoothing = real("cross_entropy", "label_smoothing", label_smoothing)
    if not 0 <= smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing must be in [0, 1], got {label_smoothing}")
    check_reduction("cross_entropy", reduction)
    dim = 0 if x.ndim == 1 else 1
    by_probability = isinstance(target, (np.ndarray, np.generic)) and target.dtype.kind == "f"
    if by_probability:
        _check_probabilities(x, target, weight, ignore_index)
    log_probabilities, softmax_pullback = log_softmax(x, dim)
    if not by_probability and not smoothing:
        y, nll_pullback = nll_loss(log_probabilities, target, weight, ignore_index, reduction)
        return y, lambda dy: (softmax_pullback(nll_pullback(dy)[0])[0], None)

    classes = x.shape[dim]
    w = np.ones(classes, x.dtype) if weight is None else weight
    w = w.reshape(-1, *(1,) * (x.ndim - dim - 1))  # broadcasts along the class axis
    if by_probability:
        q = w * ((1 - smoothing) * target + smoothing / max(1, classes))
        total = x.dtype.type(x.size // max(1, classes))
        counted = None
    else:
        ignored = _ignored(x, target, weight, ignore_index)
        kept = np.ones(target.shape, bool) if ignored is None else ~ignored
        onehot = np.expand_dims(np.where(kept, target, -1), dim) == np.arange(classes).reshape(w.shape)
        counted = np.expand_dims(kept, dim)
        q = counted * (w * ((1 - smoothing) * onehot + x.dtype.type(smoothing / max(1, classes))))
        q = q.astype(x.dtype, copy=False)
        total = (w * onehot).sum(dtype=x.dtype.newbyteorder("="))
    with np.errstate(invalid="ignore"):  # 0·∞, and 0/0 in the mean of no samples
        if counted is None:
            terms = q * log_probabilities
        else:  # two terms, as in torch, selected by np.where, because 0·∞ is NaN
            zero, weighted = x.dtype.type(0), w * log_probabilities
            terms = np.where(onehot, x.dtype.type(1 - smoothing) * weighted, zero)
            terms = np.where(counted, terms + x.dtype.type(smoothing / max(1, classes)) * weighted, zero)
        y = reduced(-terms.sum(axis=dim), reduction, total)

    def pullback(dy: Array) -> tuple[Array, Array | None]:
        dy = cotangent("cross_entropy", dy, y)
        with np.errstate(invalid="ignore", divide="ignore"):  # if the weights sum to 0, as in torch
            dy = np.asarray(dy / total if reduction == "mean" else dy)
            u = np.expand_dims(dy, dim) if reduction == "none" else dy
            dlog = np.asarray(-q * u)
            if counted is not None:
                dlog = np.where(counted, dlog, x.dtype.type(0))
            dt = np.asarray(-u * x.dtype.type(1 - smoothing) * w * log_probabilities) if by_probability else None
        return softmax_pullback(dlog)[0], dt

    return y, pullback


def _all_ignored(x: Array, target: Array, reduction: Reduction) -> tuple[Array, Pullback]:
    """The loss of targets that are all ignored, without an index into x, which has no class."""
    with np.errstate(invalid="ignore"):  # the mean of no samples is 0/0
        y = reduced(np.zeros(target.shape, x.dtype), reduction, x.dtype.type(0))

    def pullback(dy: Array) -> tuple[Array, None]:
        cotangent("nll_loss", dy, y)
        return np.zeros_like(x), None

    return y, pullback


def _check_probabilities(x: Array, target: Array, weight: Array | None, ignore_index: int) -> None:
    check_floats("cross_entropy", input=x, target=target)
    if target.shape != x.shape:
        raise ValueError(
            f"cross_entropy: probabilities must have the shape {x.shape} of the input, got {target.shape}"
        )
    classes = x.shape[0 if x.ndim == 1 else 1]
    if weight is not None and weight.shape != (classes,):
        raise ValueError(f"cross_entropy: weight must have the shape ({classes},), got {weight.shape}")
    if ignore_index >= 0:
        raise ValueError(
            f"cross_entropy: ignore_index applies only to class indices, got {ignore_index} with probabilities"
        )


@lru_cache(maxsize=16)
def _grids(shape: tuple[int, ...]) -> tuple[Array, ...]:
    """0, 1, 2, … along each axis of the shape. Cached, because most batches have the same size."""
    grids = np.ix_(*map(np.arange, shape))
    for grid in grids:
        grid.flags.writeable = False
    return grids


def _ignored(x: Array, target: Array, weight: Array | None, ignore_index: int) -> Array | None:
    """A mask of the ignored targets, or None if there are none. Raises ValueError if another is not a class."""
    if x.ndim == 0:
        raise ValueError("nll_loss: expected (N, C), (C,) or (N, C, d1, …), got a single number")
    classes = x.shape[0 if x.ndim == 1 else 1]
    expected = x.shape[:1] * (x.ndim > 1) + x.shape[2:]
    dtypes = (np.int64, np.uint8) if x.ndim <= 2 else (np.int64,)  # torch's loss for images rejects uint8
    if not isinstance(target, (np.ndarray, np.generic)) or target.dtype.newbyteorder("=") not in dtypes:
        got = getattr(target, "dtype", type(target).__name__)
        raise ValueError(f"nll_loss: targets must be class indices of dtype int64, got {got}")
    integer("nll_loss", "ignore_index", ignore_index)
    if target.shape != expected:
        raise ValueError(
            f"nll_loss: targets must have the shape {expected} for the input {x.shape}, got {target.shape}"
        )
    if weight is not None and weight.shape != (classes,):
        raise ValueError(f"nll_loss: weight must have the shape ({classes},), got {weight.shape}")
    wrong = target.astype(np.int64, copy=False).view(np.uint64) >= classes  # unsigned: negative ones are huge
    if not 0 <= ignore_index < classes and not np.count_nonzero(wrong):
        return None  # the common case
    ignored = np.asarray(target == ignore_index)
    wrong = wrong & ~ignored
    if np.count_nonzero(wrong):
        raise ValueError(
            f"nll_loss: target {np.asarray(target)[wrong][0]} is neither a class in [0, {classes}) "
            f"nor ignore_index {ignore_index}"
        )
    return ignored
