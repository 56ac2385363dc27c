"""Soak runs: the same seed gives the same cases, and Hypothesis shrinks failures."""

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from numpy_cnn import ops
from parity.__main__ import main
from parity.cases.case import Case
from parity.cases.primitives import booleans, composite, draw_plainly, draws_plainly, integers, narrowed, sampled
from parity.rows.registry import ROWS
from parity.running.row import run_row
from parity.running.single_example import SingleExample
from parity.subjects import adapt

ROW_LANES = [(name, lane) for name, row in ROWS.items() for lane in row.lanes]


@pytest.mark.parametrize(("name", "lane"), ROW_LANES)
def test_hypothesis_reproduces_plain_draws_from_their_choices(name: str, lane: str) -> None:
    strategy = ROWS[name].strategy(lane=lane)
    assert draws_plainly(strategy)
    for seed in range(5):
        case, choices = draw_plainly(strategy, random.Random(seed))
        assert _drawn_by_hypothesis(strategy, choices) == case


def _drawn_by_hypothesis(strategy: st.SearchStrategy[Case], choices: list[int | bool]) -> Case:
    seen = []

    @settings(
        database=SingleExample(choices),
        derandomize=False,
        phases=[Phase.reuse],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(case: Case) -> None:
        seen.append(case)

    collect()
    return seen[0]


def test_a_rare_mistake_is_found_and_shrunk() -> None:
    def rare(*arrays: Any, **options: Any) -> Any:
        y, pullback = ops.conv2d(*arrays, **options)
        strides = options["stride"]
        rare_one = strides == (3, 2) and options["groups"] == 2
        return (y + 1 if rare_one else y), pullback

    report = run_row(ROWS["conv2d"], adapt(rare), examples=1, seed=0, lanes=["exact"], seconds=15)
    (failure,) = report.failures
    assert failure.quantity == "output"
    assert failure.case.options["groups"] == 2
    assert failure.case.options["dilation"] == 1
    sizes = [size for spec in failure.case.arrays if spec.shape for size in spec.shape]
    assert max(sizes) <= 4, f"not shrunk: {failure.case}"
    assert report.cases >= 10


def test_the_same_seed_gives_the_same_cases() -> None:
    strategy = ROWS["conv2d"].strategy(lane="exact")
    first, second = ([draw_plainly(strategy, random.Random(7))[0] for _ in range(3)] for _ in range(2))
    assert first == second


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "linear", "--soak", "0.4"]) == 0
    assert "all agree" in capsys.readouterr().out
    assert main(["check", "linear", "--soak", "0"]) == 2
    assert "--soak must be more than 0 seconds, got 0" in capsys.readouterr().err


@composite
def _pairs(draw: Any, lane: str) -> tuple[int, bool, str]:
    return draw(integers(3, 5)), draw(booleans), draw(sampled(["a", "b"]))


def test_drawing() -> None:
    strategy = _pairs("exact")
    values = {draw_plainly(strategy, random.Random(seed))[0] for seed in range(200)}
    assert len(values) == 12  # every possible value
    odd = narrowed(strategy, lambda value: value[0] % 2 == 1)
    assert {draw_plainly(odd, random.Random(seed))[0][0] for seed in range(50)} == {3, 5}
    assert draw_plainly(sampled([1, 1.0]), random.Random(0))[0] in (1, 1.0)
    assert sampled([1]) is not sampled([1.0])
    with pytest.raises(TypeError, match="only Hypothesis can"):
        draw_plainly(st.floats(), random.Random(0))
