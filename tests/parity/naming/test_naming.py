"""A mistake gets a name only if the name reproduces it."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import parity
from numpy_cnn import ops
from parity.cases.case import ArraySpec, Case, Lane
from parity.cases.primitives import draw_plainly
from parity.exam.windows import gather, pool_windows, scatter
from parity.lanes.facts import Explained
from parity.lanes.reference import expect
from parity.naming import Observation, explain
from parity.naming.fitted import fitted
from parity.naming.observation import Entry, Evidence, _with_larger_batches, agree
from parity.naming.probe import NotApplicable, Probe
from parity.rows.registry import ROWS
from parity.running.sandbox import sandboxed
from parity.subjects import adapt


def explained(name: str, implementation: Any, quantity: str, lane: Lane | None = None) -> Explained | None:
    row = ROWS[name]
    with sandboxed():
        return explain(Observation(row, adapt(implementation), lane or row.lanes[0]), quantity)


def conv_with(dx: Any = lambda x, w, b, o, dy: None, scale: Any = lambda *_: 1) -> Any:
    """conv2d with a changed input gradient or a scaled weight gradient."""

    def conv(x: Any, w: Any, b: Any = None, **o: Any) -> Any:
        y, pullback = ops.conv2d(x, w, b, **o)

        def back(dy: Any) -> Any:
            right, dw, db = pullback(dy)
            wrong = dx(x, w, b, o, dy)
            return right if wrong is None else wrong, dw * scale(x), db

        return y, back

    return conv


def flipped(x: Any, w: Any, b: Any, o: Any, dy: Any) -> Any:
    return ops.conv2d(x, w[..., ::-1, ::-1], b, **o)[1](dy)[0]


def test_a_flipped_kernel_is_named_with_the_formula_it_contradicts() -> None:
    report = parity.check("conv2d", conv_with(flipped), examples=40, lanes=["exact"])
    (failure,) = report.failures
    assert (failure.quantity, failure.explanation, failure.verdict) == ("grad_input", "kernel-flipped", "wrong")
    assert failure.diagnosis.startswith("the kernel is flipped along both axes")
    assert "to the bit" in failure.diagnosis
    assert failure.formula == ROWS["conv2d"].formulas["grad_input"]
    (reported,) = report.to_json()["rows"][0]["failures"]
    assert (reported["explanation"], reported["formula"]) == ("kernel-flipped", failure.formula)


def test_two_mistakes_at_once_are_named_as_a_pair() -> None:
    found = explained("conv2d", conv_with(lambda *a: -flipped(*a)), "grad_input")
    assert found is not None
    assert {*found.name.split("+")} == {"kernel-flipped", "negated"}


def test_a_mistake_in_some_cases_is_reported_as_such() -> None:
    def in_deep_groups(x: Any, w: Any, b: Any, o: Any, dy: Any) -> Any:
        return flipped(x, w, b, o, dy) if o["groups"] > 1 else None

    found = explained("conv2d", conv_with(in_deep_groups), "grad_input")
    assert found is not None
    assert found.name == "kernel-flipped"
    assert not found.always


@pytest.mark.parametrize(
    "scale",
    [lambda x: 1 + 2**-7 * (x.size % 5), lambda x: float(np.sin(x.sum()) + 2)],
    ids=["a factor of no meaning", "a factor from the numbers"],
)
def test_a_mistake_that_no_explanation_reproduces_gets_no_name(scale: Any) -> None:
    assert explained("conv2d", conv_with(scale=lambda x: x.dtype.type(scale(x))), "grad_weight") is None


@pytest.mark.parametrize("name", ROWS)
def test_a_correct_op_gets_no_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # All 400 cases, and the 1,200 more where few fail, give the same result in many times the time.
    monkeypatch.setattr("parity.naming.observation.MOST_CASES", 40)
    monkeypatch.setattr("parity.naming.observation.MORE_CASES", 40)
    row = ROWS[name]
    with sandboxed():
        observation = Observation(row, adapt(row.op), row.lanes[0])
        # Where a sum cancels, a few results differ in their last digits, and the search has to reject every name.
        names = {quantity: explain(observation, quantity) for quantity in ("output", *row.formulas)}
    assert {*names.values()} == {None}, names


def test_lost_precision_is_named() -> None:
    def narrow(x: Any, w: Any, b: Any = None) -> Any:
        _, pullback = ops.linear(x, w, b)
        y, _ = ops.linear(*(None if a is None else a.astype(np.float32) for a in (x, w, b)))  # type: ignore[arg-type]  # only b may be None
        return y.astype(x.dtype), pullback

    found = explained("linear", narrow, "output", "bound")
    assert found is not None
    assert found.name == "float32-inside"


def test_a_mistake_in_a_layer_of_a_network_names_the_layer() -> None:
    from parity.exam import PLANTED

    bug = next(bug for bug in PLANTED if bug.name == "cnn-relu-not-in-the-chain")
    found = explained("SimpleCNN", bug.op, "grad_conv1.weight")
    assert found is not None
    assert found.name == "relu-passes-all"
    assert "in relu1" in found.sentence


def test_every_quantity_of_every_row_has_a_formula() -> None:
    generator = random.Random(0)
    for name, row in ROWS.items():
        lane = row.lanes[0]
        for _ in range(10 * (row.kind != "network")):  # a network is explained by its layers
            expected = expect(row, draw_plainly(row.strategy(lane=lane), generator)[0], lane)
            assert all(row.formulas.get(quantity) for quantity in expected.theirs), (name, [*expected.theirs])


# ---- explanations that must be ruled out


def pool_by_argmax(x: Any, **o: Any) -> Any:
    """The first maximum of a window, or the first NaN, receives the gradient."""
    at = pool_windows(x, **o)
    patches = gather(x, at, -np.inf)
    winner = patches.argmax(axis=2)[:, :, None]

    def back(dy: Any) -> Any:
        routed = np.zeros_like(patches)
        np.put_along_axis(routed, winner, dy[:, :, None], axis=2)
        return (scatter(routed, at),)

    return np.take_along_axis(patches, winner, axis=2)[:, :, 0], back


def test_an_option_that_changes_nothing_explains_nothing() -> None:
    """argmax selects the first of several NaN; swapping a stride of (1, 1) does not reproduce that."""
    found = explained("max_pool2d", pool_by_argmax, "grad_input", "special")
    assert found is not None
    assert (found.name, found.always) == ("first-nan", True)


def test_the_missing_mean_is_named_on_batches_that_show_it() -> None:
    def loss(x: Any, target: Any, **o: Any) -> Any:
        summed = o | ({"reduction": "sum"} if o["reduction"] == "mean" else {})
        return ops.cross_entropy(x, target, **o)[0], ops.cross_entropy(x, target, **summed)[1]

    found = explained("cross_entropy", loss, "grad_input")
    assert found is not None
    assert found.name == "mean-missing"


def test_a_constant_factor_is_measured() -> None:
    found = explained("conv2d", conv_with(scale=lambda x: x.dtype.type(1.37)), "grad_weight")
    assert found is not None
    assert found.name == "constant-factor"
    assert "1.37 times" in found.sentence


def test_gradients_of_already_updated_weights_are_named() -> None:
    def linear(x: Any, w: Any, b: Any = None) -> Any:
        y, pullback = ops.linear(x, w, b)

        def back(dy: Any) -> Any:
            _, dw, db = pullback(dy)
            return ops.linear(x, w - w.dtype.type(0.01) * dw, b)[1](dy)[0], dw, db

        return y, back

    found = explained("linear", linear, "grad_input")
    assert found is not None
    assert found.name == "updated-weights"
    assert "0.01 times" in found.sentence


def test_an_op_outside_of_the_catalogue_gets_names() -> None:
    """For a row outside of the catalogue, general mistakes edit its options and arrays by name."""
    row = replace(ROWS["conv2d"], name="another")
    op = adapt(lambda *arrays, **options: ops.conv2d(*arrays, **options | {"stride": 1}))
    with sandboxed():
        found = explain(Observation(row, op, "exact"), "output")
    assert found is not None
    assert found.sentence == "the option stride is ignored: it counts as 1"


def test_the_same_implementation_gets_the_same_name() -> None:
    first, second = (explained("conv2d", conv_with(lambda *a: -flipped(*a)), "grad_input") for _ in range(2))
    assert str(first) == str(second)


def test_torch_never_receives_windows_without_a_pixel() -> None:
    """An edited option can cause such windows, for which torch's backward writes outside of its buffer."""
    inputs = {"kernel_size": 2, "stride": 1, "padding": 1, "dilation": 2, "ceil_mode": False}
    probe = Probe(
        ROWS["max_pool2d"].op, {"input": np.zeros((1, 1, 1, 2))}, inputs, np.zeros((1, 1, 1, 2)), "output"
    )
    with pytest.raises(NotApplicable, match="no pixel"):
        probe.reference()


def probe_of(x: Any) -> Probe:
    return Probe(lambda x: (x, lambda dy: (dy,)), {"input": x}, {}, np.ones_like(x), "output")


def test_sums_along_longer_axes_may_differ_by_more_roundings() -> None:
    short, long = (np.full(size, 3.0) for size in (4, 2**15))
    assert agree(long * (1 + 1e-12), long, probe_of(long))
    assert not agree(short * (1 + 1e-12), short, probe_of(short))
    of_long_weight = replace(probe_of(short), arrays={"input": short, "weight": long})
    assert agree(short * (1 + 1e-12), short, of_long_weight)


def test_a_factor_measured_on_a_long_array_holds_on_short_ones() -> None:
    random_numbers = np.random.default_rng(0).standard_normal(2**15 + 1)
    probe, three = probe_of(random_numbers), probe_of(np.full(3, 3.0))
    *_, unrounded = fitted(Evidence([Entry(probe, random_numbers / 3, random_numbers, integer=False)], []))
    assert unrounded.name == "constant-factor"
    np.testing.assert_allclose(unrounded.result(three), 1, rtol=4 * np.finfo(np.float64).eps)


def test_a_network_that_uses_one_image_of_the_batch_is_named() -> None:
    def first_only(x: Any, *parameters: Any, target: Any, **options: Any) -> Any:
        y, pullback = ROWS["SimpleCNN"].op(x[:1], *parameters, target=target[:1], **options)

        def whole(dy: Any) -> Any:
            dx, *others = pullback(dy)
            return np.concatenate([dx, np.zeros_like(x[1:])]), *others

        return y, whole

    found = explained("SimpleCNN", first_only, "grad_fc1.weight")
    assert found is not None
    assert (found.name, found.sentence) == ("first-sample-only", "only the first image of the batch counts")


def test_one_case_in_five_has_a_larger_batch_unless_it_is_restricted() -> None:
    case = Case("relu", (ArraySpec("input", (1, 3)),))

    def sizes(supports: Any) -> list[int]:
        larger = _with_larger_batches(ROWS["relu"], [case] * 10, supports)
        return [case.arrays[0].shape[0] for case in larger if case.arrays[0].shape]

    assert sizes(None) == [1, 1, 1, 1, 4] * 2
    assert sizes({"batch": 1}) == [1] * 10
