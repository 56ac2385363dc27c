"""The whole SimpleCNN with its loss as one op: op(input, *parameters) → loss, and every gradient."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # the name the field uses
from hypothesis import strategies as st

import numpy_cnn
import torch_cnn
from numpy_cnn import ops
from numpy_cnn.arguments import Pullback
from numpy_cnn.common.spec.architecture import Architecture
from parity.bounds.derived import FUNCTION_ERROR, BoundInputs, ErrorBounds, gamma
from parity.cases.case import ArraySpec, Case, Lane
from parity.cases.primitives import booleans, composite, integers, sampled
from parity.cases.sizes import DTYPES, SEEDS
from parity.cases.torch_op import Array, oracle
from parity.rows.row import NUMBERS, Row


def by_hand(x: Array, *parameters: Array, architecture: dict[str, Any], target: Array) -> tuple[Array, Pullback]:
    """numpy_cnn's network, and the summed loss that its architecture names."""
    a = Architecture.from_json(architecture)
    names = [*a.parameter_shapes()]
    scores, network_pullback = numpy_cnn.SimpleCNN(a, parameters=dict(zip(names, parameters, strict=True)))(x)
    loss = ops.mse_loss if a.loss == "mse" else ops.cross_entropy
    y, loss_pullback = loss(scores, target, reduction="sum")

    def pullback(dy: Array) -> tuple[Array, ...]:
        dx, gradients = network_pullback(loss_pullback(dy)[0])
        return dx, *(gradients[name] for name in names)

    return y, pullback


def of_torch(
    x: torch.Tensor, *parameters: torch.Tensor, architecture: dict[str, Any], target: torch.Tensor
) -> torch.Tensor:
    """torch_cnn's network, and the same loss."""
    a = Architecture.from_json(architecture)
    named = dict(zip(a.parameter_shapes(), parameters, strict=True))
    scores = torch.func.functional_call(torch_cnn.SimpleCNN(a), named, (x,))
    loss = F.mse_loss if a.loss == "mse" else F.cross_entropy
    return loss(scores, target, reduction="sum")


@composite
def networks(draw: st.DrawFn, lane: Lane) -> Case:
    """Architectures of every kind: strides, padding, pooling, with and without a hidden layer, fixed edges.

    Where results must be exact: the squared error and float64. With numbers up to 2, no sum passes 2^37 there:
    conv1 stays below 2^8, fc1 below 2^14, fc2 below 2^18, a squared score below 2^36.
    """
    fixed = draw(sampled([False, False, False, True]))
    kernel, stride, pool = 3 if fixed else draw(integers(1, 3)), draw(integers(1, 2)), draw(integers(1, 3))
    padding = draw(integers(0, 1))

    def size() -> int:
        after_pool, rest = draw(integers(1, 3)), draw(integers(0, pool - 1))
        convolved = after_pool * pool + rest
        return max(1, (convolved - 1) * stride + kernel + draw(integers(0, stride - 1)) - 2 * padding)

    exact = lane != "bound"
    architecture = Architecture(
        image_size=(size(), size()),
        in_channels=1 if fixed else draw(integers(1, 2)),
        filters=1 if fixed else draw(integers(1, 3)),
        kernel_size=kernel,
        stride=stride,
        padding=padding,
        pool=pool,
        hidden=draw(integers(1, 6)) if draw(booleans) else None,
        classes=draw(integers(1, 4)),
        loss="mse" if exact or draw(booleans) else "cross_entropy",
        fixed_edges=fixed,
    )
    images = draw(integers(1, 3))
    shapes = architecture.parameter_shapes()
    target = (
        ArraySpec("target", (images, architecture.classes), keyword=True)
        if architecture.loss == "mse"
        else ArraySpec("target", (images,), "classes", architecture.classes, keyword=True)
    )
    arrays = (
        ArraySpec("input", (images, architecture.in_channels, *architecture.image_size)),
        *(ArraySpec(name, shape) for name, shape in shapes.items()),
        target,
    )
    dtype = "float64" if exact else draw(DTYPES)
    magnitude = draw(integers(1, 2)) if exact else 1
    return Case("SimpleCNN", arrays, {"architecture": architecture.to_json()}, dtype, magnitude, draw(SEEDS))


def bound(s: BoundInputs) -> ErrorBounds:
    """Carry an error bound through the layers, forwards in the values and backwards in the cotangents.

    A layer y = w·x whose input is off by e is off by |w|·e + γₙ·|w|·(|x| + e); backwards alike. ReLU and pooling
    hand errors on while no decision of theirs is in doubt. Where a value is so close to zero, or two taps so close
    to each other, that rounding may decide, no gradient can be bounded and ∞ is allowed: one case in thousands.
    """
    x, *parameters = (a for a in s.arrays if a is not None)
    architecture = Architecture.from_json(s.options["architecture"])
    w = dict(zip(architecture.parameter_shapes(), parameters, strict=True))
    pool = oracle(F.max_pool2d)
    u = s.u

    conv = _Bilinear(F.conv2d, x, np.zeros_like(x), w["conv1.weight"], w.get("conv1.bias"), s,
                     stride=architecture.stride, padding=architecture.padding)  # fmt: skip
    rectified, rectified_error, sure = _relu(conv.y, conv.error)
    pooled, pool_pullback = pool(rectified, kernel_size=architecture.pool)
    pooled_error, _ = pool(rectified_error, kernel_size=architecture.pool)
    sure &= _sure_winners(rectified, rectified_error, architecture.pool)
    flat, flat_error = (a.reshape(len(x), -1) for a in (pooled, pooled_error))
    fc1 = _Bilinear(F.linear, flat, flat_error, w["fc1.weight"], w.get("fc1.bias"), s)
    scores, scores_error, fc2 = fc1.y, fc1.error, None
    if architecture.hidden:
        hidden, hidden_error, hidden_sure = _relu(fc1.y, fc1.error)
        sure &= hidden_sure
        fc2 = _Bilinear(F.linear, hidden, hidden_error, w["fc2.weight"], w.get("fc2.bias"), s)
        scores, scores_error = fc2.y, fc2.error

    loss = _mse if architecture.loss == "mse" else _cross_entropy
    y_error, d, d_error = loss(scores, scores_error, s.options["target"], s.dy, u)
    d_error = d_error + s.tiny  # a probability below the smallest normal number may become 0
    gradients: list[Array | None] = []
    if fc2 is not None:
        d, d_error, of_parameters = fc2.backward(d, d_error)
        gradients = of_parameters + gradients
        mask = fc1.y > 0
        d, d_error = d * mask, d_error * mask
    d, d_error, of_parameters = fc1.backward(d, d_error)
    gradients = of_parameters + gradients
    # The windows do not overlap, so each cotangent travels whole to its winner.
    d, d_error = (pool_pullback(a.reshape(pooled.shape))[0] * (conv.y > 0) for a in (d, d_error))
    _, dx_error, of_parameters = conv.backward(d, d_error)
    gradients = [dx_error, *of_parameters, *gradients]
    return y_error, tuple(None if g is None else (g if sure else np.full_like(g, np.inf)) for g in gradients)


class _Bilinear:
    """A convolution or a dense layer, its output's error, and the errors of its gradients."""

    def __init__(
        self, like: Any, x: Array, e: Array, w: Array, b: Array | None, s: BoundInputs, **options: Any
    ) -> None:
        # Each of n products may fall below the smallest normal number, and become 0.
        self.op, self.options, self.u, self.tiny = oracle(like), options, s.u, s.tiny
        self.x, self.e, self.w, self.b = x, e, w, b
        self.y, _ = self.op(x, w, b, **options)
        carried, _ = self.op(e, np.abs(w), None, **options)
        bias = None if b is None else np.abs(b)
        size, self.absolute = self.op(np.abs(x) + e, np.abs(w), bias, **options)
        self.error = carried + gamma(w[0].size + 1, s.u) * size + w[0].size * s.tiny

    def backward(self, d: Array, f: Array) -> tuple[Array, Array, list[Array | None]]:
        """From dy and its error: dx, its error, and the errors of dw (and of db)."""
        _, pullback = self.op(self.x, self.w, self.b, **self.options)
        dx, _, _ = pullback(d)
        _, of_w = self.op(np.abs(self.x), np.abs(self.w), None, **self.options)
        _, of_e = self.op(self.e, np.abs(self.w), None, **self.options)
        sum_dx, sum_dw, _ = self.absolute(np.abs(d) + f)
        carried_dx, carried_dw, _ = of_w(f)
        _, twisted_dw, _ = of_e(np.abs(d) + f)
        positions = d.size // self.w.shape[0]
        taps = self.w[:, 0].size
        dx_error = carried_dx + gamma(taps, self.u) * sum_dx + taps * self.tiny
        of_dw = carried_dw + twisted_dw + gamma(positions, self.u) * sum_dw + positions * self.tiny
        errors: list[Array | None] = [of_dw]
        if self.b is not None:
            axes = tuple(axis for axis in range(d.ndim) if axis != 1)
            errors.append(f.sum(axis=axes) + gamma(positions, self.u) * (np.abs(d) + f).sum(axis=axes))
        return dx, dx_error, errors


def _relu(y: Array, error: Array) -> tuple[Array, Array, bool]:
    """The rectified values, their errors, and whether no sign is in doubt."""
    return np.maximum(y, 0), np.where(y < 0, 0.0, error), bool((np.abs(y) > error).all())


def _sure_winners(x: Array, error: Array, kernel: int) -> bool:
    """Whether in each window the winner leads by more than the errors; zeros that are exact may tie."""
    windows = [
        np.lib.stride_tricks.sliding_window_view(a, (kernel, kernel), axis=(2, 3))[:, :, ::kernel, ::kernel]
        .reshape(*a.shape[:2], a.shape[2] // kernel, a.shape[3] // kernel, -1)
        for a in (x, error)
    ]  # fmt: skip
    values, errors = windows
    winner = values.argmax(axis=-1)[..., None]
    lead = np.take_along_axis(values, winner, -1) - values
    doubt = np.take_along_axis(errors, winner, -1) + errors
    others = np.arange(values.shape[-1]) != winner
    return bool(((lead > doubt) | (doubt == 0) | ~others).all())


def _mse(scores: Array, e: Array, target: Array, dy: Array, u: float) -> tuple[Array, Array, Array]:
    """The error of Σ (s − t)², the cotangent 2 (s − t)·dy, and its error."""
    d = np.abs(scores - target)
    y_error = (2 * d * e + e * e).sum() + gamma(scores.size + 3, u) * ((d + e) ** 2).sum()
    return np.asarray(y_error), 2 * (scores - target) * dy, 2 * np.abs(dy) * (e + gamma(4, u) * (d + e))


def _cross_entropy(scores: Array, e: Array, target: Array, dy: Array, u: float) -> tuple[Array, Array, Array]:
    """The error of −Σ log p[target], the cotangent (p − onehot)·dy, and its error.

    Scores off by e move log p by at most e_i + max e, and p by a factor within exp(± that).
    """
    z = scores - scores.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    p = np.exp(log_p)
    classes = scores.shape[1]
    own = gamma(
        3 * np.abs(z).max(axis=1, keepdims=True) + np.abs(scores).max() + 3 * FUNCTION_ERROR + 2 * classes, u
    )
    of_log = e + e.max(axis=1, keepdims=True) + own * (1 + np.abs(log_p))
    rows = np.arange(len(target))
    y_error = of_log[rows, target].sum() + gamma(len(target) + 1, u) * (np.abs(log_p) + of_log)[rows, target].sum()
    onehot = np.eye(classes)[target]
    d_error = np.abs(dy) * (p * np.expm1(of_log + (FUNCTION_ERROR + 4) * u) + gamma(4, u) * (p + onehot))
    return np.asarray(y_error), (p - onehot) * dy, d_error


ROWS = (Row("SimpleCNN", by_hand, of_torch, networks, bound, NUMBERS, kind="network"),)
