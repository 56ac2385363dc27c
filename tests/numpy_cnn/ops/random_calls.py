"""Random calls of every op, with legal and illegal options, to run in both torch and numpy_cnn."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F

Call: TypeAlias = tuple[list[Any], dict[str, Any]]
Draw: TypeAlias = Callable[["Random"], Call]

INTS = [1, 1, 2, 3, (1, 2), [2, 1], (3,), [1], np.int64(2)]
NO_INTS = [0, -1, True, 1.0, None, "1", (1, 1, 1), (0, 1), (2, -1), (1.0, 1), (True, 1)]
NUMBERS = [0, 1, 0.5, 2.5, -0.3, -1.0, True, np.float32(0.5)]
NO_NUMBERS = [None, "1", (1,), 1j]
EPS = [1e-5, 0.0, 1e-3, 1]
FLAGS, NO_FLAGS = [True, False], [1, 0, None]


class Random(random.Random):
    """A random generator with methods for arrays, shapes, dtypes and options."""

    def array(self, *shape: int, dtype: Any = np.float64) -> Any:
        generator = np.random.default_rng(self.getrandbits(32))
        return np.asarray(generator.standard_normal(shape)).astype(dtype)

    def dtype(self) -> Any:
        return self.choice([np.float32, np.float64])

    def size(self, most: int = 4) -> int:
        """A size from 1 to `most`, rarely 0."""
        return 0 if self.random() < 0.05 else self.randint(1, most)

    def shape(self, least: int = 0, most: int = 4) -> list[int]:
        return [self.size() for _ in range(self.randint(least, most))]

    def seldom(self) -> bool:
        return self.random() < 0.06

    def options(self, **values: tuple[Sequence[Any], Sequence[Any]]) -> dict[str, Any]:
        """Some of the options, each with a legal value or, less often, with one that is illegal in most calls."""
        present = [name for name in values if self.random() < 0.6]
        return {name: self.choice(values[name][self.random() < 0.1]) for name in present}


def convolution(axes: int, *, transposed: bool = False) -> Draw:
    def draw(r: Random) -> Call:
        groups, dtype = r.choice([1, 1, 2, 3]), r.dtype()
        channels, kernels = groups * r.randint(1, 2), groups * r.randint(1, 2)
        per_group = (channels, kernels // groups) if transposed else (kernels, channels // groups)
        # No empty batch: torch then does not check the options of a transposed convolution.
        x = r.array(
            r.choice([1, 2] if transposed else [0, 1, 2]),
            channels,
            *(r.randint(1, 8) for _ in range(axes)),
            dtype=dtype,
        )
        if transposed or r.random() < 0.2:
            x = x if r.random() < 0.8 or not len(x) else x[0]
        elif len(x) and r.seldom():
            x = x[0, 0]
        weight = r.array(*per_group, *(r.randint(1, 3) for _ in range(axes)), dtype=dtype)
        bias = r.choice([None, r.array(kernels if not r.seldom() else kernels + 1, dtype=dtype)])
        own = {"output_padding": ([0, 0, 1, (0, 1)], NO_INTS)} if transposed else {}
        ints = INTS if axes == 2 else [1, 2, (2,), [3], np.int64(2)]
        texts = [] if transposed else ["same", "valid"]
        options = r.options(
            stride=(ints, NO_INTS),
            padding=([0, 1, 2, [1], *texts], [*NO_INTS, "full"]),
            dilation=(ints, NO_INTS),
            groups=([groups], [0, -1, 2, True, 2.0, None]),
            **own,
        )
        return [x, weight, bias], ({"groups": groups} if groups > 1 else {}) | options

    return draw


def images(r: Random) -> Any:
    x = r.array(r.choice([0, 1, 2]), r.size(3), r.size(8), r.size(8), dtype=r.dtype())
    if len(x) and r.random() < 0.25:
        return x[0]
    return np.round(x)


def pooling(**options: tuple[Sequence[Any], Sequence[Any]]) -> Draw:
    def draw(r: Random) -> Call:
        size = r.choice(INTS if not r.seldom() else NO_INTS)
        common = {"stride": ([*INTS, None, ()], NO_INTS), "padding": ([0, 0, 1, (0, 1)], NO_INTS)}
        return [images(r), size], r.options(**common, ceil_mode=(FLAGS, NO_FLAGS), **options)

    return draw


SLIDING = {"dilation": (INTS, NO_INTS), "padding": ([0, 0, 1, (0, 1)], NO_INTS), "stride": (INTS, NO_INTS)}


def unfolding(r: Random) -> Call:
    return [images(r), r.choice(INTS if not r.seldom() else NO_INTS)], r.options(**SLIDING)


def folding(r: Random) -> Call:
    """The columns of an image, or a few too many."""
    x, kernel = images(r), r.choice([1, 2, (1, 2), [2, 1], *([(1,), 0, 2.0, None] if r.seldom() else [])])
    options = r.options(**SLIDING)
    try:
        columns = F.unfold(torch.from_numpy(x), kernel, **options).numpy()
    except (RuntimeError, TypeError, IndexError):
        columns = r.array(*r.choice([(2, 4, 6), (4, 6), (2, 4, 0), (2, 0, 6), (4,)]), dtype=x.dtype)
    more = r.array(*columns.shape[:-1], 1, dtype=x.dtype)
    columns = np.concatenate([columns, more], -1) if r.seldom() and columns.ndim > 1 else columns
    size = list(x.shape[-2:]) if not r.seldom() else r.choice([0, 5, (5,), (2, 3, 4), None, (2.0, 3)])
    return [columns, size, kernel], options


def adaptive(r: Random) -> Call:
    legal = [1, 2, 3, 5, (1, 2), (None, 2), [2, 4], (None, None)]
    return [images(r), r.choice(legal if not r.seldom() else [-1, 1.5, (1, 2, 3), None, (2,), "2", True])], {}


def interpolation(r: Random) -> Call:
    axes = r.choice([1, 2, 2, 3])
    x = r.array(r.choice([0, 1, 2]), r.size(3), *(r.randint(1, 6) for _ in range(axes)), dtype=r.dtype())
    smooth = {1: ["linear", "area"], 2: ["bilinear", "bicubic", "area"], 3: ["trilinear", "area"]}[axes]
    mode = r.choice([*smooth, *smooth, "nearest", "nearest-exact"])
    size = r.choice(
        [3, 7, [r.randint(1, 9) for _ in range(axes)], *([0, True, 2.0, (2,) * 4] if r.seldom() else [])]
    )
    factor = r.choice([2, 0.5, 1.3, tuple(r.choice([0.6, 1.7, 3]) for _ in range(axes))])
    if mode in ("linear", "bilinear", "trilinear") or (mode == "nearest" and axes == 2):
        factor = r.choice([factor, 1.05, 2.05])  # in other modes torch's gradients are not those of its output
    kind = r.choice([{"size": size}, {"scale_factor": factor}, {"scale_factor": factor}])
    own = r.options(align_corners=(FLAGS, FLAGS)) if mode not in ("nearest", "nearest-exact", "area") else {}
    if mode in ("bilinear", "bicubic") and factor not in (1.05, 2.05):
        own |= r.options(antialias=(FLAGS, FLAGS))
    return [x], kind | {"mode": mode} | own | r.options(recompute_scale_factor=([False, True], [None]))


def padding(r: Random) -> Call:
    x = r.array(*(r.size(5) for _ in range(r.randint(1, 4))), dtype=r.dtype())
    axes = r.randint(1, min(3, x.ndim))
    mode = r.choice(["constant", "constant", "reflect", "replicate", "circular"])
    least = -1 if mode != "circular" else 0  # if negative, torch's reads uninitialized memory
    widths = [r.randint(least, 2) for _ in range(2 * axes - r.seldom())]
    return [x, r.choice([tuple(widths), widths])], {"mode": mode} | r.options(value=([0, None], [1.5, "a", True]))


def without_mask(r: Random) -> Call:
    """Calls of dropout whose result does not depend on the mask."""
    training = r.random() < 0.5
    p = (
        r.choice([0.0, 1, 0, 1.0] if training else [0.5, 0.0, 1])
        if not r.seldom()
        else r.choice([-0.1, 1.1, None])
    )
    return [r.array(*r.shape(most=5), dtype=r.dtype())], {"p": p, "training": training}


def elementwise(**options: tuple[Sequence[Any], Sequence[Any]]) -> Draw:
    return lambda r: ([r.array(*r.shape(), dtype=r.dtype())], r.options(**options))


def dense(r: Random) -> Call:
    inputs, outputs, dtype = r.size(5), r.size(5), r.dtype()
    x = r.array(*r.shape(0, 2), inputs, dtype=dtype)
    weight = r.array(*r.choice([(outputs, inputs), (outputs, inputs), (inputs,), (inputs, outputs)]), dtype=dtype)
    if weight.ndim == 1:
        return [x, weight], {}
    return [
        x,
        weight,
        r.choice([None, r.array(*r.choice([(outputs,), (), (1,), (outputs + 1,)]), dtype=dtype)]),
    ], {}


def along(name: str) -> Draw:
    return lambda r: (
        [r.array(*r.shape(), dtype=r.dtype())],
        {name: r.choice([0, 1, -1, -2, None] if not r.seldom() else [5, 1.0, True, "0"])}
        | r.options(dtype=([np.dtype("float64"), None], [np.dtype("int64")])),
    )


def flattening(r: Random) -> Call:
    return [r.array(*r.shape())], r.options(
        start_dim=([0, 1, -1], [5, True, 1.0]), end_dim=([1, 2, -1], [-6, None])
    )


def classes(*, probabilities: bool) -> Draw:
    def draw(r: Random) -> Call:
        dtype, count, positions = r.dtype(), r.randint(1, 4), r.shape(0, 2)
        batch = [] if r.random() < 0.15 else [r.choice([0, 1, 3])]
        x = r.array(*batch, count, *(positions if batch else []), dtype=dtype)
        shape = [*batch, *(positions if batch else [])]
        generator = np.random.default_rng(r.getrandbits(32))
        target = np.asarray(generator.integers(-r.seldom(), count + r.seldom(), shape))
        options = r.options(reduction=(["none", "mean", "sum"], ["average", None]))
        if r.random() < 0.4:
            options["ignore_index"] = r.choice([-100, 0, -1, 7])
            target = np.asarray(np.where(generator.random(shape) < 0.4, options["ignore_index"], target))
        if r.random() < 0.4:
            options["weight"] = abs(r.array(count + r.seldom(), dtype=dtype))
        if r.seldom():
            target = target.astype(r.choice([np.int32, np.uint8, np.float16]))
        if probabilities:
            options |= r.options(label_smoothing=([0.0, 0.1, 0.5, 1.0, 1], [1.1, None, "0"]))
            if r.random() < 0.35:
                target = np.asarray(abs(r.array(*x.shape, dtype=dtype)))
        return [x, target], options

    return draw


def of_pairs(weights: Sequence[str] = (), positive: bool = False, **options: Any) -> Draw:
    def draw(r: Random) -> Call:
        dtype = r.dtype()
        x = r.array(*r.shape(), dtype=dtype)
        some = [1 if r.random() < 0.3 else side for side in x.shape]
        target = r.array(*(x.shape if r.random() < 0.8 else some), dtype=dtype)
        given = {name: r.array(*some, dtype=dtype) for name in weights if r.random() < 0.5}
        reductions = ["none", "mean", "sum"], ["average", None, "batchmean"]
        return [x, np.asarray(abs(target)) if positive else target], given | r.options(
            reduction=reductions, **options
        )

    return draw


def normalization(statistics: str) -> Draw:
    """Normalization over a batch (option `training`) or over single images (option `use_input_stats`)."""

    def draw(r: Random) -> Call:
        dtype, channels = r.dtype(), r.randint(1, 4)
        x = r.array(r.choice([1, 2, 3]), channels, *r.shape(0 if statistics == "training" else 1, 3), dtype=dtype)
        mean, variance = (r.array(channels + r.seldom(), dtype=dtype) for _ in range(2))
        options = r.options(
            eps=(EPS, [-1.0, None, "1"]),
            momentum=([0.1, 0.0, 1, -0.5], [None, "1"]),
            **{statistics: (FLAGS, NO_FLAGS)},
        )
        given = [None, None] if r.random() < 0.3 else [mean, abs(variance) + 0.1]
        scales = [r.choice([None, r.array(channels, dtype=dtype)]) for _ in range(2)]
        return [x, *given, *scales], options

    return draw


def layers(r: Random) -> Call:
    x = r.array(*r.shape(1), dtype=r.dtype())
    shape = x.shape[-r.randint(1, x.ndim) :]
    sides = r.choice([shape, list(shape)] if not r.seldom() else [shape[-1], (), (*shape, 1), (1.0,), "3", None])
    scales = [r.choice([None, r.array(*shape, dtype=x.dtype)]) for _ in range(2)]
    return [x, sides, *scales], r.options(eps=(EPS[:1], [None, "1", -1e-5]))


def groups(r: Random) -> Call:
    count, dtype = r.choice([1, 2, 3]), r.dtype()
    channels = count * r.randint(1, 3)
    # No empty axes: torch's gradient of the weight is then NaN instead of an empty sum, 0.
    positions = [max(1, side) for side in r.shape(0, 3)]
    x = r.array(r.choice([0, 1, 2]), channels, *positions, dtype=dtype)
    weight = r.choice([None, r.array(channels + r.seldom(), dtype=dtype)])
    bias = None if weight is None else r.array(channels, dtype=dtype)  # torch's backward needs a weight
    number = r.choice([count] if not r.seldom() else [0, 5, True, 1.0, None, "1"])
    return [x, number, weight, bias], r.options(eps=(EPS[:1], [None, "1"]))


DRAWS: dict[str, Draw] = {
    "adaptive_avg_pool2d": adaptive,
    "adaptive_max_pool2d": adaptive,
    "avg_pool2d": pooling(count_include_pad=(FLAGS, NO_FLAGS), divisor_override=([1, 3, None], [0, True, 2.0])),
    "batch_norm": normalization("training"),
    "binary_cross_entropy_with_logits": of_pairs(("weight", "pos_weight")),
    "conv1d": convolution(1),
    "conv2d": convolution(2),
    "conv_transpose2d": convolution(2, transposed=True),
    "cross_entropy": classes(probabilities=True),
    "dropout": without_mask,
    "dropout2d": without_mask,
    "elu": elementwise(alpha=(NUMBERS, NO_NUMBERS)),
    "flatten": flattening,
    "fold": folding,
    "gelu": elementwise(approximate=(["none", "tanh"], ["erf", None])),
    "group_norm": groups,
    "hardswish": elementwise(),
    "huber_loss": of_pairs(delta=([1, 0.5, 3.0], [0, -1, None, "1"])),
    "instance_norm": normalization("use_input_stats"),
    "interpolate": interpolation,
    "kl_div": of_pairs(positive=True, log_target=(FLAGS, NO_FLAGS)),
    "l1_loss": of_pairs(),
    "layer_norm": layers,
    "leaky_relu": elementwise(negative_slope=(NUMBERS, NO_NUMBERS)),
    "linear": dense,
    "log_softmax": along("dim"),
    "max_pool2d": pooling(dilation=([1, 1, (1, 2)], NO_INTS), return_indices=(FLAGS, FLAGS)),
    "mse_loss": of_pairs(),
    "nll_loss": classes(probabilities=False),
    "pad": padding,
    "relu": elementwise(),
    "sigmoid": elementwise(),
    "silu": elementwise(),
    "smooth_l1_loss": of_pairs(beta=([0, 1, 0.5, 3.0], [-1, None, "1"])),
    "softmax": along("dim"),
    "softplus": elementwise(beta=([1, 0.5, 3.0], NO_NUMBERS), threshold=([20, 0, -5, 3.0], NO_NUMBERS)),
    "tanh": elementwise(),
    "unfold": unfolding,
}
