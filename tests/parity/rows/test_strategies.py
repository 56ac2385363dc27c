"""The cases: valid, of every kind the suite claims, and the same again after a trip through JSON."""

import json
import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from parity.cases.case import LANES, Case
from parity.cases.inputs import inputs_of
from parity.cases.torch_op import oracle
from parity.rows.registry import ROWS

ROW_LANES = [(name, lane) for name, row in ROWS.items() for lane in row.lanes]


@pytest.mark.parametrize(("name", "lane"), ROW_LANES)
def test_cases_are_valid_and_survive_json(name: str, lane: str) -> None:
    row = ROWS[name]

    @settings(max_examples=60, deadline=None, database=None)
    @given(row.strategy(lane=lane))
    def holds(case: Case) -> None:
        assert Case.from_json(json.loads(json.dumps(case.to_json()))) == case
        inputs = inputs_of(case, lane, integer=True)
        y, _ = oracle(row.like)(*inputs.arrays, **inputs.options)  # torch takes it
        assert y.dtype == case.dtype
        again = inputs_of(case, lane, integer=True)
        for a, b in zip(inputs.arrays, again.arrays, strict=True):
            np.testing.assert_array_equal(a, b)

    holds()


def _conv(case: Case) -> tuple[dict[str, tuple[int, ...] | None], dict[str, object]]:
    return {spec.name: spec.shape for spec in case.arrays}, case.options


def _pair(value: object) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)  # type: ignore[return-value]


CONV_FACETS: dict[str, Callable[..., bool]] = {
    "image not square": lambda x, w, b, o: x[2] != x[3],
    "kernel not square": lambda x, w, b, o: w[2] != w[3],
    "1x1 kernel": lambda x, w, b, o: w[2:] == (1, 1),
    "kernel as large as the image": lambda x, w, b, o: w[2:] == x[2:] and w[2] > 1 and w[3] > 1,
    "stride beyond the kernel": lambda x, w, b, o: _pair(o["stride"])[0] > w[2],
    "stride of two numbers": lambda x, w, b, o: _pair(o["stride"])[0] != _pair(o["stride"])[1],
    "stride as one int": lambda x, w, b, o: isinstance(o["stride"], int) and o["stride"] > 1,
    "padding": lambda x, w, b, o: isinstance(o["padding"], tuple) and min(o["padding"]) > 0,
    "padding same, even kernel": lambda x, w, b, o: o["padding"] == "same" and w[2] % 2 == 0,
    "padding valid": lambda x, w, b, o: o["padding"] == "valid",
    "dilation": lambda x, w, b, o: _pair(o["dilation"])[1] > 1 and w[3] > 1,
    "groups": lambda x, w, b, o: o["groups"] > 1 and w[1] > 1,
    "depthwise": lambda x, w, b, o: o["groups"] > 1 and w[1] == 1,
    "no bias": lambda x, w, b, o: b is None,
    "many channels in many images": lambda x, w, b, o: w[1] * w[3] >= 32 and x[0] * x[3] >= 128,
    "many kernels on many images": lambda x, w, b, o: w[0] // o["groups"] * w[3] >= 32 and x[0] * x[3] >= 128,
    "batch of one": lambda x, w, b, o: x[0] == 1,
    "a remainder that the floor drops": lambda x, w, b, o: (
        isinstance(o["padding"], tuple)
        and (x[2] + 2 * o["padding"][0] - _pair(o["dilation"])[0] * (w[2] - 1) - 1) % _pair(o["stride"])[0] != 0
    ),
}


@pytest.mark.parametrize("facet", CONV_FACETS)
def test_conv2d_cases_reach_every_facet(facet: str) -> None:
    def shows(case: Case) -> bool:
        shapes, options = _conv(case)
        return CONV_FACETS[facet](shapes["input"], shapes["weight"], shapes["bias"], options)

    _expect_one("conv2d", shows, cases=800, facet=facet)  # as many as the four lanes of one check look at


def _expect_one(row: str, shows: Callable[[Case], bool], cases: int, facet: str) -> None:
    only_drawn = settings(max_examples=cases, database=None, phases=[Phase.generate])  # and not made smaller
    try:
        find(ROWS[row].strategy(lane="exact"), shows, settings=only_drawn, random=random.Random(0))
    except NoSuchExample:
        pytest.fail(f"{cases} cases of {row} and none with: {facet}")


POOL_FACETS: dict[str, Callable[..., bool]] = {
    "overlapping windows": lambda x, o: _pair(o["stride"] or o["kernel_size"])[0] < _pair(o["kernel_size"])[0],
    "windows apart": lambda x, o: _pair(o["stride"] or o["kernel_size"])[0] > _pair(o["kernel_size"])[0],
    "stride left out": lambda x, o: o["stride"] is None and _pair(o["kernel_size"])[0] > 1,
    "padding": lambda x, o: min(_pair(o["padding"])) > 0,
    "dilation": lambda x, o: _pair(o["dilation"])[0] > 1 and _pair(o["kernel_size"])[0] > 1,
    "padding and dilation": lambda x, o: _pair(o["padding"])[0] > 0 and _pair(o["dilation"])[0] > 1,
    "ceil_mode beyond the image": lambda x, o: (
        o["ceil_mode"]
        and _pair(o["padding"])[0] == 0
        and _pair(o["dilation"])[0] * (_pair(o["kernel_size"])[0] - 1) >= x[2]
    ),
}


@pytest.mark.parametrize("facet", POOL_FACETS)
def test_max_pool2d_cases_reach_every_facet(facet: str) -> None:
    def shows(case: Case) -> bool:
        shapes, options = _conv(case)
        return POOL_FACETS[facet](shapes["input"], options)

    _expect_one("max_pool2d", shows, cases=300, facet=facet)


@pytest.mark.parametrize("name", ["conv2d", "max_pool2d", "linear", "cross_entropy"])
def test_structure_lane_has_empty_batches(name: str) -> None:
    def empty(case: Case) -> bool:
        return any(spec.shape is not None and 0 in spec.shape for spec in case.arrays)

    assert empty(find(ROWS[name].strategy(lane="structure"), empty, settings=settings(database=None)))


@given(st.sampled_from(LANES), st.integers(0, 2**32 - 1))
def test_cotangent_is_never_all_ones(lane: str, seed: int) -> None:
    from parity.cases.case import ArraySpec

    case = Case("relu", (ArraySpec("input", (3, 3)),), seed=seed)
    inputs = inputs_of(case, lane, integer=lane != "bound")
    dy = inputs.cotangent(np.zeros((3, 3), np.float32))
    assert len(np.unique(dy)) > 1
