"""A row: one op, torch's function, and everything that the harness knows about the op."""

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
from parity.cases.op import Array, Op
from parity.cases.torch_op import oracle

INEXACT: tuple[Lane, ...] = ("bound", "structure", "special")  # exp and log have no exact lane
NUMBERS: tuple[Lane, ...] = ("exact", "bound", "structure")  # special values add nothing to the ops' own rows
NEITHER: tuple[Lane, ...] = ("bound", "structure")


@dataclass(frozen=True)
class Row:
    """One entry of the registry. Code outside parity/rows never tests a row's name: differences are traits.

    Args:
        name: torch's name of the function.
        op: ours, by the op law.
        like: torch's.
        strategy: strategy(lane=…): a Hypothesis strategy of cases.
        bound: the error allowed in each result; by default from running error analysis of torch's graph.
        lanes: the lanes that apply.
        state_bound: the error allowed in each running statistic after a call, if the op has any.
        fast: the error allowed in the results of a fast algorithm, if there is one; see `parity.bounds.fast`.
        formulas: {quantity: its formula}, in the notation of the op's docstring.
        kind: an op, an optimizer (its output is a trajectory, without a pullback), or a whole network.
        selects: the op only copies and selects, so the sign of a zero survives.
        bilinear: linear in input, weight and bias, so the exact result can be computed.
        elementwise: each output depends only on the input at the same index.
        views: a result may be a view of an argument, as in torch.
        sound: whether torch's result for an accepted case is well defined.
        prefixes: for a generated network: the networks of its first 1, 2, … layers.
        backward_of: for the backward pass of an op as an op: the row of that op.
    """

    name: str
    op: Op
    like: Callable[..., Any]
    strategy: Callable[..., st.SearchStrategy[Case]]
    bound: Bound = running
    lanes: tuple[Lane, ...] = LANES
    state_bound: Callable[[BoundInputs], dict[str, Array]] | None = None
    fast: Callable[[BoundInputs], dict[str, Array]] | None = None
    formulas: Mapping[str, str] = field(default_factory=dict)
    kind: Literal["op", "optimizer", "network"] = "op"
    selects: bool = False
    bilinear: bool = False
    elementwise: bool = False
    views: bool = False
    sound: Callable[[Case], bool] = lambda case: True  # noqa: ARG005
    prefixes: Callable[[Case], Iterator[tuple[str, Case]]] | None = None
    backward_of: "Row | None" = None

    @property
    def torch_name(self) -> str | None:
        """The dotted name of torch's function, such as torch.nn.functional.conv2d; None for any other function."""
        name = getattr(self.like, "__name__", "")
        for module, prefix in ((F, "torch.nn.functional"), (torch, "torch")):
            if getattr(module, name, None) is self.like:
                return f"{prefix}.{name}"
        return f"torch.optim.{self.name}" if self.kind == "optimizer" else None

    def valid(self, case: Case) -> bool:
        """Whether torch accepts the case's shapes and options, and its result is well defined.

        True for every case that `strategy` draws; check it before running any other case.
        """
        arrays, options = blank_arrays(case)
        try:
            if not self.sound(case):
                return False
            oracle(self.like)(*arrays, **options)
        except (RuntimeError, ValueError, IndexError, TypeError, UserError):
            return False  # raised by torch, or by Architecture, for invalid shapes and options
        return True
