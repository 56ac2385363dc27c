"""The backward pass of an implementation as an op: `gradients, pullback = op(*arrays, upstream, **options)`."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from parity.cases.op import Array
from parity.cases.state import BUFFERS
from parity.subjects.errors import Declined, ImplementationError, Unrecognised
from parity.subjects.implementation import Implementation

NONE_OFFERED = (
    "it offers no second derivatives: second=True takes what torch differentiates (a function of tensors, a "
    "torch.nn.Module, a torch.autograd.Function), or a pullback with a method second(dy, *directions) that "
    "returns the gradients of the sum of direction·gradient with respect to each array and to dy"
)


def of_backward(made: Implementation, names: Sequence[str]) -> Callable[..., Any]:
    """The op whose output holds the gradients, flattened, one after the other.

    Args:
        made: the implementation.
        names: of its arrays; running statistics have no gradient.

    Raises:
        Unrecognised: when called: the pullback has no pullback.
        Declined: when called: a gradient that torch has is missing.
    """

    def differentiable(array: Array | None, name: str) -> bool:
        return array is not None and array.dtype.kind == "f" and name not in BUFFERS

    def op(*given: Array | None, **options: Any) -> tuple[Array, Callable[[Array], tuple[Array | None, ...]]]:
        *arrays, upstream = given
        assert upstream is not None
        _, pullback = made(*arrays, **options)
        if pullback is None or pullback.second is None:
            raise Unrecognised(NONE_OFFERED)
        second = pullback.second
        try:
            gradients = pullback(upstream)
        except ImplementationError as error:
            error.in_pullback = False  # it is the forward of this op
            raise
        has = [differentiable(array, name) for array, name in zip(arrays, names, strict=False)]
        missing = [name for name, wanted, g in zip(names, has, gradients, strict=False) if wanted and g is None]
        if missing:
            raise Declined(f"it returns no gradient of {missing[0]}")
        found = [np.asarray(g) for g, wanted in zip(gradients, has, strict=True) if wanted]
        ends = np.cumsum([g.size for g in found])[:-1]

        def of_direction(v: Array) -> tuple[Array | None, ...]:
            parts = iter(part.reshape(g.shape) for part, g in zip(np.split(v, ends), found, strict=True))
            return second(upstream.copy(), *(next(parts) if wanted else None for wanted in has))

        return np.concatenate([g.ravel() for g in found]), of_direction

    return op
