"""Generated cases are valid, cover every required kind, and survive a round trip through JSON."""

import json
import math
import random
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from parity.cases.case import LANES, ArraySpec, Case, Lane
from parity.cases.inputs import inputs_of
from parity.cases.primitives import draw_plainly
from parity.cases.restrict import narrow
from parity.cases.torch_op import oracle
from parity.rows.registry import ROWS

ROW_LANES = [(name, lane) for name, row in ROWS.items() for lane in row.lanes]


@pytest.mark.parametrize(("name", "lane"), ROW_LANES)
def test_cases_are_valid_and_survive_json(name: str, lane: str) -> None:
    row, generator = ROWS[name], random.Random(0)
    for _ in range(25):
        case, _ = draw_plainly(row.strategy(lane=lane), generator)
        assert Case.from_json(json.loads(json.dumps(case.to_json()))) == case
        inputs = inputs_of(case, lane, integer=True)
        y, _ = oracle(row.like)(*inputs.arrays, **inputs.options)  # torch accepts it
        assert y.dtype == case.dtype
        again = inputs_of(case, lane, integer=True)
        for a, b in zip(inputs.arrays, again.arrays, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if "exact" in row.lanes])
def test_the_sums_of_every_case_are_exact(name: str) -> None:
    """Otherwise the guard of the exact lane would raise an AssertionError."""
    generator = random.Random(0)
    for _ in range(1000):
        case, _ = draw_plainly(ROWS[name].strategy(lane="exact"), generator)
        most = max(math.prod(spec.shape) for spec in case.arrays if spec.shape is not None)
        factor = case.magnitude if ROWS[name].bilinear else 2 * case.magnitude
        assert (1 + most) * factor**2 < 1 / np.finfo(case.dtype).epsneg, case


def test_instance_norm_has_more_than_one_number_to_normalize() -> None:
    """Torch rejects a single one."""
    generator = random.Random(0)
    for _ in range(2000):
        case, _ = draw_plainly(ROWS["instance_norm"].strategy(lane="bound"), generator)
        assert math.prod(case.arrays[0].shape[2:]) > 1, case


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

    _expect_one("conv2d", shows, cases=800, facet=facet)  # as many as the four lanes of one check run


def _expect_one(row: str, shows: Callable[[Case], bool], cases: int, facet: str) -> None:
    only_drawn = settings(max_examples=cases, database=None, phases=[Phase.generate])  # without shrinking
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
    case = Case("relu", (ArraySpec("input", (3, 3)),), seed=seed)
    inputs = inputs_of(case, lane, integer=lane != "bound")
    dy = inputs.cotangent(np.zeros((3, 3), np.float32))
    assert len(np.unique(dy)) > 1


NARROWED: list[tuple[str, dict[str, object]]] = [
    ("conv2d", {}), ("conv2d", {"groups": 1}), ("conv2d", {"square": True}), ("conv2d", {"stride": 1}),
    ("max_pool2d", {}), ("linear", {"rank": 2}), ("linear", {"rank": 3}), ("softmax", {"rank": 2}),
    ("cross_entropy", {"rank": 2}), ("cross_entropy", {"rank": 4}), ("nll_loss", {"rank": 2}),
    ("mse_loss", {"rank": 2}), ("batch_norm", {"rank": 2}), ("batch_norm", {"rank": 4}), ("relu", {"rank": 4}),
    ("conv2d", {"pairs": False}), ("conv2d", {"tiling": True}), ("conv1d", {}),
    ("conv_transpose2d", {"pairs": False}),
    ("max_pool2d", {"pairs": False}), ("max_pool2d", {"tiling": True}), ("avg_pool2d", {"pairs": False}),
    ("max_unpool2d", {}), ("adaptive_avg_pool2d", {}), ("layer_norm", {}), ("group_norm", {}),
    ("instance_norm", {}), ("pad", {}), ("interpolate", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "supports"), NARROWED)
@pytest.mark.parametrize("lane", ["exact", "bound"])
def test_most_narrowed_cases_have_no_factor_of_one(name: str, supports: dict[str, object], lane: Lane) -> None:
    """A mistake in a factor (1/N, a sum over channels, a stride) has no effect if the factor is 1."""
    row, generator, counts, present = ROWS[name], random.Random(0), Counter[str](), Counter[str]()
    lane = lane if lane in row.lanes else "bound"
    strategy = narrow(row.strategy(lane=lane), supports)
    for _ in range(200):
        case, _ = draw_plainly(strategy, generator)
        assert row.valid(case), case
        shapes = {spec.name: spec.shape for spec in case.arrays}
        factors: dict[str, int] = {f"axis {i}": n for i, n in enumerate(shapes["input"] or ())}
        weight = shapes.get("weight") or ()
        if len(weight) == 4:
            factors |= {"kernels": weight[0], "taps": weight[2] * weight[3]}
        factors |= {n: max(_pair(case.options[n])) for n in ("stride", "groups") if case.options.get(n)}
        present.update([*factors])
        counts.update(factor for factor, value in factors.items() if value > 1)
    fixed = {n for n in supports if n in ("stride", "groups")}
    assert [factor for factor, n in present.items() if factor not in fixed and counts[factor] <= n / 2] == []


LONG_ROWS = [
    "relu", "linear", "softmax", "nll_loss", "conv2d", "conv1d", "conv_transpose2d", "max_pool2d", "avg_pool2d",
    "adaptive_avg_pool2d", "batch_norm", "layer_norm", "group_norm", "instance_norm", "mse_loss", "pad", "SGD",
]  # fmt: skip


@pytest.mark.parametrize("name", LONG_ROWS)
def test_some_cases_are_long(name: str) -> None:
    """Some sizes exceed 127 and 255, where 8-bit indices overflow, and some are next to multiples of 16 and 32."""
    row, generator = ROWS[name], random.Random(0)
    cases = [draw_plainly(row.strategy(lane=row.lanes[0]), generator)[0] for _ in range(400)]
    sizes = {size for case in cases for spec in case.arrays for size in spec.shape or ()}
    assert max(sizes) >= 255
    assert len(sizes & {15, 16, 17, 31, 32, 33, 63, 65, 127, 129}) >= 5 or name == "mse_loss"


@pytest.mark.parametrize(
    "name",
    [
        "relu", "softmax", "nll_loss", "cross_entropy", "conv2d", "conv1d", "conv_transpose2d", "max_unpool2d",
        "layer_norm", "linear", "pad", "interpolate", "dropout2d", "Adam",
    ],
)  # fmt: skip
def test_few_cases_overflow_a_16_bit_index_and_none_is_large(name: str) -> None:
    row, generator = ROWS[name], random.Random(0)
    cases = [draw_plainly(row.strategy(lane="bound"), generator)[0] for _ in range(1000)]
    numbers = [max(math.prod(spec.shape or ()) for spec in case.arrays) for case in cases]
    assert 1 <= sum(number > 2**15 for number in numbers) <= 55
    assert max(numbers) < 2**18


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("conv2d", {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}),
        ("conv1d", {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}),
        ("conv_transpose2d", {"stride": (1, 1), "padding": (0, 0), "output_padding": (0, 0), "dilation": (1, 1)}),
        ("max_pool2d", {"stride": None, "padding": (0, 0), "dilation": (1, 1), "ceil_mode": False}),
        ("avg_pool2d", {"stride": None, "padding": (0, 0), "ceil_mode": False, "divisor_override": None}),
    ],
)
def test_some_cases_have_all_options_at_their_defaults(name: str, options: dict[str, object]) -> None:
    row, generator = ROWS[name], random.Random(0)
    drawn = [draw_plainly(row.strategy(lane="bound"), generator)[0].options for _ in range(400)]
    pairs = [{n: _pair(o[n]) if isinstance(options[n], tuple) else o[n] for n in options} for o in drawn]
    assert pairs.count(options) > 5


def test_the_last_class_is_drawn_if_only_it_overflows_an_index() -> None:
    target = ArraySpec("target", (3,), "classes", 2**15 + 1)
    arrays = ArraySpec("input", (3, 2**15 + 1)), target
    for seed in range(5):
        drawn = inputs_of(Case("nll_loss", arrays, seed=seed), "exact", integer=True).arrays[1]
        assert drawn is not None
        assert drawn.max() == 2**15


def test_some_windows_have_more_than_128_taps() -> None:
    for name, supports in (("max_pool2d", {}), ("max_pool2d", {"pairs": False}), ("avg_pool2d", {})):
        strategy, generator = narrow(ROWS[name].strategy(lane="bound"), supports), random.Random(0)
        kernels = [draw_plainly(strategy, generator)[0].options["kernel_size"] for _ in range(400)]
        assert max(math.prod(_pair(kernel)) for kernel in kernels) > 128


def test_maxima_nearly_tie() -> None:
    """Numbers of a window differ by one unit in the last place, and by larger distances."""
    generator, apart = random.Random(0), set[int]()
    for _ in range(40):
        case, _ = draw_plainly(ROWS["max_pool2d"].strategy(lane="bound"), generator)
        x = inputs_of(case, "bound", integer=False).arrays[0]
        assert x is not None
        numbers = np.sort(np.abs(x[x != 0]).ravel())
        distance = np.diff(numbers) / numbers[1:]
        apart |= {int(d) for d in np.floor(np.log2(distance[distance > 0]))}
    assert set(range(-23, -4)) <= apart


def test_cases_that_torch_rejects_or_reads_out_of_bounds_are_invalid() -> None:
    def pool(size: int, **options: object) -> Case:
        given = {"kernel_size": 2, "stride": 1, "padding": 0, "dilation": 1, "ceil_mode": False} | options
        return Case("max_pool2d", (ArraySpec("input", (1, 1, size, size)),), given)

    row = ROWS["max_pool2d"]
    assert row.valid(pool(4))
    assert not row.valid(pool(1))  # no window fits
    assert not row.valid(pool(4, kernel_size=3, padding=2))  # more than half of the kernel
    assert row.valid(pool(2, padding=1, dilation=2))
    assert not row.valid(pool(1, padding=1, dilation=2))  # the window skips the only pixel
    channels = Case("conv2d", (ArraySpec("input", (1, 3, 4, 4)), ArraySpec("weight", (2, 2, 1, 1))), {"groups": 1})
    assert not ROWS["conv2d"].valid(channels)
    alone = Case(
        "batch_norm",
        (*(ArraySpec(n, s) for n, s in (("input", (1, 2)), ("running_mean", None), ("running_var", None))),),
        {"training": True},
    )
    assert not ROWS["batch_norm"].valid(alone)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_near_ties_are_not_ties(dtype: str) -> None:
    """The exact lane reports a rule for ties as a convention; in the bound lane it would count as a mistake."""
    spec = ArraySpec("input", (2, 3, 9, 9), "near")
    (x,) = inputs_of(Case("max_pool2d", (spec,), {"kernel_size": 2}, dtype, seed=5), "bound", integer=False).arrays
    assert isinstance(x, np.ndarray)
    assert len(np.unique(x)) == x.size
    gaps = np.diff(np.sort(x.ravel()))
    assert np.median(gaps) < 1e-3 * np.abs(x).max(), "many of them are close together"
