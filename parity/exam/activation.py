"""ReLU with one mistake."""

from typing import Any

import numpy as np

from numpy_cnn import ops
from numpy_cnn.arguments import Array
from parity.exam.bug import planted
from parity.exam.edits import Called, edited


@planted("relu", explained=("relu-passes-all",), at="dx")
def relu_passes_all(x: Array) -> Called:
    """The gradient passes everywhere."""
    return ops.relu(x)[0], lambda dy: (dy.copy(),)


@planted("relu", explained=("relu-at-zero",), at="dx")
def relu_slope_at_zero(x: Array) -> Called:
    """The gradient passes at 0 as well: >= where it should be >."""
    return ops.relu(x)[0], lambda dy: (np.where(x < 0, x.dtype.type(0), dy),)


@planted("relu", explained=("relu-half-at-zero",), at="dx")
def relu_half_at_zero(x: Array) -> Called:
    """Half of the gradient passes at 0, as a subgradient may, and torch's does not."""
    slope = np.where(x == 0, 0.5, np.where(x < 0, 0.0, 1.0)).astype(x.dtype)
    return ops.relu(x)[0], lambda dy: (slope * dy,)


@planted("relu", explained=("mask-of-upstream",), at="dx")
def relu_mask_of_upstream(x: Array) -> Called:
    """The gradient is rectified itself: the mask is taken from dy instead of x."""
    return ops.relu(x)[0], lambda dy: (np.where(dy > 0, dy, dy.dtype.type(0)),)


@planted("relu", explained=("multiplies-by-output",), at="dx")
def relu_times_output(x: Array) -> Called:
    """dy is multiplied by the output instead of its sign."""
    y, _ = ops.relu(x)
    return y, lambda dy: (y * dy,)


@planted("relu", explained=("leaky",))
def relu_leaky(x: Array) -> Called:
    """A hundredth of the negative numbers passes."""
    slope = np.where(x > 0, 1.0, 0.01).astype(x.dtype)
    return slope * x, lambda dy: (slope * dy,)


@planted("relu", explained=("multiplies-by-mask",), at="y")
def relu_times_mask(x: Array) -> Called:
    """The output is the mask times x: minus infinity times 0 is NaN."""
    return edited(ops.relu(x), y=lambda _: np.asarray(x * (x > 0)))


@planted("relu", explained=("nan-blocks",), at="dx")
def relu_nan_dead(x: Array) -> Called:
    """NaN counts as dead in the gradient: NaN > 0 is false, and torch lets dy through."""
    return ops.relu(x)[0], lambda dy: (np.where(x > 0, dy, dy.dtype.type(0)),)


@planted("relu", explained=("nan-swallowed",), at="y")
def relu_nan_swallowed(x: Array) -> Called:
    """NaN becomes 0 in the output."""
    return edited(ops.relu(x), y=lambda _: np.where(x > 0, x, x.dtype.type(0)))


@planted("relu", explained=("mutates-input",))
def relu_in_place(x: Array) -> Called:
    """The caller's array is rectified in place."""
    negative = x < 0
    if x.flags.writeable:
        x[negative] = 0
    y = np.where(negative, x.dtype.type(0), x)
    return y, lambda dy: (np.where(~(y <= 0), dy, dy.dtype.type(0)),)


LAST: dict[str, Any] = {}


@planted("relu", explained=("shared-state",))
def relu_mask_shared(x: Array) -> Called:
    """The mask is kept at module level, and a layer used twice in one network shares it."""
    y, _ = ops.relu(x)
    LAST["mask"] = ~(y <= 0)

    def pullback(dy: Array) -> tuple[Array]:
        mask = LAST["mask"] if LAST["mask"].shape == dy.shape else ~(y <= 0)
        return (np.where(mask, dy, dy.dtype.type(0)),)

    return y, pullback


@planted("relu", explained=("hands-out-cache",))
def relu_hands_out_its_buffer(x: Array) -> Called:
    """The gradient is handed out in the buffer that the next call takes its mask from."""
    y, _ = ops.relu(x)
    buffer = np.where(~(y <= 0), x.dtype.type(1), x.dtype.type(0))
    mask = buffer.reshape(buffer.shape)
    once: list[Array] = []

    def pullback(dy: Array) -> tuple[Array]:
        if not once:
            once.append(np.where(mask > 0, dy, dy.dtype.type(0)))
        return (once[0],)

    return y, pullback


@planted("relu", explained=("absolute",), at="y")
def relu_absolute(x: Array) -> Called:
    """The sign is dropped instead of the number."""
    return edited(ops.relu(x), y=lambda _: np.abs(x))


@planted("relu", explained=("mask-complement",), at="dx")
def relu_mask_inverted(x: Array) -> Called:
    """The gradient passes where it should not, and nowhere else."""
    return ops.relu(x)[0], lambda dy: (np.where(x <= 0, dy, dy.dtype.type(0)),)


@planted("relu", explained=("capped",), at="y")
def relu_capped_at_six(x: Array) -> Called:
    """Numbers beyond 6 are cut off, as in ReLU6."""
    six = x.dtype.type(6)
    return edited(ops.relu(x), y=lambda y: np.asarray(np.minimum(y, six)))


@planted("relu", explained=("shares-memory",), at="y")
def relu_returns_its_input(x: Array) -> Called:
    """Where nothing is negative the output is the input itself."""
    y, pullback = ops.relu(x)
    return (x if (x >= 0).all() else y), pullback


@planted("relu", at="y")
def relu_tail_of_the_vector_loop(x: Array) -> Called:
    """Eight numbers at a time are rectified; what is left over passes as it is."""

    def tail(y: Array) -> Array:
        flat = y.reshape(-1).copy()
        flat[flat.size // 8 * 8 :] = x.reshape(-1)[flat.size // 8 * 8 :]
        return flat.reshape(y.shape) if y.size > 8 else y

    return edited(ops.relu(x), y=tail)


@planted("relu", at="dx")
def relu_mask_times_infinity(x: Array) -> Called:
    """The mask multiplies before it selects: a dead unit with an infinite input makes NaN of its gradient."""
    y, pullback = ops.relu(x)
    return y, lambda dy: (np.where(np.isinf(x) & (x < 0), dy.dtype.type(np.nan), pullback(dy)[0]),)
