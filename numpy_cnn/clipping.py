"""Gradient clipping, before an optimizer step. The functions return new gradients; the old ones stay unchanged."""

import math
from collections.abc import Mapping

import numpy as np

from numpy_cnn.arguments import Array

EPSILON = 1e-6  # torch's value, which avoids a division by 0 for gradients of norm 0


def clip_grad_norm(
    gradients: Mapping[str, Array | None],
    max_norm: float,
    norm_type: float | str = 2.0,
    error_if_nonfinite: bool = False,
) -> tuple[dict[str, Array | None], float]:
    """Scale all gradients by one factor, to a total norm of at most `max_norm`, as torch's `clip_grad_norm_`.

        n = (Σ |g|ᵖ)^(1/p) over all numbers of all gradients        g ← g · min(1, max_norm / (n + 10⁻⁶))

    If n is NaN, so is every gradient afterwards; if n is ∞, the finite ones become 0.

    Args:
        gradients: {name: array or None}.
        max_norm: the largest norm allowed.
        norm_type: p, above 0; ∞ for the largest absolute value. A string such as "inf" is converted.
        error_if_nonfinite: whether to raise if n is NaN or ∞.

    Returns:
        The clipped gradients, None where a gradient is None, and n before clipping.

    Raises:
        ValueError: max_norm is negative or NaN, norm_type is not above 0, or n is not finite and
            `error_if_nonfinite` is set.

    Source: R. Pascanu, T. Mikolov and Y. Bengio, On the difficulty of training recurrent neural networks (2013).
    """
    p = float(norm_type)
    if not max_norm >= 0 or not p > 0:
        raise ValueError(
            f"clip_grad_norm: max_norm must be at least 0 and norm_type above 0, got {max_norm} and {norm_type}"
        )
    given = [np.abs(g).astype(np.float64).reshape(-1) for g in gradients.values() if g is not None]
    numbers = np.concatenate(given) if given else np.zeros(1)
    norm = float(numbers.max(initial=0) if math.isinf(p) else (numbers**p).sum() ** (1 / p))
    if error_if_nonfinite and not math.isfinite(norm):
        raise ValueError(f"clip_grad_norm: the norm of the gradients is {norm}")
    factor = min(max_norm / (norm + EPSILON), 1.0)  # in this order NaN stays NaN
    with np.errstate(invalid="ignore"):  # ∞ · 0
        return {
            name: None if g is None else np.asarray(g * g.dtype.type(factor)) for name, g in gradients.items()
        }, norm


def clip_grad_value(gradients: Mapping[str, Array | None], clip_value: float) -> dict[str, Array | None]:
    """Limit every number of every gradient to [−clip_value, clip_value], as torch's `clip_grad_value_`.

        g ← min(max(g, −clip_value), clip_value)

    Args:
        gradients: {name: array or None}.
        clip_value: the largest absolute value allowed.

    Returns:
        The clipped gradients, None where a gradient is None.

    Raises:
        ValueError: clip_value is negative.

    Source: T. Mikolov, Statistical language models based on neural networks (2012).
    """
    if not clip_value >= 0:
        raise ValueError(f"clip_grad_value: clip_value must not be negative, got {clip_value}")
    most = float(clip_value)  # a NumPy float64 would convert float32 gradients
    return {name: None if g is None else np.asarray(np.clip(g, -most, most)) for name, g in gradients.items()}
