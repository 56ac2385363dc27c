"""A mistake as a computation: an edited call of the oracle, or a formula that replaces it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from parity.cases.op import Array
from parity.naming.probe import NotApplicable, Probe
from parity.naming.sentences import SENTENCES

EditInputs: TypeAlias = Callable[[Probe], Probe]
EditResult: TypeAlias = Callable[[Array, Probe], Array]
Formula: TypeAlias = Callable[[Probe], Array]


def same_inputs(probe: Probe) -> Probe:
    """Return the call unedited."""
    return probe


def same_result(result: Array, probe: Probe) -> Array:  # noqa: ARG001  # the signature of EditResult
    """Return the result unedited."""
    return result


@dataclass(frozen=True)
class Explanation:
    """One mistake, or one convention other than torch's.

    `edit_inputs` changes the call, `formula` computes its result (the oracle if it is None), and
    `edit_result` changes the result.
    """

    name: str
    sentence: str  # follows the name of a quantity: "the kernel is flipped"
    edit_inputs: EditInputs = same_inputs
    edit_result: EditResult = same_result
    formula: Formula | None = None
    quantities: str = ""  # prefix of the quantities that it can explain: "grad_" for all gradients
    convention: bool = False  # a well-known choice, not a bug

    def explains(self, quantity: str) -> bool:
        """Whether the explanation applies to this quantity."""
        return quantity.startswith(self.quantities)

    def result(self, probe: Probe) -> Array:
        """The result of an implementation with this mistake.

        Raises:
            NotApplicable: there is no result for this call.
        """
        try:
            edited = self.edit_inputs(probe)
            result = edited.reference() if self.formula is None else self.formula(edited)
            return np.asarray(self.edit_result(result, probe))
        except (RuntimeError, IndexError, ValueError, ZeroDivisionError, KeyError, TypeError) as error:
            raise NotApplicable(str(error)) from None

    def with_another(self, other: "Explanation") -> "Explanation | None":
        """Both mistakes at once, this one first; None if both have a formula."""
        if self.formula is not None and other.formula is not None:
            return None
        return Explanation(
            f"{self.name}+{other.name}",
            f"{self.sentence}, and {other.sentence}",
            lambda probe: other.edit_inputs(self.edit_inputs(probe)),
            lambda result, probe: other.edit_result(self.edit_result(result, probe), probe),
            self.formula or other.formula,
        )


def mistake(
    name: str,
    quantities: str = "",
    inputs: EditInputs = same_inputs,
    result: EditResult = same_result,
    formula: Formula | None = None,
    *,
    convention: bool = False,
    **values: Any,
) -> Explanation:
    """An explanation with the sentence of its name; `values` fill the placeholders."""
    sentence = SENTENCES[name].format(**values)
    return Explanation(name, sentence, inputs, result, formula, quantities, convention)


def scaled(factor: Callable[[Probe], float]) -> EditResult:
    """Multiply the result by a factor, in the result's precision."""
    return lambda result, probe: result * result.dtype.type(factor(probe))
