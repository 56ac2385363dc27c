"""What goes wrong in ReLU: the mask, and what happens at 0, at NaN and at infinity."""

from collections.abc import Callable

import numpy as np

from parity.cases.torch_op import Array
from parity.naming.explanation import Computes, Explanation

LEAKS = (0.01, 0.1, 0.2, 0.3)


def _output(of: Callable[[Array], Array]) -> Computes:
    return lambda question: np.asarray(of(question.first))


def _gradient(of: Callable[[Array, Array], Array]) -> Computes:
    return lambda question: np.asarray(of(question.first, question.dy))


def _leaky(slope: float) -> tuple[Explanation, Explanation]:
    sentence = f"negative values are let through with the slope {slope}, as of a leaky ReLU"
    return (
        Explanation(
            "leaky", sentence, computes=_output(lambda x: np.where(x > 0, x, slope * x)), quantities="output"
        ),
        Explanation(
            "leaky",
            sentence,
            computes=_gradient(lambda x, dy: np.where(x > 0, dy, slope * dy)),
            quantities="grad_",
        ),
    )


OUTPUTS: tuple[tuple[str, str, Callable[[Array], Array]], ...] = (
    ("relu-passes-all", "negative values are let through", lambda x: x),
    ("absolute", "it is the absolute value", np.abs),
    ("minimum", "it keeps the negative values and drops the positive ones", lambda x: np.minimum(x, 0)),
    ("capped", "it is cut off at 6, as ReLU6", lambda x: np.clip(x, 0, 6)),
    ("capped", "it is cut off at 1", lambda x: np.clip(x, 0, 1)),
    ("sign-only", "it is 1 where x is positive: x itself is missing", lambda x: np.where(x > 0, 1.0, 0.0)),
    ("multiplies-by-mask", "x is multiplied by a mask of zeros and ones: −∞·0 is NaN", lambda x: x * (x > 0)),
    ("nan-swallowed", "NaN becomes 0, where it should spread", lambda x: np.where(x > 0, x, 0)),
    ("nan-swallowed", "NaN becomes 0, where it should spread", lambda x: np.fmax(x, 0)),
    (
        "infinity-replaced",
        "infinities and NaN are replaced by finite numbers",
        lambda x: np.nan_to_num(np.maximum(x, 0)),
    ),
)

GRADIENTS: tuple[tuple[str, str, Callable[[Array, Array], Array]], ...] = (
    ("relu-passes-all", "it lets everything through: the mask x > 0 is missing", lambda _, dy: dy),
    (
        "relu-at-zero",
        "it lets the gradient through at x = 0, where torch gives 0",
        lambda x, dy: np.where(x >= 0, dy, 0),
    ),
    (
        "relu-at-zero",
        "half of the gradient passes at x = 0, where torch gives 0",
        lambda x, dy: np.where(x > 0, dy, np.where(x == 0, dy / 2, 0)),
    ),
    ("mask-inverted", "it lets the gradient through where x is negative", lambda x, dy: np.where(x < 0, dy, 0)),
    (
        "mask-inverted",
        "it lets the gradient through where x is not positive",
        lambda x, dy: np.where(x > 0, 0, dy),
    ),
    (
        "mask-of-upstream",
        "the mask is made of the upstream gradient, not of x",
        lambda _, dy: np.where(dy > 0, dy, 0),
    ),
    (
        "mask-of-both",
        "the mask is made of x and of the upstream gradient",
        lambda x, dy: np.where((x > 0) & (dy > 0), dy, 0),
    ),
    (
        "multiplies-by-input",
        "the gradient is multiplied by x, where it should only be masked",
        lambda x, dy: dy * np.maximum(x, 0),
    ),
    ("multiplies-by-input", "the gradient is multiplied by x: the mask is missing", lambda x, dy: dy * x),
    (
        "sign-of-input",
        "the gradient is multiplied by the sign of x, as of an absolute value",
        lambda x, dy: dy * np.sign(x),
    ),
    ("nan-blocks", "no gradient passes where x is NaN", lambda x, dy: np.where(x > 0, dy, 0)),
    (
        "multiplies-by-mask",
        "the gradient is multiplied by a mask of zeros and ones: 0·NaN is NaN",
        lambda x, dy: dy * (x > 0),
    ),
    (
        "nan-becomes-nan",
        "the gradient is NaN where x is NaN",
        lambda x, dy: np.where(np.isnan(x), x, np.where(x > 0, dy, 0)),
    ),
    ("capped", "no gradient passes beyond 6, as of ReLU6", lambda x, dy: np.where((x > 0) & (x < 6), dy, 0)),
    ("capped", "no gradient passes beyond 1", lambda x, dy: np.where((x > 0) & (x < 1), dy, 0)),
)

RELU = (
    *(Explanation(name, said, computes=_output(of), quantities="output") for name, said, of in OUTPUTS),
    *(Explanation(name, said, computes=_gradient(of), quantities="grad_") for name, said, of in GRADIENTS),
    *(explanation for slope in LEAKS for explanation in _leaky(slope)),
)
