"""Running a row: mistakes are found, correct implementations pass, and the wrong side is identified."""

import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import parity
from numpy_cnn import ops
from parity.report import Failure
from parity.rows.registry import ROWS
from parity.running.lane import SHRUNK_NUMBERS
from parity.running.row import run_case, run_row
from parity.subjects import adapt

EXAMPLES = 40


def changed(
    op: Callable[..., Any], *, y: Any = None, dx: Any = None, dw: Any = None, db: Any = None
) -> Callable[..., Any]:
    """The op with a function applied to its output or to a gradient, to write a mistake in one line."""

    def wrong(*arrays: Any, **options: Any) -> Any:
        output, pullback = op(*arrays, **options)
        edits = (dx, dw, db)

        def wrong_pullback(dy: Any) -> Any:
            gradients = pullback(dy)
            return tuple(
                g if g is None or place >= 3 or edits[place] is None else edits[place](g)
                for place, g in enumerate(gradients)
            )

        return (output if y is None else y(output)), wrong_pullback

    return wrong


def conv2d_with(**forced: Any) -> Callable[..., Any]:
    """conv2d that ignores an option and uses the given value."""
    return lambda *arrays, **options: ops.conv2d(*arrays, **(options | forced))


def relu_that_counts_zero(x: Any) -> Any:
    return np.maximum(x, 0), lambda dy: (np.where(x >= 0, dy, 0).astype(x.dtype),)


def relu_that_multiplies(x: Any) -> Any:
    y, _ = ops.relu(x)
    return y, lambda dy: ((x > 0) * dy,)


def relu_that_overwrites(x: Any) -> Any:
    x[x < 0] = 0
    return x.copy(), lambda dy: ((x > 0) * dy,)


def relu_with_a_stale_cache(x: Any) -> Any:
    y, pullback = ops.relu(x)
    calls = []

    def stale(dy: Any) -> Any:
        calls.append(dy)
        return pullback(calls[0])

    return y, lambda dy: tuple(g * len(calls) for g in stale(dy))


def relu_that_hands_its_cache_out(x: Any) -> Any:
    y, pullback = ops.relu(x)
    cache: list[Any] = []

    def gives(dy: Any) -> Any:
        if not cache:
            cache.append(pullback(dy)[0])
        return (cache[0],)

    return y, gives


def softmax_without_the_shift(x: Any, dim: int) -> Any:
    e = np.exp(x)
    y = e / e.sum(axis=dim, keepdims=True)
    return y, lambda dy: (y * (dy - (y * dy).sum(axis=dim, keepdims=True)),)


def softmax_that_ignores_the_cross_terms(x: Any, dim: int) -> Any:
    y, _ = ops.softmax(x, dim)
    return y, lambda dy: (y * (1 - y) * dy,)


def cross_entropy_that_ignores_dy(x: Any, target: Any, **options: Any) -> Any:
    y, pullback = ops.cross_entropy(x, target, **options)
    return y, lambda dy: pullback(np.ones_like(dy))


def linear_in_half(x: Any, weight: Any, bias: Any = None) -> Any:
    y, pullback = ops.linear(*(None if a is None else a.astype(np.float16) for a in (x, weight, bias)))
    return y.astype(x.dtype), lambda dy: tuple(None if g is None else g.astype(x.dtype) for g in pullback(dy))


def linear_slightly_off(x: Any, weight: Any, bias: Any = None) -> Any:
    return changed(ops.linear, dw=lambda g: g * g.dtype.type(1 + 1e-4))(x, weight, bias)


def pool_that_splits_ties(x: Any, kernel_size: Any, **options: Any) -> Any:
    y, _ = ops.max_pool2d(x, kernel_size, **options)
    _, pullback = ops.max_pool2d(x[..., ::-1, ::-1], kernel_size, **options)  # selects the last of equal maxima
    return y, lambda dy: (pullback(dy[..., ::-1, ::-1])[0][..., ::-1, ::-1],)


def pool_padded_with_zero(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, **options: Any) -> Any:
    p = padding if isinstance(padding, tuple) else (padding, padding)
    wide = np.pad(x, ((0, 0), (0, 0), (p[0], p[0]), (p[1], p[1])))
    y, pullback = ops.max_pool2d(wide, kernel_size, stride, 0, **options)
    h, w = x.shape[2:]
    return y, lambda dy: (pullback(dy)[0][:, :, p[0] : p[0] + h, p[1] : p[1] + w],)


WRONG: dict[str, tuple[str, Any, str]] = {
    "kernel flipped in the output": (
        "conv2d",
        lambda x, w, b=None, **o: ops.conv2d(x, w[:, :, ::-1, ::-1], b, **o),
        "output",
    ),
    "weight gradient flipped": ("conv2d", changed(ops.conv2d, dw=lambda g: g[:, :, ::-1, ::-1]), "grad_weight"),
    "input gradient negated": ("conv2d", changed(ops.conv2d, dx=np.negative), "grad_input"),
    "bias gradient averaged over the batch": ("conv2d", changed(ops.conv2d, db=lambda g: g / 2), "grad_bias"),
    "stride ignored": ("conv2d", conv2d_with(stride=1), "output"),
    "padding ignored": ("conv2d", conv2d_with(padding=0), "output"),
    "dilation ignored": ("conv2d", conv2d_with(dilation=1), "output"),
    "weight gradient transposed": (
        "conv2d",
        changed(ops.conv2d, dw=lambda g: g.swapaxes(2, 3) if g.shape[2] == g.shape[3] else g),
        "grad_weight",
    ),
    "input gradient missing": ("conv2d", changed(ops.conv2d, dx=lambda g: None), "grad_input"),
    "wrong shape": ("conv2d", changed(ops.conv2d, y=lambda y: y[..., :-1]), "output"),
    "dtype changed": ("relu", changed(ops.relu, y=lambda y: y.astype(np.float64)), "output"),
    "gradient at the kink": ("relu", relu_that_counts_zero, "grad_input"),
    "input overwritten": ("relu", relu_that_overwrites, "output"),
    "gradient accumulates": ("relu", relu_with_a_stale_cache, "grad_input"),
    "cache returned": ("relu", relu_that_hands_its_cache_out, "grad_input"),
    "softmax overflows": ("softmax", softmax_without_the_shift, "output"),
    "softmax without cross terms": ("softmax", softmax_that_ignores_the_cross_terms, "grad_input"),
    "upstream gradient ignored": ("cross_entropy", cross_entropy_that_ignores_dy, "grad_input"),
    "half precision inside": ("linear", linear_in_half, "output"),
    "weight gradient off by 1e-4": ("linear", linear_slightly_off, "grad_weight"),
    "ties to the last": ("max_pool2d", pool_that_splits_ties, "grad_input"),
    "padding with 0 instead of -inf": ("max_pool2d", pool_padded_with_zero, "output"),
    "1/N missing": ("mse_loss", lambda x, t, reduction: ops.mse_loss(x, t, "sum"), "output"),
    "raises": ("relu", lambda x: 1 / 0, "output"),
}  # fmt: skip


# Shrinking is tested in each lane and for each kind of difference.
SHRUNK = (
    "kernel flipped in the output", "padding ignored", "wrong shape", "input overwritten", "softmax overflows",
    "half precision inside", "ties to the last", "raises",
)  # fmt: skip


@pytest.mark.usefixtures("as_found")
@pytest.mark.parametrize("mistake", [mistake for mistake in WRONG if mistake not in SHRUNK])
def test_mistake_is_found(mistake: str) -> None:
    _check_found(mistake)


@pytest.mark.usefixtures("unexplained")
@pytest.mark.parametrize("mistake", SHRUNK)
def test_mistake_is_found_and_shrunk(mistake: str) -> None:
    for failure in _check_found(mistake):
        sizes = [np.prod(spec.shape) for spec in failure.case.arrays if spec.shape]
        assert max(sizes, default=1) <= 64, f"not shrunk: {failure.case}"


def _check_found(mistake: str) -> list[Failure]:
    """Check the failures that a mistake must cause, and return them."""
    name, implementation, quantity = WRONG[mistake]
    report = parity.check(name, implementation, examples=EXAMPLES, strict=True)
    assert not report.ok
    assert quantity in {failure.quantity for failure in report.failures}, f"\n{report}"
    for failure in report.failures:
        # torch is never the wrong side, and the case fails when run alone.
        assert failure.wrong_side in ("implementation", "undecided")
        again = run_case(ROWS[name], adapt(implementation), failure.lane, failure.case, strict=True)
        assert failure.quantity in {difference.quantity for difference in again}
    return report.failures


def convolution_by_loops(
    x: Any, w: Any, b: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """conv2d with another order of summation: tap by tap, by einsum on a padded copy."""
    s, d = (v if isinstance(v, tuple) else (v, v) for v in (stride, dilation))
    spans = [d[i] * (w.shape[2 + i] - 1) for i in (0, 1)]
    if padding == "same":
        pads = [(span // 2, span - span // 2) for span in spans]
    else:
        p = (0, 0) if padding == "valid" else padding if isinstance(padding, tuple) else (padding, padding)
        pads = [(p[0], p[0]), (p[1], p[1])]
    wide = np.pad(x, ((0, 0), (0, 0), *pads))
    oh, ow = ((wide.shape[2 + i] - spans[i] - 1) // s[i] + 1 for i in (0, 1))
    n, o, c = len(x), len(w), w.shape[1]
    split = wide.reshape(n, groups, c, *wide.shape[2:])
    kernels = w.reshape(groups, o // groups, c, *w.shape[2:])

    def at(i: int, j: int) -> tuple[Any, ...]:
        rows = slice(i * d[0], i * d[0] + (oh - 1) * s[0] + 1, s[0])
        return (..., rows, slice(j * d[1], j * d[1] + (ow - 1) * s[1] + 1, s[1]))

    taps = [(i, j) for j in reversed(range(w.shape[3])) for i in reversed(range(w.shape[2]))]
    y = np.zeros((n, groups, o // groups, oh, ow), x.dtype)
    for i, j in taps:
        y += np.einsum("goc,ngchw->ngohw", kernels[..., i, j], split[at(i, j)])
    y = y.reshape(n, o, oh, ow) + (0 if b is None else b[:, None, None])

    def pullback(dy: Any) -> Any:
        u = dy.reshape(n, groups, o // groups, oh, ow)
        dwide, dw = np.zeros_like(split), np.zeros_like(kernels)
        for i, j in taps:
            dwide[at(i, j)] += np.einsum("goc,ngohw->ngchw", kernels[..., i, j], u)
            dw[..., i, j] = np.einsum("ngohw,ngchw->goc", u, split[at(i, j)])
        dx = dwide.reshape(wide.shape)[
            :, :, pads[0][0] : pads[0][0] + x.shape[2], pads[1][0] : pads[1][0] + x.shape[3]
        ]
        return dx, dw.reshape(w.shape), None if b is None else dy.sum((3, 2, 0))

    return y.astype(x.dtype), pullback


def softmax_by_logarithm(x: Any, dim: int) -> Any:
    y = np.exp(ops.log_softmax(x, dim)[0])
    return y, lambda dy: (y * dy - y * (y * dy).sum(axis=dim, keepdims=True),)


def linear_transposed(x: Any, w: Any, b: Any = None) -> Any:
    y = np.einsum("oi,...i->...o", w, x) + (0 if b is None else b)
    lead = tuple(range(x.ndim - 1))
    return y.astype(x.dtype), lambda dy: (
        np.einsum("...o,oi->...i", dy, w),
        np.tensordot(dy, x, axes=(lead, lead)),
        None if b is None else dy.sum(axis=lead),
    )


def mse_by_mean(x: Any, t: Any, reduction: str) -> Any:
    e = x - t
    y = {"none": lambda: e**2, "sum": lambda: np.sum(e**2), "mean": lambda: np.mean(e**2, dtype=e.dtype)}[
        reduction
    ]()
    scale = 2 / e.size if reduction == "mean" and e.size else 2
    return np.asarray(y), lambda dy: (np.asarray(scale * e * dy, e.dtype), np.asarray(-scale * e * dy, e.dtype))


RIGHT = {
    "tap by tap": ("conv2d", convolution_by_loops),
    "einsum": ("linear", linear_transposed),
    "by the logarithm": ("softmax", softmax_by_logarithm),
    "np.mean": ("mse_loss", mse_by_mean),
}


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")
@pytest.mark.parametrize("other", RIGHT)
def test_other_orders_of_summation_agree(other: str) -> None:
    name, implementation = RIGHT[other]
    lanes = [lane for lane in ROWS[name].lanes if lane != "special"]
    report = parity.check(name, implementation, examples=60, lanes=lanes)
    assert report.ok, f"\n{report}"


def test_the_referee_reports_a_wrong_oracle() -> None:
    def broken(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None = None) -> torch.Tensor:
        y = F.linear(x, w, b)
        return y if x.dtype == torch.float64 else y * (1 + 1e-4)  # wrong only in single precision

    row = replace(ROWS["linear"], like=broken)
    report = run_row(row, adapt(ops.linear), examples=60, seed=0, lanes=["bound"], dtype="float32")
    sides = {failure.quantity: failure.wrong_side for failure in report.failures}
    assert sides == dict.fromkeys(("output", "grad_input", "grad_weight", "grad_bias"), "oracle")
    both = run_row(row, adapt(linear_in_half), examples=60, seed=0, lanes=["bound"], dtype="float32")
    assert {failure.wrong_side for failure in both.failures if failure.quantity == "output"} == {"both"}


class LayerWithState:
    """A layer class in the style of courses."""

    def __init__(self, weight: Any, bias: Any = None) -> None:
        self.weight, self.bias = weight, bias

    def forward(self, x: Any) -> Any:
        y, self.pullback = ops.linear(x, self.weight, self.bias)
        return y

    def backward(self, dy: Any) -> Any:
        return self.pullback(dy)


def test_pairs_and_classes_are_recognised() -> None:
    def forward(x: Any, w: Any, b: Any = None) -> Any:
        return ops.linear(x, w, b)

    def backward(dy: Any, cache: Any) -> Any:
        return cache(dy)

    assert parity.check("linear", (forward, backward), examples=30).ok
    assert parity.check("linear", LayerWithState, examples=30).ok
    with pytest.raises(TypeError, match="got 3"):
        parity.check("linear", 3)
    with pytest.raises(KeyError, match="conv2d"):
        parity.check("conv3d")


@pytest.mark.parametrize(
    ("implementation", "message"),
    [
        (lambda x: (x, None, None), "expected (y, pullback)"),
        (lambda x: ({"y": x}, None), "a dict as the output"),
        (lambda x: (ops.relu(x)[0], lambda dy: (dy, dy)), "2 gradients for 1 array"),
        (lambda x: (ops.relu(x)[0], lambda dy: 1 / 0), "the pullback raised ZeroDivisionError"),
        (lambda x: exit(3), "the forward raised SystemExit"),
    ],
)
def test_an_invalid_result_is_reported_as_the_implementations_mistake(implementation: Any, message: str) -> None:
    report = parity.check("relu", implementation, examples=5)
    assert any(message in failure.diagnosis for failure in report.failures), f"\n{report}"


def test_report_as_json() -> None:
    report = parity.check("linear", linear_slightly_off, examples=50)
    reported = report.to_json()
    assert reported["schema"] == 2
    assert reported["ok"] is False
    (row,) = reported["rows"]
    assert row["name"] == "linear"
    assert row["cases"] == sum(lane["cases"] for lane in row["lanes"].values())
    assert set(row["lanes"]) == {"exact", "bound", "structure", "special"}
    assert {"output", "grad_input", "grad_weight", "grad_bias"} >= set(row["quantities"])
    assert row["failures"][0]["quantity"] == "grad_weight"


def test_a_lane_that_runs_out_of_time_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parity.running.lane.SECONDS", 0.0)
    monkeypatch.setattr("parity.running.lane.SECONDS_A_CASE", 1e-9)
    report = parity.check("relu", examples=20, lanes=["exact"])
    assert report.ok
    (note,) = (note for note in report.rows[0].notes if "slow" in note)
    assert re.fullmatch(r"slow: only [1-9] of 20 cases of the exact lane ran in 0 s of processor time", note)


def test_a_search_for_a_smaller_case_that_runs_out_of_time_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parity.running.lane.SECONDS", 0.0)
    report = parity.check("relu", lambda x: (2 * np.maximum(x, 0), None), examples=20, lanes=["exact"])
    assert not report.ok
    assert (
        "slow: the search for a smaller case of the exact lane stopped after 0 s of processor time"
        in report.rows[0].notes
    )


def test_a_busy_machine_stops_no_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parity.running.lane.SECONDS", 10.0)
    clocks = SimpleNamespace(monotonic=itertools.count(step=1.5).__next__, process_time=lambda: 0.0)
    monkeypatch.setattr("parity.running.lane.time", clocks)
    report = parity.check("relu", examples=20, lanes=["exact"])
    assert not any("slow" in note for note in report.rows[0].notes)


def test_an_implementation_that_waits_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parity.running.lane.SECONDS", 10.0)
    clocks = SimpleNamespace(monotonic=itertools.count(step=100).__next__, process_time=lambda: 0.0)
    monkeypatch.setattr("parity.running.lane.time", clocks)
    report = parity.check("relu", examples=20, lanes=["exact"])
    assert any("slow" in note for note in report.rows[0].notes)


def test_shrinking_a_failure_with_a_long_array_tries_few_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parity.running.row.investigate", lambda row, op, lane, found, *_, **__: (found, {}))
    lengths: list[int] = []

    def relu(x: Any) -> Any:
        y, pullback = ops.relu(x)
        wrong = x.size > 2**15
        lengths.extend([x.size] if wrong else [])
        return y * (2 if wrong else 1), pullback

    report = run_row(ROWS["relu"], relu, examples=EXAMPLES, seed=0, lanes=["exact"])
    assert [failure.quantity for failure in report.failures] == ["output"]
    assert 0 < sum(lengths) < 3 * SHRUNK_NUMBERS  # the search runs once per quantity
