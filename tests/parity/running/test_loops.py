"""Implementations with Python loops over single numbers are checked on small arrays, to take seconds."""

import sys

import numpy as np
import pytest

import parity
from numpy_cnn import ops
from parity.cases.case import ArraySpec, Case
from parity.cases.restrict import fits, narrowed
from parity.rows.registry import ROWS
from parity.running.probe import probe
from parity.subjects import adapt


def looped_relu(x):  # type: ignore[no-untyped-def]
    y = np.empty_like(x)
    for at in np.ndindex(x.shape):
        y[at] = max(x[at], 0)
    return y, lambda dy: dy * (x > 0)


@pytest.mark.parametrize(("layer", "is_slow"), [(looped_relu, True), (ops.relu, False)])
def test_only_loops_over_numbers_limit_the_sizes(layer, is_slow):  # type: ignore[no-untyped-def]
    trace = sys.gettrace()
    assert ("numbers" in probe(ROWS["relu"], adapt(layer), None).capabilities.narrows) == is_slow
    assert sys.gettrace() is trace


def test_the_limit_is_reported_and_can_be_replaced() -> None:
    (limited,) = parity.check("relu", looped_relu, examples=3).rows
    assert any("time or memory" in note and "--supports numbers=" in note for note in limited.notes)
    (chosen,) = parity.check("relu", looped_relu, examples=3, supports={"numbers": 40}).rows
    assert not any("time or memory" in note for note in chosen.notes)


def test_numbers_limits_every_case() -> None:
    sizes = []

    def linear(x, w, b=None):  # type: ignore[no-untyped-def]
        sizes.append(x.size + w.size + (0 if b is None else b.size))
        return ops.linear(x, w, b)

    parity.check("linear", linear, examples=20, lanes=["exact"], supports={"numbers": 30})
    assert max(sizes[-15:]) <= 30


def test_the_few_long_cases_are_longer_than_the_others() -> None:
    def narrow(x):  # type: ignore[no-untyped-def]
        y = np.zeros_like(x)
        for *before, i in np.ndindex(x.shape):
            y[*before, np.uint8(i & 255)] = max(x[*before, i], 0)
        return y, lambda dy: dy * (x > 0)

    report = parity.check("relu", narrow, examples=200)
    assert [failure.quantity for failure in report.failures] == ["output"]
    assert max(report.failures[0].case.arrays[0].shape) > 256


def test_windows_in_the_padding_do_not_make_a_case_long() -> None:
    case = Case(
        "conv2d",
        (ArraySpec("input", (10, 1, 1, 9)), ArraySpec("weight", (3, 1, 1, 1)), ArraySpec("bias", (3,))),
        {"stride": 1, "padding": 3, "dilation": 1, "groups": 1},
    )
    assert not fits(case, {"numbers": 100})  # 3150 entries of the output
    smaller = narrowed(case, {"numbers": 100})
    assert fits(smaller, {"numbers": 100})
    assert smaller.options["padding"] == 1


def test_lanes_of_many_calls_run_fewer_cases() -> None:
    (report,) = parity.check("relu", looped_relu, examples=10).rows
    assert report.lanes == {"exact": 10, "bound": 10, "structure": 5, "special": 5}
