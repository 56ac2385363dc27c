"""The special lane: the values that it draws, and its coverage of numpy_cnn's fast paths."""

import inspect
import random
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import numpy as np
import pytest

import parity
from numpy_cnn import ops
from numpy_cnn.ops import fast
from numpy_cnn.ops.fast import (
    bits,
    conv_1x1,
    correlation,
    elementwise,
    matmul,
    memory,
    normal_tail,
    patches,
    pool_windows,
    rows,
    sums,
    windows,
)
from parity.cases.case import ArraySpec, Case
from parity.cases.inputs import inputs_of
from parity.cases.primitives import draw_plainly
from parity.lanes.reference import expect
from parity.rows.registry import ROWS
from parity.running.compare import differences_of
from parity.running.sandbox import sandboxed

CASES = 60  # per row, as in a short check
MODULES = (
    bits,
    conv_1x1,
    correlation,
    elementwise,
    matmul,
    normal_tail,
    patches,
    pool_windows,
    rows,
    sums,
    windows,
)
# The first needs non-finite weights, which the lane does not draw: see test_conv2d_non_finite.py. The
# second serves the optimizers, which have no special lane.
NOT_REACHED = {inspect.unwrap(patches.scatter), matmul.aligned, memory.keep_freed_memory}
OTHERS = {"__init__", "memory", "resampling"}  # not reached by ops with a special lane


PATHS = {
    "conv2d": {
        "patches._copied",
        "patches._stacked",
        "rows.correlate",
        "rows.correlate_weight",
        "conv_1x1.conv_1x1",
    },
    "conv1d": {"patches._copied", "rows.correlate", "rows.correlate_weight", "conv_1x1.conv_1x1"},
    "conv_transpose2d": {"patches._copied", "patches._stacked", "rows.correlate"},
}


def functions() -> dict[CodeType, str]:
    found = [value for module in MODULES for value in vars(module).values()]
    unwrapped = {getattr(value, "__wrapped__", value) for value in found if callable(value)}
    return {
        f.__code__: f"{Path(f.__code__.co_filename).stem}.{f.__name__}"
        for f in unwrapped - NOT_REACHED
        if isinstance(f, FunctionType) and Path(f.__code__.co_filename).parent == Path(fast.__path__[0])
    }


def reached_by(name: str, codes: dict[CodeType, str]) -> Counter[str]:
    """The number of special cases of the row that call each function."""
    seen, counts, generator = set[CodeType](), Counter[str](), random.Random(0)

    def count(frame: FrameType, event: str, argument: Any) -> None:  # the signature of a profiler
        if event == "call" and frame.f_code in codes:
            seen.add(frame.f_code)

    before = sys.getprofile()
    with sandboxed():
        for _ in range(CASES):
            case, _ = draw_plainly(ROWS[name].strategy(lane="special"), generator)
            inputs = inputs_of(case, "special", integer=True)
            seen.clear()
            sys.setprofile(count)
            try:
                y, pullback = ROWS[name].op(*inputs.arrays, **inputs.options)
                pullback(inputs.cotangent(y))
            finally:
                sys.setprofile(before)
            counts.update(codes[code] for code in seen)
    return counts


def test_the_lane_covers_every_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matmul, "DIRECT", False)  # with AVX-512 most convolutions avoid the rows
    for path in Path(fast.__path__[0]).glob("*.py"):
        assert path.stem in OTHERS | {m.__name__.split(".")[-1] for m in MODULES}
    codes, total = functions(), Counter[str]()
    for name in (name for name, row in ROWS.items() if "special" in row.lanes):
        counts = reached_by(name, codes)
        assert {path: counts[path] for path in PATHS.get(name, ()) if counts[path] < 5} == {}
        total.update(counts)
    assert {name for name in codes.values() if not total[name]} == set()


@pytest.mark.parametrize("name", ["conv2d", "max_pool2d", "softmax"])
def test_some_results_stay_finite(name: str) -> None:
    """An output of NaN only would hide every other mistake."""
    generator, finite = random.Random(1), 0
    with sandboxed():
        for _ in range(100):
            case, _ = draw_plainly(ROWS[name].strategy(lane="special"), generator)
            expected = expect(ROWS[name], case, "special")
            finite += bool(np.isfinite(expected.theirs["output"]).any())
    assert finite > 60


def test_a_quarter_of_the_cotangents_of_selecting_ops_is_not_finite() -> None:
    def share(name: str) -> float:
        generator, found = random.Random(0), []
        for _ in range(200):
            case, _ = draw_plainly(ROWS[name].strategy(lane="special"), generator)
            dy = expect(ROWS[name], case, "special").dy
            found += [not np.isfinite(dy).all()] if dy.size > 8 else []
        return float(np.mean(found))

    with sandboxed():
        assert 0.1 < share("relu") < 0.4
        assert 0.1 < share("max_pool2d") < 0.4
        assert share("linear") == 0  # 0·∞ in a sum is not compared


def test_a_mask_that_multiplies_is_found_at_a_dead_unit() -> None:
    def by_product(x: Any) -> Any:
        return np.maximum(x, 0), lambda dy: (dy * (x > 0),)

    report = parity.check("relu", by_product, examples=60, lanes=["special"])
    found = {note.quantity: (note.verdict, note.aspect) for note in report.notes}
    assert found["grad_input"] == ("special", "special")
    assert report.ok
    assert parity.check("relu", ops.relu, examples=60, lanes=["special"], strict=True).ok


def test_a_target_of_zero_contributes_nothing_to_kl_div() -> None:
    def by_product(x: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Any:
        y, pullback = ops.kl_div(x, target, reduction, log_target)
        if not log_target and (target == 0).any():
            with np.errstate(all="ignore"):
                y = y + (0 * np.log(target * 0)).sum()  # 0·log 0 is NaN
        return y, pullback

    report = parity.check("kl_div", by_product, examples=60, lanes=["special"])
    assert [(failure.quantity, failure.verdict) for failure in report.failures] == [("output", "wrong")]


def test_the_slope_of_kl_div_at_a_target_of_zero_is_a_convention() -> None:
    """It is −∞ by the formula and NaN in torch."""

    def infinite(x: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Any:
        y, pullback = ops.kl_div(x, target, reduction, log_target)

        def back(dy: Any) -> Any:
            dx, dt = pullback(dy)
            return dx, dt if log_target else np.where(target == 0, -np.inf, dt).astype(dt.dtype)

        return y, back

    report = parity.check("kl_div", infinite, examples=60, lanes=["special"])
    assert report.ok, report
    assert {note.verdict for note in report.notes} == {"special"}


def test_a_slope_that_underflows_may_be_zero_or_not() -> None:
    """At −7 the slope of gelu by tanh is 0 in float32 and −3e−14 in float64: times ∞ it is NaN or −∞."""

    def in_double(x: Any, approximate: str = "none") -> Any:
        y, pullback = ops.gelu(x.astype(np.float64), approximate=approximate)
        return y.astype(x.dtype), lambda dy: (pullback(dy.astype(np.float64))[0].astype(x.dtype),)

    values = {"input": [-7.0, -7.0], "dy": [np.inf, 1.0]}
    case = Case("gelu", (ArraySpec("input", (2,)),), {"approximate": "tanh"}, "float32", values=values)
    assert not differences_of(ROWS["gelu"], in_double, "special", case)[1]
    assert not differences_of(ROWS["gelu"], ROWS["gelu"].op, "special", case)[1]

    def zero(x: Any, approximate: str = "none") -> Any:
        return ops.gelu(x, approximate=approximate)[0], lambda dy: (np.zeros_like(dy),)

    assert differences_of(ROWS["gelu"], zero, "special", case)[1]


def test_roundoff_of_a_fast_algorithm_is_no_special_value() -> None:
    def conv2d(*arrays: Any, **options: Any) -> Any:
        y, pullback = ops.conv2d(*arrays, **options)
        return np.nextafter(y, np.float32(np.inf)), pullback

    shapes = {"input": (1, 2, 4, 4), "weight": (3, 2, 2, 2)}
    arrays = *(ArraySpec(name, shape) for name, shape in shapes.items()), ArraySpec("bias", None)
    case = Case("conv2d", arrays, {"stride": 1})
    numbers = {name: np.arange(np.prod(shape)).reshape(shape) % 5 + 1 for name, shape in shapes.items()}
    (found,) = differences_of(ROWS["conv2d"], conv2d, "special", replace(case, values=numbers))[1]
    assert found.aspect == "normwise"


@pytest.mark.parametrize("lane", ["bound", "structure"])
def test_a_mean_over_no_targets_is_undefined(lane: Any) -> None:
    def cross_entropy(x: Any, target: Any, **options: Any) -> Any:
        y, pullback = ops.cross_entropy(x, target, **options)
        return y, lambda dy: (pullback(dy)[0] * y, None)  # 0·NaN

    arrays = ArraySpec("input", (2, 3)), ArraySpec("target", (2,), "classes", 3)
    case = Case("cross_entropy", arrays, {"ignore_index": 1, "reduction": "mean"}, values={"target": (1, 1)})
    (found, *_) = differences_of(ROWS["cross_entropy"], cross_entropy, lane, case)[1]
    assert (found.quantity, found.verdict) == ("grad_input", "special")
