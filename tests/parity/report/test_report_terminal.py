"""The printed report: one item per line, without repetitions."""

from typing import Any

import numpy as np

import parity
from numpy_cnn import ops
from parity.cases.case import Dtype, Lane
from parity.cases.op import Array, Op
from parity.report.terminal import map_lines, render_failure


def doubled(x: Array, dim: int) -> Any:
    y, pullback = ops.softmax(x, dim)
    return y, lambda dy: (2 * pullback(dy)[0],)


def raising(x: Array, dim: int) -> Any:
    y, pullback = ops.softmax(x, dim)

    def back(dy: Array) -> tuple[Array, ...]:
        if y.size > 4:
            raise ValueError("too large")
        return pullback(dy)

    return y, back


def off_by_one_on_large_images(x: Array, weight: Array, *rest: Any, **options: Any) -> Any:
    y, pullback = ops.conv2d(x, weight, *rest, **options)
    return y, lambda dy: (pullback(dy)[0] + (x.size > 20), *pullback(dy)[1:])


def lines_of(op: Op, row: str, lane: Lane, dtype: Dtype = "float32") -> list[str]:
    report = parity.check(row, op, examples=60, lanes=[lane], dtype=dtype)
    return render_failure(report.failures[0]).splitlines()


def test_the_explanation_the_formula_and_the_numbers_are_on_separate_lines() -> None:
    _, explanation, formula, numbers, place, *_ = lines_of(doubled, "softmax", "bound")
    assert explanation.startswith("  it is twice too large (which reproduces all ")
    assert formula == "  this contradicts dx_i = y_i·(dy_i − Σ_j dy_j·y_j)"
    assert " wrong; worst at [" in numbers
    assert "bound" not in numbers  # the errors are on the line about who is wrong
    assert place.startswith("  at test_report_terminal.py:")


def test_in_double_precision_extended_precision_decides_who_is_wrong() -> None:
    lines = "\n".join(lines_of(doubled, "softmax", "bound", "float64"))
    assert "who is wrong: yours; the correct value is -0.25, computed in extended precision" in lines


def test_variations_are_printed_unless_every_case_fails() -> None:
    """Of a result that is always twice too large, no change to the case is of interest."""
    assert not [line for line in lines_of(doubled, "softmax", "bound") if "on this case" in line]
    assert [line for line in lines_of(off_by_one_on_large_images, "conv2d", "exact") if "on this case" in line]


def test_the_line_that_raised_is_printed_once() -> None:
    _, message, *others = lines_of(raising, "softmax", "bound")
    assert "ValueError: too large (test_report_terminal.py:" in message
    assert not any(line.startswith("  at ") for line in others)


def test_a_long_list_is_one_line() -> None:
    alike = [
        line
        for line in lines_of(off_by_one_on_large_images, "conv2d", "exact")
        if line.startswith("  independent of: ")
    ]
    assert len(alike) == 1
    assert len(alike[0]) <= 115
    assert alike[0].endswith(" more")
    assert "float64" not in alike[0]


def test_a_map_of_many_pictures_shows_a_row_of_them() -> None:
    wrong = np.zeros((16, 2, 4, 2), bool)
    wrong[0, 0, 1, 1] = True
    legend, indices, *pictures, end = map_lines(wrong, "this case")
    assert legend == "  on a larger case (# wrong, · right; 13 of 32 pictures): this case"
    assert indices.split("  ")[2:4] == ["[0, 0]", "[0, 1]"]
    assert [line[:6] for line in pictures] == ["    ··", "    ·#", "    ··", "    ··"]
    assert end == ""
    assert map_lines(wrong[0, 0], "c")[0] == "  on a larger case (# wrong, · right): c"
