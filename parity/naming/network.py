"""What goes wrong in a whole network: one layer has one of the mistakes that such a layer can have.

The network runs here layer by layer, each by its own oracle; a layer's output, its gradients or both come from an
explanation instead. So whatever can be said of an op can be said of a layer.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch.nn.functional as F  # noqa: N812  # the name the field uses

from numpy_cnn.common.spec.architecture import Architecture
from parity.cases.torch_op import Array, Op, oracle
from parity.naming.explanation import Explanation, Question
from parity.naming.general import ZERO

QUANTITIES = ("output", "grad_input", "grad_weight", "grad_bias")  # of a layer
Tried = dict[str, tuple[Explanation, ...]]  # {row: its explanations}


@dataclass(frozen=True)
class _Layer:
    """An op in the chain, and the parameters that it is given behind its input."""

    name: str
    row: str
    like: Op
    parameters: dict[str, str]  # {its argument: the network's name for it}
    options: Callable[[Question], dict[str, Any]]


def _layers(architecture: Architecture) -> list[_Layer]:
    a = architecture
    shapes = a.parameter_shapes()

    def of(layer: str) -> dict[str, str]:
        return {argument: f"{layer}.{argument}" for argument in ("weight", "bias")}

    def fixed(**options: Any) -> Callable[[Question], dict[str, Any]]:
        return lambda _: options

    pool = {"kernel_size": a.pool, "stride": None, "padding": 0, "dilation": 1, "ceil_mode": False}
    conv, relu = {"stride": a.stride, "padding": a.padding, "dilation": 1, "groups": 1}, oracle(F.relu)
    found = [
        _Layer("conv1", "conv2d", oracle(F.conv2d), of("conv1"), fixed(**conv)),
        _Layer("relu1", "relu", relu, {}, fixed()),
        _Layer("pool1", "max_pool2d", oracle(F.max_pool2d), {}, fixed(**pool)),
        _Layer("flatten", "flatten", oracle(_flatten), {}, fixed(start_dim=1, end_dim=-1)),
        _Layer("fc1", "linear", oracle(F.linear), of("fc1"), fixed()),
    ]
    if "fc2.weight" in shapes:
        found += [
            _Layer("relu2", "relu", relu, {}, fixed()),
            _Layer("fc2", "linear", oracle(F.linear), of("fc2"), fixed()),
        ]
    loss = ("mse_loss", F.mse_loss) if a.loss == "mse" else ("cross_entropy", F.cross_entropy)
    return [
        *found,
        _Layer("the loss", loss[0], oracle(loss[1]), {"target": "target"}, fixed(reduction="sum")),
    ]


def _flatten(x: Any, start_dim: int, end_dim: int) -> Any:
    return x.flatten(start_dim, end_dim)


def _with(place: str, wrongs: dict[str, Explanation]) -> Callable[[Question], Array]:
    """The network's answer with mistakes in one layer, by its quantities."""

    def computes(question: Question) -> Array:
        layers = _layers(Architecture.from_json(question.options["architecture"]))
        if all(layer.name != place for layer in layers):
            return question.answer()
        known = {**question.arrays, "target": question.options["target"]}

        def result(layer: _Layer, asked: Question) -> Array:
            wrong = wrongs.get(asked.quantity) if layer.name == place else None
            return asked.answer() if wrong is None else wrong.result(asked)

        values, x = [], question.first
        for layer in layers:
            arrays = {"input": x, **{argument: known.get(name) for argument, name in layer.parameters.items()}}
            # The output's shape is needed by formulas of windows before there is a cotangent.
            asked = Question(layer.like, arrays, layer.options(question), np.zeros(()), "output")
            asked = asked.with_upstream(np.zeros_like(asked.forward[0]))
            values.append(asked)
            x = result(layer, asked)
        if question.about_output:
            return x
        dy: Array = question.dy
        for layer, asked in zip(reversed(layers), reversed(values), strict=True):
            asked = asked.with_upstream(dy)
            for argument, name in layer.parameters.items():
                if question.quantity == f"grad_{name}":
                    return result(layer, asked.about(f"grad_{argument}"))
            dy = result(layer, asked.about("grad_input"))
        return dy

    return computes


def _of_batch(which: slice) -> Callable[[Question], Question]:
    def asks(question: Question) -> Question:
        kept = question.with_arrays(input=question.first[which])
        return kept.with_options(target=question.options["target"][which])

    return asks


PLACES = (
    ("the loss", "mse_loss"),
    ("the loss", "cross_entropy"),
    ("fc2", "linear"),
    ("relu2", "relu"),
    ("fc1", "linear"),
    ("flatten", "flatten"),
    ("pool1", "max_pool2d"),
    ("relu1", "relu"),
    ("conv1", "conv2d"),
)


def network(tried: Tried) -> Iterator[Explanation]:
    """Explanations for SimpleCNN, made of those for the rows of its layers."""
    yield ZERO
    for name, which in (("first", slice(0, 1)), ("last", slice(-1, None))):
        sentence = f"only the {name} image of the batch counts"
        yield Explanation(f"{name}-sample-only", sentence, _of_batch(which))
    # Those of gradients alone come first: where the output is right, the others need not be tried.
    for place, row in PLACES:
        yield from _in_gradients(place, tried[row])
    for place, row in PLACES:
        yield from _in_output(place, tried[row])


def _in_gradients(place: str, tried: tuple[Explanation, ...]) -> Iterator[Explanation]:
    for wrong in tried:
        for part in QUANTITIES[1:]:
            if wrong.explains(part):
                sentence = f"in {place}, in its {part}: {wrong.sentence}"
                yield Explanation(wrong.name, sentence, computes=_with(place, {part: wrong}), quantities="grad_")


def _in_output(place: str, tried: tuple[Explanation, ...]) -> Iterator[Explanation]:
    for wrong in tried:
        if not wrong.explains("output"):
            continue
        alike = [other for other in tried if other.name == wrong.name and other.quantities == "grad_"]
        others = [wrong] if wrong.explains(QUANTITIES[1]) else alike  # one mistake, told once or twice
        for other in others:
            both = {"output": wrong} | dict.fromkeys(QUANTITIES[1:], other)
            yield Explanation(wrong.name, f"in {place}: {wrong.sentence}", computes=_with(place, both))
        sentence = f"in {place}, in its output: {wrong.sentence}"
        yield Explanation(wrong.name, sentence, computes=_with(place, {"output": wrong}))
