"""An implementation as an op, with a time limit, attributed exceptions, and checks of its results' form."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from parity.cases.limits import TIME_LIMIT
from parity.cases.op import Array, Op
from parity.subjects.attribute_errors import Attributed
from parity.subjects.capabilities import Capabilities
from parity.subjects.errors import ImplementationError
from parity.subjects.locate_gradients import as_numpy, is_array, is_numbers


class Call(NamedTuple):
    """The call in progress, for adapters."""

    arrays: tuple[Array | None, ...]  # in torch's layout; they determine a constructor's sizes
    fixed: frozenset[str]  # options with one value in all cases, which the implementation may lack
    pairs: bool = False  # pass (a, a) as a pair instead of one number
    clears: bool = True  # clear gradients before each forward if there is a method for it


CALL: ContextVar[Call | None] = ContextVar("CALL", default=None)


class Pullback:
    """A pullback, whether it uses the upstream gradient, whether it is torch's autograd, and its own pullback.

    `second(dy, *directions)` returns the gradients of Σ⟨direction, gradient⟩ with respect to each array and to dy.
    """

    __slots__ = ("by_torch", "function", "second", "takes_upstream")

    def __init__(
        self,
        function: Callable[[Array], tuple[Array | None, ...]],
        takes_upstream: bool,
        by_torch: bool = False,
        second: Callable[..., tuple[Array | None, ...]] | None = None,
    ) -> None:
        self.function, self.takes_upstream, self.by_torch = function, takes_upstream, by_torch
        self.second = second

    def __call__(self, dy: Array) -> tuple[Array | None, ...]:
        return self.function(dy)


@dataclass(frozen=True)
class Implementation:
    """An implementation in any supported form, as an op.

    Attributes:
        op: the function to call.
        written: the argument of `adapt`.
        forward_place: file:line of the forward; backward_place is that of the backward.
        timeout: seconds per call.
        notes: remarks for the report on how it is called.
        fixed: options that `supports` restricts to one value.
        pairs: options are passed as pairs, never as one number.
        takes_upstream: False for a loss that returns its gradient; checked with an upstream of 1.
        optional_upstream: its backward has a default for the upstream gradient, and may not use it.
        forward_only: no gradient is compared.
        updates: its backward updates its parameters.
        lacks: the quantities that it does not compute.
        backward_in_training: in evaluation no gradient is compared.
        lenient: it need not return a gradient of a target or of an absent bias.
        conversion: the kind of arrays that it receives, if not NumPy's.
        clear: the name of its method that clears gradients, if it has one.
        clears: whether that method is called before each forward.
        capabilities: its capabilities, if they have been determined.

    Raises:
        ImplementationError: it raised, took too long, or returned an invalid result.
        Declined: it raised NotImplementedError, or lacks an option.
        Unrecognised: parity cannot determine how to call it.
    """

    op: Op
    written: Any = None
    forward_place: str | None = None
    backward_place: str | None = None
    timeout: float | None = TIME_LIMIT
    notes: tuple[str, ...] = ()
    fixed: frozenset[str] = frozenset()
    pairs: bool = False
    takes_upstream: bool = True
    optional_upstream: bool = False
    forward_only: bool = False
    updates: bool = False
    lacks: frozenset[str] = frozenset()
    backward_in_training: bool = False
    lenient: bool = False
    conversion: str = ""
    clear: str | None = None
    clears: bool = True
    capabilities: Capabilities = field(default_factory=Capabilities)

    def __call__(self, *arrays: Array | None, **options: Any) -> tuple[Array, Pullback | None]:
        """Return y and the pullback, converted to NumPy arrays."""
        token = CALL.set(Call(arrays, self.fixed, self.pairs, self.clears)) if CALL.get() is None else None
        try:
            with Attributed("forward", self.timeout):
                returned = self.op(*arrays, **options)
        finally:
            if token is not None:
                CALL.reset(token)
        y, pullback, takes_upstream = self._result(returned, arrays)
        in_evaluation = self.backward_in_training and options.get("training") is False
        if pullback is None or self.forward_only or in_evaluation:
            return y, None

        def guarded_pullback(dy: Array) -> tuple[Array | None, ...]:
            try:
                with Attributed("pullback", self.timeout):
                    gradients = pullback(dy)
                return self._gradients(gradients, arrays, self.lenient or not takes_upstream)
            except ImplementationError as error:
                error.in_pullback = True
                raise

        def guarded_second(dy: Array, *directions: Array | None) -> tuple[Array | None, ...]:
            try:
                with Attributed("pullback", self.timeout):
                    found = pullback.second(dy, *directions)
                return self._gradients(found, (*arrays, dy), lenient=False)
            except ImplementationError as error:
                error.in_pullback = True
                raise

        second = guarded_second if callable(getattr(pullback, "second", None)) else None
        return y, Pullback(guarded_pullback, takes_upstream, getattr(pullback, "by_torch", False), second)

    def place(self, quantity: str) -> str | None:
        """file:line of the function that computes the output or the gradients."""
        return self.forward_place if quantity == "output" else self.backward_place or self.forward_place

    def with_note(self, sentence: str) -> "Implementation":
        """A copy with another note for the report."""
        return self if sentence in self.notes else replace(self, notes=(*self.notes, sentence))

    def around(self, op: Op, note: str | None = None) -> "Implementation":
        """A copy with an op that calls this one; only the outer one has a time limit."""
        made = replace(self, op=op)
        return made if note is None else made.with_note(note)

    def _where(self, quantity: str) -> str:
        place = self.place(quantity)
        return f" ({place})" if place else ""

    def _result(self, returned: Any, arrays: tuple[Array | None, ...]) -> tuple[Array, Any, bool]:
        where = self._where("output")
        takes_upstream = self.takes_upstream
        if self.forward_only and not isinstance(returned, tuple):
            returned = (returned, None)
        if not isinstance(returned, tuple) or len(returned) != 2:
            hint = (
                "; check a layer without a backward as parity.subjects.forward_only(f)"
                if is_array(returned)
                else ""
            )
            aspect = "alone" if is_array(returned) else "form"
            raise ImplementationError(f"returned {_kind(returned)}, expected (y, pullback){where}{hint}", aspect)
        y, pullback = returned
        if (is_numbers(y) or (isinstance(y, list) and not y)) and arrays[0] is not None:
            y = np.asarray(y, dtype=arrays[0].dtype)
        if isinstance(pullback, Pullback):
            takes_upstream = takes_upstream and pullback.takes_upstream
        elif not (pullback is None or callable(pullback)):
            pullback, takes_upstream = self._loss_gradient(y, pullback, arrays, where), False
        x = arrays[0]
        if isinstance(y, (int, float)) and not isinstance(y, bool) and x is not None:
            y = np.asarray(y, dtype=x.dtype)  # a Python number has no dtype
        if not is_array(y):
            raise ImplementationError(f"returned {_kind(y)} as the output, expected a NumPy array{where}", "form")
        return np.asarray(self._converted(y, "output")), pullback, takes_upstream

    def _converted(self, value: Any, quantity: str) -> Any:
        try:
            return as_numpy(value)
        except (AttributeError, BufferError, RuntimeError, TypeError, ValueError) as error:
            raise ImplementationError(
                f"returned {_kind(value)} that does not convert to a NumPy array: {error}{self._where(quantity)}",
                "form",
            ) from error

    def _loss_gradient(self, y: Any, gradient: Any, arrays: tuple[Array | None, ...], where: str) -> Any:
        """Convert (loss, dx), which losses of courses return, to (loss, pullback)."""
        parts = gradient if isinstance(gradient, (tuple, list)) else (gradient,)
        x = arrays[0]
        is_loss = len(arrays) > 1 and np.ndim(y) == 0 and parts and x is not None
        if is_loss and x is not None and is_array(parts[0]) and np.shape(parts[0]) == x.shape:
            return lambda dy: tuple(np.array(part) for part in parts)  # noqa: ARG005  # there is no upstream
        raise ImplementationError(f"returned (y, {_kind(gradient)}), expected (y, pullback){where}", "form")

    def _gradients(
        self, gradients: Any, arrays: tuple[Array | None, ...], lenient: bool
    ) -> tuple[Array | None, ...]:
        where = self._where("gradient")
        if not isinstance(gradients, (tuple, list)):
            gradients = (gradients,)
        lacking = arrays[len(gradients) :]
        if lenient or all(array is None for array in lacking):
            gradients = (*gradients, *[None] * len(lacking))
        if len(gradients) != len(arrays):
            what = f"{_many(len(gradients), 'gradient')} for {_many(len(arrays), 'array')}"
            raise ImplementationError(f"the pullback returned {what}{where}", "form")
        if arrays and arrays[0] is not None:
            dtype = arrays[0].dtype
            gradients = [np.asarray(g, dtype=dtype) if is_numbers(g) else g for g in gradients]
        for gradient in gradients:
            if not (gradient is None or is_array(gradient)):
                raise ImplementationError(
                    f"the pullback returned {_kind(gradient)} as a gradient, expected a NumPy array{where}", "form"
                )
        if lenient:
            gradients = [None if array is None else g for g, array in zip(gradients, arrays, strict=True)]
        return tuple(None if g is None else self._converted(g, "gradient") for g in gradients)


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _kind(value: Any) -> str:
    return f"a tuple of {len(value)}" if isinstance(value, tuple) else f"a {type(value).__name__}"
