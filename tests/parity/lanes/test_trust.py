"""Cases are mistrusted if their results are zeros or do not depend on the inputs."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from parity.cases.case import ArraySpec, Case
from parity.cases.primitives import composite, integers
from parity.lanes.reference import expect
from parity.lanes.trust import LEAST_CASES, LEAST_SHARE, too_few, trustworthy
from parity.report import RowReport
from parity.rows.registry import ROWS
from parity.rows.row import Row
from parity.running.row import run_row
from parity.subjects import adapt


def trusted(case: Case) -> bool:
    return trustworthy(expect(ROWS[case.row], case, "exact"))


def relu(*numbers: float) -> Case:
    return Case(
        "relu", (ArraySpec("input", (len(numbers),)),), values={"input": numbers, "dy": (1.0,) * len(numbers)}
    )


def test_cases_with_mostly_zeros_are_mistrusted() -> None:
    assert trusted(relu(1, -1, 2, -2))  # half of the entries are zero, as for normal numbers
    assert not trusted(relu(-1, -1, -2, -2))  # output and gradient are all zeros
    assert not trusted(Case("relu", (ArraySpec("input", (0, 3)),)))  # no entries
    mostly = (*[-1.0] * 15, 1.0)
    assert not trusted(relu(*mostly))


def test_zeros_caused_by_the_geometry_do_not_count() -> None:
    # A stride of 4 skips 15 of 16 pixels, whose gradient is zero for any numbers.
    arrays = (ArraySpec("input", (1, 1, 8, 8)), ArraySpec("weight", (1, 1, 1, 1)), ArraySpec("bias", None))
    options = {"stride": 4, "padding": 0, "dilation": 1, "groups": 1}
    case = Case("conv2d", arrays, options, seed=1)
    assert np.count_nonzero(expect(ROWS["conv2d"], case, "exact").theirs["grad_input"]) <= 4
    assert trusted(case)


def test_constant_results_are_mistrusted() -> None:
    one_class = Case("softmax", (ArraySpec("input", (3, 1)),), {"dim": 1})
    assert not trusted(one_class)
    no_step = (ArraySpec("parameter", (2,)), ArraySpec("gradient0", None))
    options = {"lr": 1.0, "momentum": 0.0, "weight_decay": 0.0, "nesterov": False, "dampening": 0.0}
    assert not trusted(Case("SGD", no_step, options, "float64", seed=3))
    step = (ArraySpec("parameter", (2,)), ArraySpec("gradient0", (2,)))
    assert trusted(Case("SGD", step, options, "float64", seed=3))


@composite
def _many_dead(draw: Any, lane: str) -> Case:
    """ReLU of negative numbers only."""
    return relu(*[-1.0] * draw(integers(1, 300)))


def test_a_row_of_vacuous_cases_fails() -> None:
    row: Row = replace(ROWS["relu"], strategy=_many_dead)
    report = run_row(row, adapt(lambda x: (x * 0, lambda dy: (dy * 0,))), examples=60, seed=0, lanes=["exact"])
    assert not report.failures
    assert report.vacuous == ["exact"]
    assert not report.ok
    assert report.mistrusted["exact"] >= LEAST_CASES
    assert report.to_json()["ok"] is False
    from parity.report import Report

    whole = Report([report], 0, 60)
    assert not whole.ok
    assert "too few trusted cases: relu (exact)" in str(whole)


def test_a_few_cases_are_not_judged() -> None:
    assert not too_few(0, LEAST_CASES - 1)
    assert too_few(0, LEAST_CASES)
    assert not too_few(int(LEAST_SHARE * 80), 80)
    assert too_few(int(LEAST_SHARE * 80) - 1, 80)
    assert RowReport("relu", {"special": 99}).ok


def test_the_trust_check_does_not_change_torchs_random_state() -> None:
    before = torch.random.get_rng_state()
    trusted(relu(1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
