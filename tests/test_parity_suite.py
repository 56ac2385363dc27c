"""The parity suite itself: every row in every lane agrees with torch."""

import pytest

import parity
from parity.registry import ROWS

EXAMPLES = 200


@pytest.mark.parametrize("name", ROWS)
def test_row_agrees_with_torch(name: str) -> None:
    report = parity.check(name, examples=EXAMPLES, seed=1)
    assert report.ok, f"\n{report}"
    row = report.rows[0]
    assert set(row.lanes) == set(ROWS[name].lanes)
    assert min(row.lanes.values()) >= EXAMPLES
    assert max(row.quantities.values()) <= 1


def test_every_public_op_has_a_row() -> None:
    from numpy_cnn import ops

    assert set(ops.__all__) <= set(ROWS), "add a row to parity/registry.py for each new op"
    for name in ops.__all__:
        assert ROWS[name].op is getattr(ops, name)


def test_every_optimizer_has_a_row() -> None:
    from numpy_cnn import optim

    optimizers = {
        name for name, value in vars(optim).items() if hasattr(value, "step") and isinstance(value, type)
    }
    assert optimizers == {"SGD", "Adam", "AdamW"} & set(ROWS)


def test_one_line_test_of_an_implementation() -> None:
    from numpy_cnn import ops

    parity.case("relu", ops.relu, examples=20)()
    wrong = parity.case("relu", lambda x: (x, lambda dy: (dy,)), examples=20)
    with pytest.raises(AssertionError, match=r"replay 'exact:\{"):
        wrong()
