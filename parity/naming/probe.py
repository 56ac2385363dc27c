"""One call of the oracle: its arrays, options and cotangent, and the quantity of interest."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from parity.cases.case import ArraySpec, Case
from parity.cases.op import Array, Op
from parity.cases.state import BUFFERS, collected
from parity.lanes.reference import Expected
from parity.rows.pooling import meets_pixels

# The output, the pullback, and the running statistics after the call.
Called: TypeAlias = tuple[Array, Callable[[Array], tuple[Array | None, ...]], dict[str, Array]]


class NotApplicable(Exception):  # noqa: N818  # not an error: the explanation does not apply to this case
    """An edited call has no result: shapes do not fit, or a formula does not apply to the geometry."""


@dataclass(frozen=True)
class Probe:
    """A call of the oracle: arrays by torch's names, options, the cotangent, and one quantity of its results."""

    like: Op
    arrays: dict[str, Array | None]
    options: dict[str, Any]
    dy: Array
    quantity: str  # output, grad_input, …

    @classmethod
    def of(cls, expected: Expected, quantity: str) -> "Probe":
        """The unedited call of a case."""
        inputs = expected.inputs
        arrays = dict(zip(inputs.names, inputs.arrays, strict=True))
        return cls(expected.like, arrays, inputs.options, expected.dy, quantity)

    def array(self, name: str) -> Array:
        """The array with this name.

        Raises:
            NotApplicable: the call has no such array, or it is None.
        """
        array = self.arrays.get(name)
        if array is None:
            raise NotApplicable(f"there is no {name}")
        return array

    @property
    def first(self) -> Array:
        """The input, whatever its name."""
        return self.array(next(iter(self.arrays)))

    @property
    def is_output(self) -> bool:
        """Whether the quantity is the output, not a gradient."""
        return self.quantity == "output"

    def with_arrays(self, **arrays: Array | None) -> "Probe":
        """The same call on other arrays."""
        return replace(self, arrays=self.arrays | arrays)

    def with_options(self, **options: Any) -> "Probe":
        """The same call with other options."""
        return replace(self, options=self.options | options)

    def with_upstream(self, dy: Array) -> "Probe":
        """The same call with another cotangent."""
        other = replace(self, dy=dy)
        other.memo.update({name: value for name, value in self.memo.items() if name == "called"})
        return other

    def of_quantity(self, quantity: str) -> "Probe":
        """Another result of the same call."""
        other = replace(self, quantity=quantity)
        other.__dict__["memo"] = self.memo
        return other

    @cached_property
    def memo(self) -> dict[str, Any]:
        """Cached results of this call, shared by its quantities."""
        return {}

    @property
    def forward(self) -> tuple[Array, Callable[[Array], tuple[Array | None, ...]]]:
        """The oracle's output and pullback."""
        return self._called()[:2]

    @property
    def state(self) -> dict[str, Array]:
        """The oracle's running statistics after the call."""
        return self._called()[2]

    def _called(self) -> Called:
        if "called" not in self.memo:
            self.memo["called"] = self._call()
        called: Called = self.memo["called"]
        return called

    def _call(self) -> Called:
        if not self._is_sound():
            raise NotApplicable("a window covers no pixel: torch would read out of bounds")
        try:
            with collected() as kept:
                y, pullback = self.like(*self.arrays.values(), **self.options)
        except (RuntimeError, ValueError, IndexError, TypeError, AttributeError) as error:
            raise NotApplicable(str(error)) from None
        return y, pullback, kept

    def _gradients(self) -> dict[str, Array | None]:
        if "gradients" not in self.memo:
            y, pullback = self.forward
            if y.shape != self.dy.shape:
                raise NotApplicable("the cotangent does not fit the output")
            self.memo["gradients"] = dict(zip(self.arrays, pullback(np.array(self.dy, order="C")), strict=True))
        gradients: dict[str, Array | None] = self.memo["gradients"]
        return gradients

    def _is_sound(self) -> bool:
        """Whether torch stays within its buffers; an edited pooling may write outside of them."""
        if not {"kernel_size", "dilation", "ceil_mode"} <= self.options.keys():
            return True
        return meets_pixels(Case("", (ArraySpec("input", self.first.shape),), self.options))

    def reference(self) -> Array:
        """The oracle's result.

        Raises:
            NotApplicable: torch rejects the call, or the cotangent does not fit the output.
        """
        if self.is_output:
            return self.forward[0]
        if self.quantity in BUFFERS:
            return self.state[self.quantity]
        gradient = self._gradients().get(self.quantity.removeprefix("grad_"))
        if gradient is None:
            raise NotApplicable("there is no such gradient")
        return gradient
