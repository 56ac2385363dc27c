"""Padding, adaptive pooling, unpooling, interpolation and dropout with one mistake."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from numpy_cnn import ops
from numpy_cnn.arguments import Array
from parity.exam.bug import plant
from parity.exam.call import Call, Called
from parity.exam.changes import gradient, instead, only, option, output, result
from parity.exam.windows import pair

Edges: TypeAlias = Callable[[int, int], list[tuple[int, int]]]  # pixels, windows → first and last + 1 of each


def _reversed_pairs(widths: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(np.array(widths).reshape(-1, 2)[::-1].ravel().tolist())


def _adaptive(x: Array, output_size: Any, *, edges: Edges, average: bool) -> Called:
    """Adaptive pooling by a table of edges; right where there are more windows than pixels."""
    right = ops.adaptive_avg_pool2d if average else ops.adaptive_max_pool2d
    sizes = [n if size is None else size for size, n in zip(pair(output_size), x.shape[-2:], strict=True)]
    if not x.size or any(size > n for size, n in zip(sizes, x.shape[-2:], strict=True)):
        return right(x, output_size)

    def each() -> Iterator[tuple[Any, Any]]:
        for p, rows in enumerate(edges(x.shape[-2], sizes[0])):
            for q, columns in enumerate(edges(x.shape[-1], sizes[1])):
                yield (..., p, q), (..., slice(*rows), slice(*columns))

    y = np.zeros((*x.shape[:-2], *sizes), x.dtype)
    for at, under in each():
        y[at] = x[under].mean(axis=(-1, -2)) if average else x[under].max(axis=(-1, -2))

    def pullback(dy: Array) -> tuple[Array]:
        dx = np.zeros_like(x)
        for at, under in each():
            part = x[under]
            if average:
                dx[under] += (dy[at] / x.dtype.type(part[..., :, :].shape[-1] * part.shape[-2]))[..., None, None]
            else:
                one = ops.max_pool2d(np.ascontiguousarray(part), part.shape[-2:])[1]
                dx[under] += one(np.ascontiguousarray(dy[at][..., None, None]))[0]
        return (dx,)

    return y, pullback


EDGES: tuple[tuple[str, str, Edges], ...] = (
    ("end-rounded-down", "bins-end-rounded-down",
     lambda n, k: [(i * n // k, (i + 1) * n // k) for i in range(k)]),
    ("of-equal-size", "bins-of-equal-size",
     lambda n, k: [(i * (n // k), i * (n // k) + n // k) for i in range(k)]),
    ("by-stride", "bins-by-stride",
     lambda n, k: [(i * (n // k), n - (k - 1 - i) * (n // k)) for i in range(k)]),
)  # fmt: skip


def _added(c: Call) -> Array:
    """Add the numbers of equal indices."""
    planes, places = c.x.reshape(-1, *c.x.shape[-2:]), c.arrays[1].reshape(-1, *c.x.shape[-2:])
    size = c.y.shape[-1] * c.y.shape[-2]
    made = [np.bincount(i.ravel(), x.ravel(), size) for i, x in zip(places, planes, strict=True)]
    return np.array(made).reshape(c.y.shape)


def _from_corner(c: Call) -> Array:
    """Bilinear interpolation at p·scale, without the offsets of half a pixel, along one axis after another."""
    y, factors = c.x.astype(np.float64), c.options.get("scale_factor")
    for axis in range(2, c.x.ndim):
        old, new = c.x.shape[axis], c.y.shape[axis]
        scale = old / new if factors is None else 1 / factors[axis - 2]
        at = np.minimum(np.arange(new) * scale, old - 1)
        share = (at % 1).reshape(-1, *[1] * (c.x.ndim - 1 - axis))
        low, high = (np.take(y, np.minimum(side(at), old - 1).astype(int), axis) for side in (np.floor, np.ceil))
        y = np.asarray(low + share * (high - low))
    return np.asarray(y)


def _nearest_rounded(c: Call) -> Array:
    y, factors = c.x, c.options.get("scale_factor")
    for axis in range(2, c.x.ndim):
        old, new = c.x.shape[axis], c.y.shape[axis]
        scale = old / new if factors is None else 1 / factors[axis - 2]
        y = y.take(np.minimum(np.rint(np.arange(new) * scale).astype(int), old - 1), axis)
    return np.asarray(y)


def _linear_without_corners(c: Call) -> bool:
    return c.options["mode"] != "nearest" and not c.options.get("align_corners") and c.x.size > 0


def _is_nearest(c: Call) -> bool:
    return bool(c.options["mode"] == "nearest" and c.x.size > 0)


def _in_training(c: Call) -> bool:
    return bool(c.options["training"]) and c.options.get("mask") is not None


def _mask(c: Call) -> Array:
    mask: Array = c.options["mask"]
    return mask.reshape(*mask.shape, *[1] * (c.x.ndim - mask.ndim)).astype(c.x.dtype)


def _with_factor(factor: Callable[[Call], Any]) -> Callable[[Any, Call], Array]:
    return lambda dy, c: np.asarray(dy * factor(c), c.x.dtype)


def _scale(c: Call) -> float:
    return 0.0 if c.options["p"] == 1 else 1 / (1 - c.options["p"])


def _crops_moved(widths: tuple[int, ...]) -> tuple[int, ...]:
    """A negative width before an axis is added to the one after it."""
    moved: list[int] = []
    for before, after in zip(widths[::2], widths[1::2], strict=True):
        moved += (0, before + after) if before < 0 else (before, after)
    return tuple(moved)


def _averaged(dx: Array, c: Call) -> Array:
    ones: Array = ops.interpolate(c.x, **c.options)[1](np.ones_like(c.y))[0]
    return dx / np.where(ones == 0, 1, ones)


# fmt: off
plant("pad", "pad-order-reversed", "pad-order-reversed",
      only(lambda c: len(c.options["pad"]) > 2 and c.options["mode"] == "constant",
           option("pad", _reversed_pairs)), "y")
plant("pad", "pad-negative-widths-ignored", "option-negative-is-zero",
      option("pad", lambda widths: tuple(max(0, width) for width in widths)), "y", option="pad")
plant("pad", "pad-crops-the-end", "pad-crops-other-side",
      only(lambda c: c.options["mode"] == "constant", option("pad", _crops_moved)))
plant("pad", "pad-value-as-int", "option-truncated", option("value", lambda v: v and float(int(v))), "y",
      option="value")
for _name, _names, _edges in EDGES:
    for _kind in ("avg", "max"):
        plant(f"adaptive_{_kind}_pool2d", f"adaptive-{_kind}-pool-windows-{_name}", _names,
              instead(partial(_adaptive, edges=_edges, average=_kind == "avg")))
plant("adaptive_avg_pool2d", "adaptive-avg-pool-none-is-one", "option-none-is-one",
      option("output_size", lambda s: tuple(n or 1 for n in s) if isinstance(s, tuple) else s), "y",
      option="output_size")
plant("max_unpool2d", "max-unpool2d-adds", "repeated-indices-added", output(_added), "y")
plant("interpolate", "interpolate-without-half-pixels", "pixel-centres-ignored",
      only(_linear_without_corners, output(_from_corner)), "y")
plant("interpolate", "interpolate-nearest-rounded", "nearest-rounded",
      only(_is_nearest, output(_nearest_rounded)), "y")
plant("interpolate", "interpolate-height-only", "option-first-for-all",
      option("size", lambda size: size and (size[0],) * len(size)), "y", option="size")
plant("interpolate", "interpolate-dx-averaged", "gradient-averaged", result(_averaged), "dx")
plant("interpolate", "interpolate-dx-per-output", "gradient-averaged",
      result(lambda g, c: g * g.dtype.type(c.x.size / max(1, c.y.size))), "dx",
      "The gradient is divided by the number of outputs of each pixel.")
plant("dropout", "dropout-unscaled", "dropout-unscaled", only(_in_training, output(lambda c: c.x * _mask(c))), "y")
plant("dropout", "dropout-scaled-by-share", "dropout-scaled-by-share",
      only(lambda c: _in_training(c) and bool(_mask(c).any()),
           output(lambda c: c.x * _mask(c) / _mask(c).mean(dtype=c.x.dtype))), "y")
plant("dropout", "dropout-dx-by-the-rate", "dropout-scaled-by-rate",
      only(lambda c: _in_training(c) and c.options["p"] > 0,
           gradient(_with_factor(lambda c: _mask(c) / c.options["p"]))), "dx")
plant("dropout", "dropout-dx-without-mask", "dropout-mask-ignored",
      only(_in_training, gradient(_with_factor(_scale))), "dx")
plant("dropout", "dropout-scaled-in-evaluation", "scaled-in-evaluation",
      only(lambda c: not c.options["training"], output(lambda c: c.x * (1 - c.options["p"]))), "y")
plant("dropout2d", "dropout2d-mask-of-first-sample", "dropout-mask-of-first-sample",
      only(_in_training, output(lambda c: c.x * _mask(c)[:1] * _scale(c) if len(c.x) else c.y)), "y")
plant("dropout2d", "dropout2d-mask-inverted", "dropout-mask-inverted",
      only(_in_training, output(lambda c: c.x * (1 - _mask(c)) * _scale(c))), "y")
# fmt: on
