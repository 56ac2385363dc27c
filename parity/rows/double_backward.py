"""The backward pass of a row as an op: its gradients are Hessian-vector products.

For y = f(a₁, …, aₙ) and an upstream gradient, let g be all gradients of ⟨upstream, y⟩, one after the other. g is a
function of a₁, …, aₙ and of the upstream gradient. Its gradients for a random direction v are H·v, where H has the
second derivatives of ⟨upstream, y⟩, and the Jacobian of f times v. Torch's double backward is the oracle.
"""

import inspect
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from hypothesis import strategies as st

from parity.cases.case import UPSTREAM, ArraySpec, Case, Lane
from parity.cases.inputs import blank_arrays
from parity.cases.primitives import completed, narrowed
from parity.cases.torch_op import oracle
from parity.rows.row import Row

SUFFIX = "_double_backward"
COMPARED: tuple[Lane, ...] = ("exact", "bound")  # the lanes that compare numbers


def double_backward(row: Row) -> Row:
    """Return the row of the backward pass of an op.

    Its output holds the gradients of all floating arrays, flattened, one after the other.
    """

    def like(*tensors: Any, **options: Any) -> torch.Tensor:
        *arrays, upstream = tensors
        y = row.like(*arrays, **options)
        if upstream is None or y.shape != upstream.shape:
            raise ValueError(f"the output has the shape {tuple(y.shape)}")
        wanted = [tensor for tensor in arrays if isinstance(tensor, torch.Tensor) and tensor.requires_grad]
        gradients = torch.autograd.grad(y, wanted, upstream, create_graph=True, materialize_grads=True)
        return torch.cat([gradient.reshape(-1) for gradient in gradients])

    with suppress(TypeError, ValueError):  # a function written in C has no signature, and no running statistics
        like.__signature__ = inspect.signature(row.like)  # type: ignore[attr-defined]  # read by inspect.signature

    def upstream_added(case: Case) -> Case:
        arrays, options = blank_arrays(case)
        try:
            y, _ = oracle(row.like)(*arrays, **options)
            shape: tuple[int, ...] | None = y.shape
        except (RuntimeError, ValueError, IndexError, NotImplementedError):  # the lane handles it
            shape = None
        return replace(case, row=f"{row.name}{SUFFIX}", arrays=(*case.arrays, ArraySpec(UPSTREAM, shape)))

    def differentiable(case: Case) -> bool:
        """Torch's own double backward fails on some cases, such as layer_norm with a bias but without a weight."""
        arrays, options = blank_arrays(upstream_added(case))
        if arrays[-1] is None:  # torch rejects it, and the lane handles it
            return True
        y, pullback = oracle(like)(*arrays, **options)
        try:
            pullback(y)
        except RuntimeError:
            return False
        return True

    @cache
    def strategy(lane: Lane) -> st.SearchStrategy[Case]:
        return completed(narrowed(row.strategy(lane=lane), differentiable), upstream_added)

    return Row(
        f"{row.name}{SUFFIX}",
        row.op,
        like,
        strategy,
        lanes=tuple(lane for lane in row.lanes if lane in COMPARED),
        sound=lambda case: row.sound(first_order(case)),
        backward_of=row,
    )


def first_order(case: Case) -> Case:
    """The case of the op itself."""
    arrays = tuple(spec for spec in case.arrays if spec.name != UPSTREAM)
    return replace(case, row=case.row.removesuffix(SUFFIX), arrays=arrays)
