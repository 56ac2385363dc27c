"""What an implementation might compute instead: something else asked of the oracle, or made of its answer."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from parity.cases.torch_op import Array, Op
from parity.lanes.reference import Expected


class NoAnswer(Exception):  # noqa: N818  # it is no error: the explanation says nothing of this case
    """Asked so, there is no result: shapes do not fit, or the formula is of another geometry."""


@dataclass(frozen=True)
class Question:
    """What the oracle is asked: arrays by torch's names, options, and the cotangent."""

    like: Op
    arrays: dict[str, Array | None]
    options: dict[str, Any]
    dy: Array
    quantity: str  # output, grad_input, …

    @classmethod
    def of(cls, expected: Expected, quantity: str) -> "Question":
        """What the case itself asks."""
        inputs = expected.inputs
        arrays = dict(zip(inputs.names, inputs.arrays, strict=True))
        return cls(expected.like, arrays, inputs.options, expected.dy, quantity)

    def array(self, name: str) -> Array:
        """One that is not None."""
        array = self.arrays.get(name)
        if array is None:
            raise NoAnswer(f"there is no {name}")
        return array

    @property
    def first(self) -> Array:
        """The input, whatever the row calls it."""
        return self.array(next(iter(self.arrays)))

    @property
    def about_output(self) -> bool:
        """Whether the output is asked for, and no gradient."""
        return self.quantity == "output"

    def with_arrays(self, **arrays: Array | None) -> "Question":
        """Asked of other arrays."""
        return replace(self, arrays=self.arrays | arrays)

    def with_options(self, **options: Any) -> "Question":
        """Asked with other options."""
        return replace(self, options=self.options | options)

    def with_upstream(self, dy: Array) -> "Question":
        """Asked of another cotangent."""
        return replace(self, dy=dy)

    def about(self, quantity: str) -> "Question":
        """Asked for another quantity."""
        return replace(self, quantity=quantity)

    @cached_property
    def forward(self) -> tuple[Array, Callable[[Array], tuple[Array | None, ...]]]:
        """The oracle's output and its pullback."""
        try:
            y, pullback = self.like(*self.arrays.values(), **self.options)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            raise NoAnswer(str(error)) from None
        return y, pullback

    def answer(self) -> Array:
        """The oracle's result for the quantity.

        Raises:
            NoAnswer: torch takes no such question, or the cotangent does not fit the output.
        """
        y, pullback = self.forward
        if self.about_output:
            return y
        if y.shape != self.dy.shape:
            raise NoAnswer("the cotangent does not fit the output")
        gradients = dict(zip(self.arrays, pullback(np.array(self.dy, order="C")), strict=True))
        gradient = gradients[self.quantity.removeprefix("grad_")]
        if gradient is None:
            raise NoAnswer("there is no such gradient")
        return gradient


Asks: TypeAlias = Callable[[Question], Question]
Makes: TypeAlias = Callable[[Array, Question], Array]
Computes: TypeAlias = Callable[[Question], Array]


def unchanged(question: Question) -> Question:
    """The question as it is."""
    return question


def as_it_is(answer: Array, question: Question) -> Array:  # noqa: ARG001  # the form of Makes
    """The answer as it is."""
    return answer


@dataclass(frozen=True)
class Explanation:
    """One mistake, or one other convention, as a computation.

    `asks` alters what the oracle is asked; `computes` answers, or the oracle where it is None; `makes` alters the
    answer.
    """

    name: str
    sentence: str  # "the kernel is flipped", to stand behind the name of a quantity
    asks: Asks = unchanged
    makes: Makes = as_it_is
    computes: Computes | None = None
    quantities: str = ""  # the beginning of the names of those it can explain: "grad_" for all gradients
    convention: bool = False  # another well-known choice, and no bug

    def explains(self, quantity: str) -> bool:
        """Whether it can be an explanation of this quantity at all."""
        return quantity.startswith(self.quantities)

    def result(self, question: Question) -> Array:
        """What an implementation with this mistake returns.

        Raises:
            NoAnswer: it returns nothing in this case.
        """
        try:
            asked = self.asks(question)
            answer = asked.answer() if self.computes is None else self.computes(asked)
            return np.asarray(self.makes(answer, question))
        except (RuntimeError, IndexError, ValueError, ZeroDivisionError, KeyError, TypeError) as error:
            raise NoAnswer(str(error)) from None

    def with_another(self, other: "Explanation") -> "Explanation | None":
        """Both mistakes at once, this one made first; None where each computes by a formula of its own."""
        if self.computes is not None and other.computes is not None:
            return None
        return Explanation(
            f"{self.name}+{other.name}",
            f"{self.sentence}, and {other.sentence}",
            lambda question: other.asks(self.asks(question)),
            lambda answer, question: other.makes(self.makes(answer, question), question),
            self.computes or other.computes,
        )
