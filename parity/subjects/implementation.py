"""An implementation under guard: within its time, blamed for what it raises, its results checked for form."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

import numpy as np

from parity.cases.torch_op import Array, Op
from parity.subjects.attribute_errors import TIME_LIMIT, Blamed
from parity.subjects.errors import ImplementationError
from parity.subjects.locate_gradients import is_array

# The arrays in torch's layout while an adapter hands others on: a constructor's sizes are read from these.
CANONICAL: ContextVar[tuple[Array | None, ...] | None] = ContextVar("CANONICAL", default=None)


class Implementation:
    """An op by the op law, made of whatever its author wrote; call it as an op.

    Raises:
        ImplementationError: it raised, took too long, or returned what is no result.
        Declined: it raised NotImplementedError, or has no such option.
        Unrecognised: it cannot be told how to call it.
    """

    def __init__(
        self,
        op: Op,
        *,
        forward_place: str | None = None,
        backward_place: str | None = None,
        timeout: float | None = TIME_LIMIT,
    ) -> None:
        self.op = op
        self.written: Any = None  # what `adapt` was given
        self.forward_place, self.backward_place = forward_place, backward_place
        self.timeout = timeout
        self.notes: list[str] = []
        self.narrows: dict[str, Any] = {}  # what it has shown not to do; the runner draws no more such cases
        self.fixed: frozenset[str] = frozenset()  # options that the user has narrowed to one value
        self.takes_upstream = True  # False: a loss that returns its gradient; checked with an upstream of 1
        self.forward_only = False
        self.lenient = False  # gradients of targets and of absent biases are not asked of it
        self.inner: Implementation | None = None

    def __call__(
        self, *arrays: Array | None, **options: Any
    ) -> tuple[Array, Callable[[Array], tuple[Array | None, ...]] | None]:
        """y, and the pullback, as arrays of NumPy."""
        token = CANONICAL.set(arrays) if CANONICAL.get() is None else None
        try:
            with Blamed("forward", self.timeout):
                returned = self.op(*arrays, **options)
        finally:
            if token is not None:
                CANONICAL.reset(token)
        y, pullback = self._result(returned, arrays)
        if pullback is None or self.forward_only:
            return y, None

        def guarded_pullback(dy: Array) -> tuple[Array | None, ...]:
            try:
                with Blamed("pullback", self.timeout):
                    gradients = pullback(dy)
                return self._gradients(gradients, arrays)
            except ImplementationError as error:
                error.in_pullback = True
                raise

        return y, guarded_pullback

    def place(self, quantity: str) -> str | None:
        """file:line of the function that computes the output, or the gradients."""
        return self.forward_place if quantity == "output" else self.backward_place or self.forward_place

    def note(self, sentence: str) -> None:
        """Tell the report something, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def take_over(self, inner: "Implementation") -> "Implementation":
        """Share what is found out about another implementation that this one calls."""
        self.inner = inner
        self.forward_place, self.backward_place = inner.forward_place, inner.backward_place
        self.notes, self.narrows = inner.notes, inner.narrows
        self.takes_upstream, self.forward_only = inner.takes_upstream, inner.forward_only
        self.lenient = inner.lenient
        inner.timeout = None  # one clock is enough
        return self

    def fix(self, options: Mapping[str, Any]) -> None:
        """Options that have one value in all cases."""
        self.fixed = frozenset(options)
        if self.inner is not None:
            self.inner.fix(options)

    def _where(self, quantity: str) -> str:
        place = self.place(quantity)
        return f" ({place})" if place else ""

    def _result(self, returned: Any, arrays: tuple[Array | None, ...]) -> tuple[Array, Any]:
        where = self._where("output")
        if self.forward_only and not isinstance(returned, tuple):
            returned = (returned, None)
        if not isinstance(returned, tuple) or len(returned) != 2:
            hint = (
                "; a layer without a backward is checked as parity.subjects.forward_only(f)"
                if is_array(returned)
                else ""
            )
            raise ImplementationError(f"returned {_kind(returned)}, expected (y, pullback){where}{hint}", "form")
        y, pullback = returned
        if not (pullback is None or callable(pullback)):
            pullback = self._loss_gradient(y, pullback, arrays, where)
        x = arrays[0]
        if isinstance(y, (int, float)) and not isinstance(y, bool) and x is not None:
            y = np.asarray(y, dtype=x.dtype)  # a number of Python's has no precision of its own
        if not is_array(y):
            raise ImplementationError(f"returned {_kind(y)} as the output, expected a NumPy array{where}", "form")
        return np.asarray(y), pullback

    def _loss_gradient(self, y: Any, gradient: Any, arrays: tuple[Array | None, ...], where: str) -> Any:
        """(loss, dx), as losses of courses return: a pullback that knows no upstream."""
        parts = gradient if isinstance(gradient, (tuple, list)) else (gradient,)
        x = arrays[0]
        if np.ndim(y) == 0 and parts and x is not None and is_array(parts[0]) and np.shape(parts[0]) == x.shape:
            self.takes_upstream, self.lenient = False, True
            self.note("it returns (loss, gradient) and takes no upstream gradient: checked with an upstream of 1")
            return lambda dy: tuple(np.array(part) for part in parts)  # noqa: ARG005
        raise ImplementationError(f"returned (y, {_kind(gradient)}), expected (y, pullback){where}", "form")

    def _gradients(self, gradients: Any, arrays: tuple[Array | None, ...]) -> tuple[Array | None, ...]:
        where = self._where("gradient")
        if not isinstance(gradients, (tuple, list)):
            gradients = (gradients,)
        lacking = arrays[len(gradients) :]
        if self.lenient or all(array is None for array in lacking):
            gradients = (*gradients, *[None] * len(lacking))
        if len(gradients) != len(arrays):
            what = f"{_many(len(gradients), 'gradient')} for {_many(len(arrays), 'array')}"
            raise ImplementationError(f"the pullback returned {what}{where}", "form")
        for gradient in gradients:
            if not (gradient is None or is_array(gradient)):
                raise ImplementationError(
                    f"the pullback returned {_kind(gradient)} as a gradient, expected a NumPy array{where}", "form"
                )
        if self.lenient:
            gradients = [None if array is None else g for g, array in zip(gradients, arrays, strict=True)]
        return tuple(None if g is None else _seen(g) for g in gradients)


def _seen(value: Any) -> Any:
    return value if isinstance(value, (np.ndarray, np.generic)) else np.asarray(value)


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _kind(value: Any) -> str:
    return f"a tuple of {len(value)}" if isinstance(value, tuple) else f"a {type(value).__name__}"
