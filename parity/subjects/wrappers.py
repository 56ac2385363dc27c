"""Adapters for layouts, shapes of biases, single samples and one-hot targets.

They accept an implementation in any form and can be nested:

    parity.check("conv2d", channels_last(bias_shaped((forward, backward), 1, 1, 1, -1)))

Most layouts are determined automatically (`parity.running.probe`); adapters state them explicitly.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from parity.cases.op import Array
from parity.subjects.errors import Declined
from parity.subjects.implementation import CALL, Implementation, Pullback
from parity.subjects.names import two_numbers
from parity.subjects.recognise import adapt

_SLIDING = {"stride": 1, "padding": 0, "dilation": 1}
Change = Callable[[Array], Array]


def _around(
    implementation: Any,
    arrays_in: dict[int, Change],
    gradients_out: dict[int, Change],
    y_out: Change | None = None,
    dy_in: Change | None = None,
    note: str | None = None,
) -> Implementation:
    """Wrap an implementation with conversions of its arrays and gradients, by position."""
    adapted = adapt(implementation)
    inner = replace(adapted, timeout=None)  # only the outer one has a time limit

    def op(*arrays: Array | None, **options: Any) -> Any:
        changed = [arrays_in[i](a) if i in arrays_in and a is not None else a for i, a in enumerate(arrays)]
        y, pullback = inner(*changed, **options)
        if pullback is None:
            return (y if y_out is None else y_out(y)), None
        known: Pullback = pullback

        def back(dy: Array) -> Any:
            gradients = known(dy if dy_in is None else dy_in(dy))
            return tuple(
                gradients_out[i](g) if i in gradients_out and g is not None else g for i, g in enumerate(gradients)
            )

        return (y if y_out is None else y_out(y)), Pullback(back, known.takes_upstream, known.by_torch)

    return adapted.around(op, note)


def _to_last(x: Array) -> Array:
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)) if x.ndim > 2 else x


def _to_first(x: Array) -> Array:
    return np.ascontiguousarray(np.moveaxis(x, -1, 1)) if x.ndim > 2 else x


def channels_last(implementation: Any, weights: str = "HWIO") -> Implementation:
    """Images and gradients (N, H, W, C) instead of (N, C, H, W).

    Args:
        implementation: in any form.
        weights: its order of the axes of the weights: a permutation of "OIHW".
    """
    return _last(implementation, "OIHW", weights, "its images are (N, H, W, C)")


def sequences_last(implementation: Any, weights: str = "LIO") -> Implementation:
    """Sequences and gradients (N, L, C) instead of (N, C, L).

    Args:
        implementation: in any form.
        weights: its order of the axes of the weights: a permutation of "OIL".
    """
    return _last(implementation, "OIL", weights, "its sequences are (N, L, C)")


def _last(implementation: Any, torchs: str, weights: str, note: str) -> Implementation:
    order = _axes(torchs, weights)
    back = [order.index(axis) for axis in range(len(order))]

    def to_its_order(w: Array) -> Array:
        return np.ascontiguousarray(w.transpose(order)) if w.ndim == len(order) else w

    def to_torchs(w: Array) -> Array:
        return np.ascontiguousarray(w.transpose(back)) if w.ndim == len(order) else w

    return _around(
        implementation,
        {0: _to_last, 1: to_its_order},
        {0: _to_first, 1: to_torchs},
        _to_first,
        _to_last,
        f"{note}: transposed on the way in and out",
    )


def weights_laid(implementation: Any, weights: str) -> Implementation:
    """Weights of a convolution in another order of axes than "OIHW", such as "HWIO"."""
    order = _axes("OIHW", weights)
    back = [order.index(axis) for axis in range(4)]
    return _around(
        implementation,
        {1: lambda w: np.ascontiguousarray(w.transpose(order))},
        {1: lambda w: np.ascontiguousarray(w.transpose(back))},
        note=f"its weights are {weights}: transposed on the way in and out",
    )


def weights_in_out(implementation: Any) -> Implementation:
    """Weights of a dense layer as (in, out) instead of (out, in)."""
    note = "its weights are (in, out): transposed on the way in and out"
    return _around(implementation, {1: lambda w: w.T.copy()}, {1: lambda g: g.T}, note=note)


def bias_shaped(implementation: Any, *shape: int) -> Implementation:
    """A bias of another shape than (F,): `bias_shaped(f, -1, 1)` for (F, 1), `bias_shaped(f, 1, 1, 1, -1)`."""
    return arrays_shaped(implementation, {2: shape})


def arrays_shaped(implementation: Any, shapes: dict[int, tuple[int, ...]]) -> Implementation:
    """Vectors in other shapes than (F,), by the position of the array."""
    shape_text = " and ".join(_shape_of(shape) for shape in sorted({*shapes.values()}))
    return _around(
        implementation,
        {place: lambda b, s=shape: b.reshape(s) for place, shape in shapes.items()},  # type: ignore[misc]  # one s each
        {place: lambda g, s=shape: _flattened(g, s) for place, shape in shapes.items()},  # type: ignore[misc]  # as above
        note=f"its {'bias' if {*shapes} == {2} else 'parameters'} has the shape {shape_text}",
    )


def parameters_shaped(implementation: Any, shape: tuple[int, ...], places: tuple[int, int]) -> Implementation:
    """A normalization whose weight and bias, at these places, have another shape; 1 and 0 if the case has none."""
    shaped = arrays_shaped(implementation, dict.fromkeys(places, shape))
    inner = replace(shaped, timeout=None)

    def op(*arrays: Array | None, **options: Any) -> Any:
        call, given = CALL.get(), [*arrays]
        x = arrays[0] if call is None else call.arrays[0]  # in torch's layout
        assert x is not None
        size = math.prod(options.get("normalized_shape", x.shape[1:2]))
        for place, make in zip(places, (np.ones, np.zeros), strict=True):
            if given[place] is None:
                given[place] = make(size, x.dtype)
        y, pullback = inner(*given, **options)
        if pullback is None:
            return y, None
        known: Pullback = pullback

        def back(dy: Array) -> Any:
            return tuple(None if a is None else g for g, a in zip(known(dy), arrays, strict=True))

        return y, Pullback(back, known.takes_upstream, known.by_torch)

    return shaped.around(op)


def parameters_like_input(implementation: Any) -> Implementation:
    """A normalization whose parameters and statistics have the axes of its input: (1, C) or (1, C, 1, 1)."""
    adapted = adapt(implementation)
    inner = replace(adapted, timeout=None)

    def op(x: Array, *parameters: Array | None, **options: Any) -> Any:
        shape = (1, x.shape[1], *(1,) * (x.ndim - 2))
        without = (np.zeros, np.ones, np.ones, np.zeros)  # running mean and variance, weight, bias
        given = [
            make(shape, x.dtype) if p is None else p.reshape(shape)
            for p, make in zip(parameters, without, strict=True)
        ]
        y, pullback = inner(x, *given, **options)
        if pullback is None:
            return y, None
        known: Pullback = pullback

        def back(dy: Array) -> Any:
            dx, *others = known(dy)
            pairs = zip(others, parameters, strict=True)
            return dx, *(None if g is None or p is None else _flattened(g, shape) for g, p in pairs)

        return y, Pullback(back, known.takes_upstream, known.by_torch)

    return adapted.around(op, "its parameters have as many axes as its input, (1, C, …)")


def _shape_of(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join("F" if size == -1 else str(size) for size in shape) + ")"


def _flattened(gradient: Array, shape: tuple[int, ...]) -> Array:
    """Reshape a gradient to (F,) if it has the shape of the bias; otherwise leave it, so that it is reported."""
    fits = gradient.ndim == len(shape) and gradient.reshape(-1).reshape(shape).shape == gradient.shape
    return gradient.reshape(-1) if fits else gradient


def single_sample(implementation: Any) -> Implementation:
    """One image or vector without a batch axis; larger batches are declined."""

    def first(x: Array) -> Array:
        if x.ndim < 2 or len(x) != 1:
            raise Declined("it takes a single sample", {"batch": 1})
        return np.asarray(x[0])

    def batched(x: Array) -> Array:
        return x[None]

    note = "it takes a single sample, without a batch axis"
    return _around(implementation, {0: first}, {0: batched}, batched, lambda dy: dy[0], note)


def single_channel(implementation: Any) -> Implementation:
    """A convolution of one image (H, W) with kernels (F, kh, kw), whose output is (H', W', F)."""

    def image(x: Array) -> Array:
        if len(x) != 1 or x.shape[1] != 1:
            raise Declined("it takes one image with one channel", {"batch": 1, "channels": 1})
        return np.asarray(x[0, 0])

    def kernels(w: Array) -> Array:
        if w.shape[1] != 1:
            raise Declined("it takes one image with one channel", {"batch": 1, "channels": 1})
        return np.asarray(w[:, 0])

    def to_first(y: Array) -> Array:
        return np.ascontiguousarray(np.moveaxis(y, -1, 0))[None] if y.ndim == 3 else y

    return _around(
        implementation,
        {0: image, 1: kernels},
        {0: lambda g: g[None, None], 1: lambda g: g[:, None]},
        to_first,
        lambda dy: np.ascontiguousarray(np.moveaxis(dy[0], 0, -1)),
        "it takes one image (H, W) and returns (H, W, F)",
    )


def single_plane(implementation: Any) -> Implementation:
    """A convolution or a pool of one image (H, W), with one kernel (kh, kw); the output is (H', W')."""

    def plane(x: Array) -> Array:
        if x.shape[:2] != (1, 1):
            raise Declined("it takes one image with one channel", {"batch": 1, "channels": 1})
        return np.asarray(x[0, 0])

    def kernel(w: Array) -> Array:
        if w.shape[:2] != (1, 1):
            raise Declined("it has one kernel, for one channel", {"batch": 1, "channels": 1, "filters": 1})
        return np.asarray(w[0, 0])

    def batched(x: Array) -> Array:
        return x[None, None]

    note = "it takes one image (H, W)"
    return _around(
        implementation, {0: plane, 1: kernel}, {0: batched, 1: batched}, batched, lambda dy: dy[0, 0], note
    )


def bias_per_pixel(implementation: Any) -> Implementation:
    """A convolution whose bias has the shape of its output, without the batch: (F, H', W')."""
    adapted = adapt(implementation)
    inner = replace(adapted, timeout=None)

    def op(x: Array, w: Array, b: Array | None, **options: Any) -> Any:
        if b is None or isinstance(options.get("padding", 0), str):
            raise Declined("its bias has the shape of its output", {"bias": True, "same": False})
        stride, padding, dilation = (two_numbers(options.get(n, d)) for n, d in _SLIDING.items())
        sizes = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(x.shape[-2:], w.shape[2:], stride, padding, dilation, strict=True)
        ]
        y, pullback = inner(x, w, np.broadcast_to(b[:, None, None], (len(b), *sizes)).copy(), **options)
        if pullback is None:
            return y, None
        known: Pullback = pullback

        def back(dy: Array) -> Any:
            dx, dw, db = known(dy)
            summed = None if db is None else db.sum(axis=(1, 2)) if db.ndim == 3 else db
            return dx, dw, summed

        return y, Pullback(back, known.takes_upstream, known.by_torch)

    note = "its bias has the shape of its output: repeated over the pixels, and its gradient summed"
    return adapted.around(op, note)


def squeezed(implementation: Any) -> Implementation:
    """A global pool that returns (N, C) instead of (N, C, 1, 1)."""

    def restored(y: Array) -> Array:
        return y[:, :, None, None] if y.ndim == 2 else y

    note = "its output is (N, C), without the axes of size 1"
    return _around(implementation, {}, {}, restored, lambda dy: dy.reshape(dy.shape[:2]), note)


def _moved(implementation: Any, order: tuple[int, ...], note: str) -> Implementation:
    """Images with their axes in another order than (N, C, H, W), also in the output and the gradients."""
    back = tuple(np.argsort(order))

    def to_own(x: Array) -> Array:
        return np.ascontiguousarray(x.transpose(order)) if x.ndim == 4 else x

    def to_torchs(x: Array) -> Array:
        return np.ascontiguousarray(x.transpose(back)) if x.ndim == 4 else x

    return _around(implementation, {0: to_own}, {0: to_torchs}, to_torchs, to_own, note)


def batch_second(implementation: Any) -> Implementation:
    """Images (C, N, H, W)."""
    return _moved(implementation, (1, 0, 2, 3), "its images are (C, N, H, W): transposed on the way in and out")


def batch_last(implementation: Any) -> Implementation:
    """Images (C, H, W, N)."""
    return _moved(implementation, (1, 2, 3, 0), "its images are (C, H, W, N): transposed on the way in and out")


def one_at_a_time(implementation: Any) -> Implementation:
    """A batch of one sample, with its batch axis."""

    def one(x: Array) -> Array:
        if x.ndim < 2 or len(x) != 1:
            raise Declined("it takes a batch of one", {"batch": 1})
        return x

    return _around(implementation, {0: one}, {}, note="it takes a batch of one sample")


def column_vectors(implementation: Any) -> Implementation:
    """Samples in columns: (features, N) instead of (N, features), also for the output and the gradients."""

    def turned(x: Array) -> Array:
        if x.ndim != 2:
            raise Declined("it takes columns", {"rank": 2})
        return x.T.copy()

    note = "its samples are columns, (features, N): transposed on the way in and out"
    return _around(implementation, {0: turned}, {0: turned}, turned, turned, note)


def pads_itself(implementation: Any) -> Implementation:
    """A convolution that pads with zeros to the size of the input, for odd kernels and a stride of 1."""
    inner = replace(adapt(implementation), timeout=None)

    def op(*arrays: Array | None, padding: Any = 0, **options: Any) -> Any:
        if padding != "same":
            raise Declined("it pads to the size of the input", {"padding": "same", "odd": True, "stride": 1})
        return inner(*arrays, **options)

    return inner.around(op, "it pads to the size of the input: checked with padding='same' and odd kernels")


def loss_with_gradient(function: Callable[..., Any]) -> Implementation:
    """A loss that returns (loss, dx) and takes no upstream gradient; checked with an upstream of 1.

    Recognised automatically if the loss is one number and dx has the shape of the input; needed for other shapes.
    """
    made = adapt(function)

    def op(*arrays: Array | None, **options: Any) -> Any:
        loss, *gradients = made.op(*arrays, **options)
        return loss, lambda dy: tuple(np.array(g) for g in gradients)  # noqa: ARG005  # there is no upstream

    return without_upstream(made.around(op))


LOSS_AND_GRADIENT = "it returns (loss, gradient) and takes no upstream gradient: checked with an upstream of 1"
OWN_OUTPUT = "its backward takes its own output instead of an upstream gradient: checked with an upstream of 1"


def without_upstream(made: Implementation, note: str = LOSS_AND_GRADIENT) -> Implementation:
    """What returned (loss, gradient) at the first call, or a gradient that depends on no upstream."""
    return replace(made.with_note(note), takes_upstream=False, lenient=True)


def one_hot_targets(implementation: Any) -> Implementation:
    """A loss whose targets are one-hot rows instead of class indices; for scores (N, C)."""
    adapted = adapt(implementation)
    inner = replace(adapted, timeout=None)

    def op(x: Array, target: Array, **options: Any) -> Any:
        if x.ndim != 2:
            raise Declined("it takes scores (N, C)", {"rank": 2})
        if target.dtype.kind == "f":
            raise Declined("it takes classes, not probabilities", {"probabilities": False})
        if target.size and (target.min() < 0 or target.max() >= x.shape[1]):
            raise Declined("it ignores no targets", {"ignored": False})
        one_hot = (target[:, None] == np.arange(x.shape[1])).astype(x.dtype)
        y, pullback = inner(x, one_hot, **options)
        if pullback is None:
            return y, None
        return y, Pullback(lambda dy: (pullback(dy)[0], None), pullback.takes_upstream)

    return adapted.around(op, "its targets are one-hot rows")


def forward_only(function: Callable[..., Any]) -> Implementation:
    """A layer without a backward: only the output is compared."""
    return replace(adapt(function).with_note("forward only: no gradient was checked"), forward_only=True)


def _axes(own: str, theirs: str) -> list[int]:
    if sorted(theirs) != sorted(own):
        raise ValueError(f"weights must name each of {own} once, got {theirs!r}")
    return [own.index(axis) for axis in theirs]
