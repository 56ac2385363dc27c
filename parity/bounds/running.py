"""Running error analysis: a bound for any torch computation, propagated through each of its operations.

A `WithError` is a tensor in double precision with an elementwise bound on the difference from the same computation
in another precision. Torch dispatches every operation to it, including those of autograd's backward pass. Most
operations have a rule in parity/bounds/computing.py or selecting.py; torch decomposes the others into these.

A correct formula other than torch's may round numbers as large as the largest result, or as 1 (exp(x) + 1):
FREEDOM roundings of that size are allowed in every element.

Source: N. Higham, Accuracy and Stability of Numerical Algorithms (2nd ed., 2002), section 3.3.
"""

from typing import Any

import numpy as np
import torch

from parity.bounds import computing, selecting  # noqa: F401  # they register the rules
from parity.bounds.derived import BoundInputs, ErrorBounds
from parity.bounds.empirical import measured
from parity.bounds.with_error import NoRule, WithError
from parity.cases.op import Array
from parity.cases.torch_op import buffers

FREEDOM = 16


def running(s: BoundInputs) -> ErrorBounds:
    """The bound from torch's graph of the op; a measured one if an operation has no rule."""
    try:
        return analysed(s)
    except NoRule:
        return measured(s)


def analysed(s: BoundInputs, freedom: float = FREEDOM) -> ErrorBounds:
    """The bound from torch's graph of the op.

    Args:
        s: the inputs.
        freedom: roundings of the largest result that another formula may have; 0 for torch's own.

    Raises:
        NoRule: torch performs an operation without a rule.
    """

    def given(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        tensor = torch.from_numpy(np.array(value, order="C"))
        return WithError(tensor, torch.zeros_like(tensor), s.u, s.tiny) if tensor.is_floating_point() else tensor

    tensors = [given(array) for array in s.arrays]
    skipped = buffers(s.like)
    leaves = {
        place: tensor.requires_grad_()
        for place, tensor in enumerate(tensors)
        if isinstance(tensor, WithError) and place not in skipped
    }
    y = s.like(*tensors, **{name: given(value) for name, value in s.options.items()})
    errors: dict[int, Array] = {}
    if y.requires_grad and leaves:
        gradients = torch.autograd.grad(y, [*leaves.values()], given(s.dy), materialize_grads=True)
        upstream = float(np.abs(s.dy).max(initial=0.0))
        errors = {place: _allowed(g, s.u * freedom, upstream) for place, g in zip(leaves, gradients, strict=True)}
    return _allowed(y, s.u * freedom, 1.0), tuple(errors.get(place) for place in range(len(tensors)))


def _allowed(found: Any, roundings: float, size: float) -> Array:
    """The propagated error, and the freedom of other formulas."""
    value, error = (found.value, found.error) if isinstance(found, WithError) else (found, torch.zeros_like(found))
    is_finite = torch.isfinite(value)
    if not torch.isfinite(error[is_finite]).all():
        raise NoRule("the error is unbounded: rounding may make the divisor of a gradient 0")
    error, finite = torch.where(is_finite, error, 0.0), value[is_finite]
    largest = max(size, float(finite.abs().max())) if finite.numel() else size
    return np.asarray((error + roundings * largest).numpy())
