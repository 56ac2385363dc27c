"""Checks of a checkpoint's tensors, which are not trusted."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.config import OptimizerConfig
from numpy_cnn.common.spec.errors import UserError

SQUARES = ("exp_avg_sq", "max_exp_avg_sq", "square_avg", "sum")  # never negative
Arrays = Mapping[str, npt.NDArray[Any]]


def check_parameters(architecture: Architecture, parameters: Arrays) -> None:
    """Check the names, shapes and values of the parameters.

    Raises:
        UserError: a parameter is missing, unknown, of another shape, or not finite.
    """
    architecture.check(parameters)
    for name, array in parameters.items():
        _check_finite(name, array)
        if name.endswith("running_var") and (array < 0).any():
            raise UserError(f"damaged: {name} contains a negative variance, {array.min()}")


def check_optimizer_state(
    architecture: Architecture, optimizer: OptimizerConfig, state: Arrays, begun: bool
) -> None:
    """Check the names, shapes and values of an optimizer's state.

    Args:
        architecture: of the network.
        optimizer: whose state it is.
        state: arrays under `<parameter>.<torch's name of the state>`.
        begun: whether steps were taken; before the first there may be no state.

    Raises:
        UserError: an array is missing, unknown, of another shape, or has values that training cannot produce.
    """
    shapes, kinds = architecture.parameter_shapes(), _kinds(optimizer)
    expected = {
        f"{name}.{kind}": () if kind == "step" else shapes[name] for name in architecture.trained for kind in kinds
    }
    if not begun and not state:
        return
    for name in [*expected, *state]:
        want = expected.get(name, "none")
        got = state[name].shape if name in state else "none"
        if got != want:
            raise UserError(f"damaged: optimizer state: {name} has the shape {got}, expected {want}")
    for name, array in state.items():
        squares = name.rpartition(".")[2] in SQUARES
        # A mean of squares may have overflowed, which only makes the steps of its parameter 0.
        _check_finite(f"optimizer state: {name}", np.minimum(array, 0) if squares else array)
        if (squares or name.endswith(".step")) and (array < 0).any():
            raise UserError(f"damaged: optimizer state: {name} contains a negative value, {array.min()}")
        if name.endswith(".step") and array != np.floor(array):
            raise UserError(f"damaged: optimizer state: {name} is {array}, not a whole number of steps")


def _kinds(optimizer: OptimizerConfig) -> tuple[str, ...]:
    """torch's names of an optimizer's arrays for one parameter."""
    momentum = ("momentum_buffer",) if optimizer.momentum else ()
    return {
        "adam": ("step", "exp_avg", "exp_avg_sq", *["max_exp_avg_sq"] * optimizer.amsgrad),
        "adamw": ("step", "exp_avg", "exp_avg_sq", *["max_exp_avg_sq"] * optimizer.amsgrad),
        "sgd": momentum,
        "rmsprop": ("step", "square_avg", *momentum, *["grad_avg"] * optimizer.centered),
        "adagrad": ("step", "sum"),
    }[optimizer.optimizer]


def _check_finite(name: str, array: npt.NDArray[Any]) -> None:
    if not np.isfinite(array).all():
        raise UserError(
            f"damaged: {name} contains {array.flat[int(np.argmin(np.isfinite(array)))]}, not only finite numbers"
        )
