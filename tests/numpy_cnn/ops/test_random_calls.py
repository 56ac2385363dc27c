"""The ops accept the calls that torch accepts, with the same results, and reject those that torch rejects."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from numpy_cnn import ops

sys.path.insert(0, str(Path(__file__).parent))
from random_calls import DRAWS, Call, Random

REJECTIONS = (RuntimeError, ValueError, TypeError, IndexError, ZeroDivisionError)
OF_INDICES = {"max_unpool2d"}  # see test_indices.py
# Allowed error relative to the largest result. This test checks conventions; the lanes check accuracy.
CLOSE = {np.float32: 2e-4, np.float64: 1e-8}
BUFFERS = {"batch_norm": (1, 2), "instance_norm": (1, 2)}  # torch computes no gradient for these


def tensor(value: Any) -> Any:
    if isinstance(value, np.dtype):
        return getattr(torch, value.name)
    return torch.from_numpy(np.array(value, order="C")) if isinstance(value, np.ndarray) else value


def expected(name: str, call: Call) -> tuple[list[Any], list[Any], Any] | str:
    """torch's outputs, its gradients and the cotangent, or torch's error if it rejects the call."""
    arguments, options = [tensor(a) for a in call[0]], {key: tensor(value) for key, value in call[1].items()}
    for i, argument in enumerate(arguments):
        if torch.is_tensor(argument) and argument.is_floating_point() and i not in BUFFERS.get(name, ()):
            argument.requires_grad_()
    try:
        y = getattr(torch if name in ("flatten", "sigmoid", "tanh") else F, name)(*arguments, **options)
        outputs = list(y) if isinstance(y, tuple) else [y]
        dy = torch.from_numpy(np.random.default_rng(0).standard_normal(tuple(outputs[0].shape))).to(outputs[0])
        if outputs[0].requires_grad:
            outputs[0].backward(dy)
    except REJECTIONS as error:
        return f"{type(error).__name__}: {error}"
    arrays = [a for a in arguments if torch.is_tensor(a) or a is None]  # an op returns one gradient for each
    gradients = [None if a is None else a.grad for a in arrays]
    return [o.detach().numpy() for o in outputs], [None if g is None else g.numpy() for g in gradients], dy.numpy()


def assert_same(name: str, got: Any, want: Any, call: Call) -> None:
    assert (got.shape, got.dtype) == (want.shape, want.dtype), (name, call)
    with np.errstate(all="ignore"):
        largest = np.max(np.abs(np.where(np.isfinite(want), want, 0)), initial=1)
    tolerance = CLOSE.get(want.dtype.type, 0.0)
    np.testing.assert_allclose(got, want, tolerance, tolerance * largest, err_msg=f"{name} {call}")


@pytest.mark.filterwarnings("ignore::UserWarning")  # both warn when they broadcast targets
@pytest.mark.parametrize("name", DRAWS)
def test_what_torch_accepts_and_rejects(name: str) -> None:
    accepted = 0
    for seed in range(60):
        call = DRAWS[name](Random(f"{name} {seed}"))
        theirs = expected(name, call)
        if isinstance(theirs, str):
            with pytest.raises(ValueError, match=r"^\w+: "):
                raise_unless_rejected(name, call, theirs)
            continue
        accepted += 1
        outputs, gradients, dy = theirs
        y, pullback = getattr(ops, name)(*call[0], **call[1])
        for got, want in zip(y if isinstance(y, tuple) else (y,), outputs, strict=True):
            assert_same(name, np.asarray(got), want, call)
        ours = pullback(dy)
        for i, want in enumerate(gradients):
            if want is not None:
                assert_same(name, ours[i] if i < len(ours) else None, want, call)
    assert accepted > 20, "a battery that torch rejects checks nothing"


def raise_unless_rejected(name: str, call: Call, theirs: str) -> None:
    getattr(ops, name)(*call[0], **call[1])
    pytest.fail(f"{name} accepts {call}, torch rejects it: {theirs}")


def test_every_op_is_called() -> None:
    assert set(ops.__all__) == set(DRAWS) | OF_INDICES
