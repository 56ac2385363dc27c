"""Adapts hand-written batch normalization: x, gamma and beta are arrays, the running statistics are options.

torch's order is input, running_mean, running_var, weight, bias. Hand-written layers take `forward(x, gamma, beta,
bn_param)`, or store the statistics as attributes; they always have a gamma and a beta.
"""

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch

from parity.cases.op import Array
from parity.cases.state import collected, keep
from parity.subjects import names
from parity.subjects.arguments import parameters_of
from parity.subjects.errors import Declined
from parity.subjects.implementation import CALL, Implementation, Pullback
from parity.subjects.locate_gradients import is_array


def normalizes(arrays: tuple[Array | None, ...], options: dict[str, Any]) -> bool:
    """Whether these are the arguments of batch_norm or instance_norm, possibly without options."""
    if len(arrays) != 5 or "lr" in options:  # an optimizer with four gradients
        return False
    return all(array is None or math.prod(array.shape) == max(array.shape, default=0) for array in arrays[1:])


def in_torchs_order(forward: Callable[..., Any]) -> bool:
    """Whether the signature may be in torch's order: the second parameter is not a weight or gamma."""
    places = [p for p in parameters_of(forward) or () if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(places) < 2 or names.plain(places[1].name) not in names.WEIGHT_ATTRIBUTES | {"g"}


def statistics_as_options(made: Implementation) -> Implementation:
    """Wrap an implementation: cases of batch_norm pass (x, weight, bias), and the statistics by name.

    A weight of None becomes 1, a bias of None 0, and missing statistics 0 and 1.
    """

    def op(*arrays: Array | None, **options: Any) -> Any:
        if "normalized_shape" in options or "num_groups" in options:
            return _with_weight_and_bias(made, arrays, options)
        if not normalizes(arrays, options):
            return made.op(*arrays, **options)
        x, mean, var, weight, bias = arrays
        assert x is not None
        call = CALL.get()
        first = x if call is None or call.arrays[0] is None else call.arrays[0]  # in torch's layout
        zeros, ones = _like(x, np.zeros(first.shape[1])), _like(x, np.ones(first.shape[1]))
        # Copies because a layer may update its running statistics in place, as torch does.
        statistics = {
            "running_mean": _copy(zeros if mean is None else mean),
            "running_var": _copy(ones if var is None else var),
        }
        given = x, ones if weight is None else weight, zeros if bias is None else bias
        before = {name: _copy(array) for name, array in statistics.items()}
        size = math.prod(x.shape)
        # The statistics of an empty batch are NaN in most layers and are not compared.
        with nullcontext() if size else collected():
            returned = made.op(*given, **statistics, **options)
        if _is_with_statistics(returned, first.shape[1]):
            returned, *updated = returned
            for name, array in zip(statistics, updated, strict=True) if size else ():
                keep(name, _copy(array).reshape(-1))
            statistics = before
        for name, array in statistics.items() if size else ():
            if not np.array_equal(array, before[name], equal_nan=True):  # updated in place
                keep(name, array)
        if not (isinstance(returned, tuple) and len(returned) == 2):
            return returned  # torch differentiates it, or its form is reported
        y, pullback = returned

        def back(dy: Array) -> tuple[Any, ...]:
            dx, dw, db = (*pullback(dy), None, None)[:3]
            return dx, None, None, None if weight is None else dw, None if bias is None else db

        def second(dy: Array, *directions: Any) -> tuple[Any, ...]:
            of_x, _, _, of_w, of_b = directions
            dx, dw, db, of_dy = pullback.second(dy, of_x, of_w, of_b)
            return dx, None, None, None if weight is None else dw, None if bias is None else db, of_dy

        if not callable(pullback):
            return y, pullback
        twice = callable(getattr(pullback, "second", None))
        return y, Pullback(back, takes_upstream=True, second=second if twice else None)

    return made.around(op)


def _is_with_statistics(returned: Any, channels: int) -> bool:
    """Whether it returned (y, running mean, running variance)."""
    if not (isinstance(returned, tuple) and len(returned) == 3):
        return False
    return all(is_array(part) and math.prod(part.shape) == channels for part in returned[1:])


def _like(x: Any, array: Array) -> Any:
    """An array of x's kind and precision."""
    return torch.from_numpy(array).to(x.dtype) if isinstance(x, torch.Tensor) else array.astype(x.dtype)


def _copy(array: Any) -> Any:
    return array.detach().clone() if isinstance(array, torch.Tensor) else array.copy()


def _with_weight_and_bias(made: Implementation, arrays: tuple[Array | None, ...], options: dict[str, Any]) -> Any:
    """Call a layer or group normalization that requires gamma and beta: 1 and 0 if the case has none."""
    x, weight, bias = arrays
    assert x is not None
    shape = options["normalized_shape"] if "normalized_shape" in options else x.shape[1]
    given = (
        _like(x, np.ones(shape)) if weight is None else weight,
        _like(x, np.zeros(shape)) if bias is None else bias,
    )
    returned = made.op(x, *given, **options)
    if not (isinstance(returned, tuple) and len(returned) == 2):
        return returned
    y, pullback = returned

    def back(dy: Array) -> tuple[Any, ...]:
        dx, dw, db = (*pullback(dy), None, None)[:3]
        return dx, None if weight is None else dw, None if bias is None else db

    return y, back if callable(pullback) else pullback


def with_biased_variance(made: Implementation, weights_old: bool) -> Implementation:
    """Wrap an implementation whose running variance is that of the batch, and convert it to torch's.

    With n values in a channel, the rule applied to an old variance of r·(n − 1)/n gives torch's new one times
    (n − 1)/n. Both conversions are factors, so no digits cancel.

    Args:
        made: the implementation.
        weights_old: its momentum is the weight of the old statistics, as in courses: pass 1 − momentum.
    """

    def op(*arrays: Array | None, **options: Any) -> Any:
        x, mean, var, *parameters = arrays
        if not options.get("training") or x is None or x.size <= x.shape[1]:
            return made.op(*arrays, **options)
        if weights_old and "momentum" not in options:
            raise Declined("its default momentum has another meaning than torch's")
        if weights_old:
            options["momentum"] = 1 - options["momentum"]
        count = x.size // x.shape[1]
        share = (count - 1) / count
        scaled = None if var is None else (var * share).astype(var.dtype)
        with collected() as kept:
            result = made.op(x, mean, scaled, *parameters, **options)
        for name, value in kept.items():
            keep(name, value / share if name == "running_var" else value)
        return result

    return made.around(op)


def are_called_moving(written: Any) -> bool:
    """Whether the statistics are called `moving_mean` and `moving_var`, as in Keras, whose variance is biased."""
    function = written[0] if isinstance(written, (tuple, list)) else written
    methods = [m for m in vars(function).values() if callable(m)] if isinstance(function, type) else [function]
    codes = [method.__code__ for method in methods if hasattr(method, "__code__")]
    return any(
        names.plain(name).startswith("moving") for code in codes for name in (*code.co_varnames, *code.co_names)
    )


def default_momentum(written: Any) -> float | None:
    """The implementation's default momentum; above one half, it is the weight of the old statistics."""
    function = written[0] if isinstance(written, (tuple, list)) else written
    for p in (parameters_of(function) or ()) if callable(function) else ():
        short = names.plain(p.name)
        named = names.OPTIONS.get(short) == "momentum" or "momentum" in names.SHARED.get(short, ())
        if named and isinstance(p.default, float):
            return p.default
    return None
