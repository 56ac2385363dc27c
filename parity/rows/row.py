"""A row: one op, torch's function beside it, and all that the harness knows of the op."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812  # the name the field uses
from hypothesis import strategies as st

from numpy_cnn.common.spec.errors import UserError
from parity.bounds.derived import Bound, BoundInputs
from parity.bounds.running import running
from parity.cases.case import LANES, Case, Lane
from parity.cases.inputs import blank_arrays
from parity.cases.torch_op import Array, Op, oracle

INEXACT: tuple[Lane, ...] = ("bound", "structure", "special")  # exp and log have no exact lane
NUMBERS: tuple[Lane, ...] = ("exact", "bound", "structure")  # special values prove nothing beyond the ops' rows
NEITHER: tuple[Lane, ...] = ("bound", "structure")


@dataclass(frozen=True)
class Row:
    """One line of the registry. Nothing outside parity/rows compares a row by its name: what differs is a trait.

    Args:
        name: torch's name of the function.
        op: ours, by the op law.
        like: torch's.
        strategy: of the lane: a Hypothesis strategy of cases.
        bound: the error allowed in each result; that of torch's own graph where none is derived by hand.
        lanes: those that apply.
        state_bound: the error allowed in each running statistic after a call, where the op has some.
        formulas: {quantity: the line of mathematics that defines it}, in the letters of the op's docstring.
        kind: an op; an optimizer, whose output is a trajectory and which has no pullback; or a whole network.
        selects: the op copies and selects, and computes nothing, so that the sign of a zero survives.
        bilinear: linear in the input, in the weight and in the bias: the exact result can be computed.
        elementwise: each output depends on the input at the same place alone.
        views: a result may be a view of an argument, as torch's is.
        sound: whether torch's answer to a case that it accepts is within its own definition.
        prefixes: for a network that its case describes: the networks of its first 1, 2, … layers.
    """

    name: str
    op: Op
    like: Callable[..., Any]
    strategy: Callable[..., st.SearchStrategy[Case]]
    bound: Bound = running
    lanes: tuple[Lane, ...] = LANES
    state_bound: Callable[[BoundInputs], dict[str, Array]] | None = None
    formulas: Mapping[str, str] = field(default_factory=dict)
    kind: Literal["op", "optimizer", "network"] = "op"
    selects: bool = False
    bilinear: bool = False
    elementwise: bool = False
    views: bool = False
    sound: Callable[[Case], bool] = lambda case: True  # noqa: ARG005
    prefixes: Callable[[Case], Iterator[tuple[str, Case]]] | None = None

    @property
    def torch_name(self) -> str | None:
        """Where torch has the function, dotted: torch.nn.functional.conv2d; None for a function of one's own."""
        name = getattr(self.like, "__name__", "")
        for module, prefix in ((F, "torch.nn.functional"), (torch, "torch")):
            if getattr(module, name, None) is self.like:
                return f"{prefix}.{name}"
        return f"torch.optim.{self.name}" if self.kind == "optimizer" else None

    def valid(self, case: Case) -> bool:
        """Whether torch accepts the case's shapes and options, and does not answer out of bounds.

        Holds for every case that `strategy` draws; ask before a case that was made another way is run.
        """
        arrays, options = blank_arrays(case)
        try:
            if not self.sound(case):
                return False
            oracle(self.like)(*arrays, **options)
        except (RuntimeError, ValueError, IndexError, TypeError, UserError):
            return False  # torch's ways of rejecting shapes and options, and an architecture's
        return True
