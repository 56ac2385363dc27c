"""The parity suite itself: every row in every lane agrees with torch."""

import inspect
import random

import numpy as np
import pytest
import torch

import parity
from numpy_cnn import ops
from parity.cases.inputs import inputs_of
from parity.cases.primitives import draw_plainly
from parity.lanes.trust import WEIGHED
from parity.rows.registry import ROWS

EXAMPLES = 20  # few, to test that every lane works, and one of a rare kind; `make parity` runs 200


@pytest.mark.parametrize("name", ROWS)
def test_row_agrees_with_torch(name: str) -> None:
    report = parity.check(name, examples=EXAMPLES, seed=1)
    assert report.ok, f"\n{report}"
    row = report.rows[0]
    assert set(row.lanes) == set(ROWS[name].lanes)
    assert min(row.lanes.values()) >= EXAMPLES
    assert max(row.quantities.values()) <= 1
    for lane in row.lanes.keys() & {*WEIGHED}:
        assert row.trusted[lane] >= row.lanes[lane] / 4, f"most cases of the {lane} lane are weak evidence"


def test_every_public_op_has_a_row() -> None:
    assert set(ops.__all__) <= set(ROWS), "add a row to the family's file in parity/rows for each new op"
    for name in ops.__all__:
        assert inspect.unwrap(ROWS[name].op) is getattr(ops, name)


@pytest.mark.parametrize(
    "name", [name for name, row in ROWS.items() if inspect.unwrap(row.op) is getattr(ops, name, None)]
)
def test_arguments_have_torchs_names(name: str) -> None:
    row = ROWS[name]
    case, _ = draw_plainly(row.strategy(lane="bound"), random.Random(0))
    inputs = inputs_of(case, "bound", integer=False)
    names = [*inspect.signature(row.op).parameters][: len(inputs.arrays)]
    keywords = dict(zip(names, inputs.arrays, strict=True)) | inputs.options
    tensors = {n: torch.from_numpy(a) if isinstance(a, np.ndarray) else a for n, a in keywords.items()}
    np.testing.assert_array_equal(row.op(**keywords)[0].shape, row.like(**tensors).shape)


def test_every_optimizer_has_a_row() -> None:
    from numpy_cnn import optim

    optimizers = {name for name, value in vars(optim).items() if hasattr(value, "step")} - {"Optimizer"}
    assert optimizers == {name for name, row in ROWS.items() if row.kind == "optimizer"}


def test_an_implementation_is_tested_in_one_line() -> None:
    from numpy_cnn import ops

    parity.case("relu", ops.relu, examples=20)()
    wrong = parity.case("relu", lambda x: (x, lambda dy: (dy,)), examples=20)
    with pytest.raises(AssertionError, match=r"replay 'exact:\{"):
        wrong()
