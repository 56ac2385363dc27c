"""Generated networks: both sides agree, and a mistake in one layer is found and its layer named."""

from __future__ import annotations

import random
from typing import Any

import pytest

from numpy_cnn import ops
from parity.cases.case import ArraySpec, Case, Lane
from parity.cases.primitives import draw_plainly
from parity.cases.torch_op import one_thread
from parity.diagnosis.first_layer import first_wrong_layer
from parity.lanes import bound, exact
from parity.lanes.reference import expect
from parity.rows import generated
from parity.running.compare import differences_of
from parity.running.row import run_row

(NETWORK,) = generated.ROWS
CONV = ("conv2d", {"padding": 1})
OPTIONS: dict[str, Any] = {
    "max_pool2d": {"kernel_size": 1},
    "avg_pool2d": {"kernel_size": 1},
    "leaky_relu": {"negative_slope": 0.5},
    "adaptive_max_pool2d": {"output_size": (4, 4)},
    "adaptive_avg_pool2d": {"output_size": (4, 4)},
    "interpolate": {"scale_factor": 1},
}
SHAPES: dict[str, Any] = {"conv": ((2, 2, 3, 3), (2,)), "line": ((3, 32), (3,)), "midd": ((2,), (2,))}


def five_layers(function: str) -> Case:
    """A convolution, the function, ReLU, flatten and a dense layer, on 2×4×4 images."""
    layers = (
        ("conv1", *CONV),
        ("middle", function, OPTIONS.get(function, {})),
        ("conv2", *CONV),
        ("flatten", "flatten", {"start_dim": 1}),
        ("linear", "linear", {}),
    )
    names = generated.parameter_names(layers)
    shapes = SHAPES | ({"midd": ((2, 2, 1, 1), (2,))} if function == "conv_transpose2d" else {})
    arrays = [ArraySpec(name, shapes[name[:4]][name.endswith("bias")]) for name in names]
    exactly = function in (*generated.SELECTING, "linear", "conv2d")
    return Case(
        "network",
        (ArraySpec("input", (2, 2, 4, 4)), *arrays),
        {"layers": layers},
        "float64",
        1 if exactly else 2,
        3,
    )


def doubled(function: str) -> Any:
    """The op with a pullback whose first gradient is twice too large."""
    op = generated.batch_norm if function == "batch_norm" else getattr(ops, function)

    def wrong(*arrays: Any, **options: Any) -> Any:
        y, pullback = op(*arrays, **options)

        def twice(dy: Any) -> Any:
            first, *others = pullback(dy)
            return 2 * first, *others

        return y, twice

    return wrong


def with_wrong(layer: str, op: Any) -> Any:
    """The network with another op in place of one layer, if it has that layer."""
    return lambda *arrays, layers: generated.built(layers, {layer: op})(*arrays)


def find_layer(case: Case, layer: str, op: Any, lane: Lane = "bound") -> str | None:
    network = with_wrong(layer, op)
    with one_thread():
        assert differences_of(NETWORK, network, lane, case)[1]
        return first_wrong_layer(NETWORK, case, lambda c: differences_of(NETWORK, network, lane, c)[1])


@pytest.mark.parametrize("lane", ["exact", "bound"])
def test_both_sides_of_generated_networks_agree(lane: Any) -> None:
    generator, compare = random.Random(1), {"exact": exact, "bound": bound}[lane].compare
    with one_thread():
        for _ in range(5):
            case = draw_plainly(NETWORK.strategy(lane=lane), generator)[0]
            assert not compare(NETWORK, NETWORK.op, expect(NETWORK, case, lane))[1], case


@pytest.mark.parametrize("function", [*generated.SELECTING, *generated.SMOOTH, "conv_transpose2d"])
def test_a_wrong_layer_in_the_middle_of_five_is_named(function: str) -> None:
    assert find_layer(five_layers(function), "middle", doubled(function)) == "middle"


@pytest.mark.parametrize(
    ("layer", "function"), [("conv2", "conv2d"), ("linear", "linear"), ("flatten", "flatten")]
)
def test_a_wrong_layer_with_parameters_is_named(layer: str, function: str) -> None:
    assert find_layer(five_layers("relu"), layer, doubled(function)) == layer


def test_a_layer_inside_a_residual_block_is_named() -> None:
    case = five_layers("relu")
    block = ("block", "residual", (("conv1", *CONV), ("relu1", "relu", {})))
    arrays = [ArraySpec(f"block.residual.conv1.{name}", shape) for name, shape in
              zip(("weight", "bias"), SHAPES["conv"], strict=True)]  # fmt: skip
    case = Case("network", (case.arrays[0], *arrays), {"layers": (block, ("relu2", "relu", {}))}, "float64", 1, 3)
    assert find_layer(case, "block.residual.relu1", doubled("relu")) == "block.residual.relu1"


def test_a_mistake_is_shrunk_to_its_layer_and_reported() -> None:
    def network(*arrays: Any, layers: Any) -> Any:
        names = {name for name, function, _ in layers if function == "relu"}
        return generated.built(layers, dict.fromkeys(names, doubled("relu")))(*arrays)

    report = run_row(NETWORK, network, examples=40, seed=0, lanes=["exact"])
    failure = report.failures[0]
    functions = [function for _, function, _ in failure.case.options["layers"]]
    assert functions[1:] == ["relu"]
    assert failure.evidence is not None
    assert failure.evidence.layer == "relu1"
