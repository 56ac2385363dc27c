"""The harness learns from a few cases what an implementation declines, and avoids such cases."""

import functools
import random
import re
from typing import Any

import pytest

import parity
from numpy_cnn import ops
from parity.cases.primitives import draw_plainly
from parity.rows.registry import ROWS
from parity.running.declines import restrictions
from parity.running.row import support_notes


def conv_without(groups: bool = True, dilation: bool = True, words: bool = True) -> Any:
    def conv(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
        declines = (
            (not groups and options["groups"] != 1)
            or (not dilation and options["dilation"] not in (1, (1, 1)))
            or (not words and isinstance(options["padding"], str))
        )
        if declines:
            raise NotImplementedError("not this one")
        return ops.conv2d(x, w, b, **options)

    return conv


@pytest.mark.parametrize("seed", range(3))
def test_options_and_their_values_are_learnt(seed: int) -> None:
    generator = random.Random(seed)
    cases = [draw_plainly(ROWS["conv2d"].strategy(lane="exact"), generator)[0] for _ in range(120)]
    accepted = [c for c in cases if c.options["groups"] == 1 and not isinstance(c.options["padding"], str)]
    found = restrictions([c for c in cases if c not in accepted], accepted)
    assert found.keys() == {"groups", "padding"}
    assert (1 in found["groups"], 2 in found["groups"]) == (True, False)
    assert ("same" in found["padding"], (7, 5) in found["padding"]) == (False, True)  # unseen numbers are allowed
    assert support_notes(found) == [
        "checked only with groups=1: the implementation supports nothing else",
        "not checked with padding='same' or 'valid': the implementation does not support it",
    ]


def test_a_partial_implementation_runs_all_cases_and_declines_few() -> None:
    report = parity.check("conv2d", conv_without(groups=False, dilation=False, words=False), examples=60)
    assert report.ok, f"\n{report}"
    (row,) = report.rows
    assert set(row.lanes.values()) == {60}
    assert sum(row.declined.values()) < 60
    assert any("groups=1" in note and "dilation=1" in note for note in row.notes)


def test_an_option_that_is_declined_whatever_its_value() -> None:
    def loss(x: Any, target: Any, weight: Any = None, **options: Any) -> Any:
        if "ignore_index" in options or (target == -100).any():
            raise NotImplementedError("no target is ignored")
        return ops.cross_entropy(x, target, weight, **options)

    assert parity.check("cross_entropy", loss, examples=100).ok


def test_declared_support_is_not_overridden() -> None:
    conv = conv_without(groups=False)
    report = parity.check("conv2d", conv, examples=40, lanes=["exact"], supports={"groups": 2})
    assert report.rows[0].verdict == "not checked"
    assert re.search(r"declined all \d+ cases; the last one: not this one", report.rows[0].notes[0])


def test_partial_functions_and_lambdas() -> None:
    def scaled(x: Any, factor: float) -> Any:
        y, pullback = ops.relu(x)
        return y * x.dtype.type(factor), lambda dy: (pullback(dy)[0] * dy.dtype.type(factor),)

    how: Any = {"examples": 10, "lanes": ["exact"]}
    assert parity.check("relu", functools.partial(scaled, factor=1.0), **how).ok
    assert parity.check("relu", lambda x: scaled(x, 1.0), **how).ok
    assert not parity.check("relu", functools.partial(scaled, factor=2.0), **how).ok
