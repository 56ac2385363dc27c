"""The parity suite for `make mutation`: each row in each lane, up to the first difference, without shrinking.

Not collected by `make test`, which runs the same cases with Hypothesis.
"""

import random
from contextlib import nullcontext

import pytest

from benchmarks.mutation.judge import FEW, MANY
from parity.cases.case import Lane
from parity.cases.primitives import draw_plainly
from parity.cases.torch_op import own_kernels
from parity.rows.registry import ROWS
from parity.running.compare import differences_of
from parity.running.sandbox import sandboxed

LANES = [(name, lane) for name, row in ROWS.items() for lane in row.lanes]


@pytest.mark.parametrize(("name", "lane"), LANES)
@pytest.mark.parametrize("cases", [FEW, MANY])
def test_row(name: str, lane: Lane, cases: int) -> None:
    row, generator = ROWS[name], random.Random(f"{name} {lane}")
    with sandboxed(), nullcontext() if lane == "bound" else own_kernels():
        for _ in range(cases):
            case, _ = draw_plainly(row.strategy(lane=lane), generator)
            _, differences = differences_of(row, row.op, lane, case)
            assert not differences, f"{case}: {differences[0].fact}"
