"""What goes wrong in a whole network: one layer has one of the mistakes that such a layer can have.

The network runs here layer by layer, each by its own oracle; a layer's output, its gradients or both come from an
explanation instead. So whatever can be said of an op can be said of a layer.
"""

from collections.abc import Callable, Iterator
from typing import get_args

import numpy as np

from numpy_cnn.common.spec.architecture import Activation, Architecture, preset
from parity.cases.torch_op import Array, oracle
from parity.naming.explanation import Explanation
from parity.naming.general import ZERO
from parity.naming.probe import Probe
from parity.rows.layers import Layer, layers_of

QUANTITIES = ("output", "grad_input", "grad_weight", "grad_bias")  # of a layer
Tried = dict[str, tuple[Explanation, ...]]  # {row: its explanations}


def _with(place: str, wrongs: dict[str, Explanation]) -> Callable[[Probe], Array]:
    """The network's answer with mistakes in one layer, by its quantities."""

    def formula(probe: Probe) -> Array:
        layers = layers_of(Architecture.from_json(probe.options["architecture"]))
        if all(layer.name != place for layer in layers):
            return probe.reference()
        known = {**probe.arrays, "target": probe.options["target"]}

        def result(layer: Layer, call: Probe) -> Array:
            wrong = wrongs.get(call.quantity) if layer.name == place else None
            return call.reference() if wrong is None else wrong.result(call)

        values, x = [], probe.first
        for layer in layers:
            arrays = {"input": x, **{argument: known.get(name) for argument, name in layer.parameters.items()}}
            # The output's shape is needed by formulas of windows before there is a cotangent.
            call = Probe(oracle(layer.row.like), arrays, layer.options, np.zeros(()), "output")
            call = call.with_upstream(np.zeros_like(call.forward[0]))
            values.append(call)
            x = result(layer, call)
        if probe.is_output:
            return x
        dy: Array = probe.dy
        for layer, call in zip(reversed(layers), reversed(values), strict=True):
            call = call.with_upstream(dy)
            for argument, name in layer.parameters.items():
                if probe.quantity == f"grad_{name}":
                    return result(layer, call.of_quantity(f"grad_{argument}"))
            dy = result(layer, call.of_quantity("grad_input"))
        return dy

    return formula


def _of_batch(which: slice) -> Callable[[Probe], Probe]:
    def edit_inputs(probe: Probe) -> Probe:
        kept = probe.with_arrays(input=probe.first[which])
        return kept.with_options(target=probe.options["target"][which])

    return edit_inputs


def _places() -> list[tuple[str, str]]:
    """(name, row) of every layer that a SimpleCNN can have, the last ones first."""
    networks = [
        preset("hidden", image_size=(8, 8), activation=activation, loss=loss)
        for activation in get_args(Activation)
        for loss in ("mse", "cross_entropy")
    ]
    layers = [layer for network in networks for layer in reversed(layers_of(network))]
    return list(dict.fromkeys((layer.name, layer.row.name) for layer in layers))


def network(tried: Tried) -> Iterator[Explanation]:
    """Explanations for SimpleCNN, made of those for the rows of its layers."""
    yield ZERO
    for name, which in (("first", slice(0, 1)), ("last", slice(-1, None))):
        sentence = f"only the {name} image of the batch counts"
        yield Explanation(f"{name}-sample-only", sentence, _of_batch(which))
    # Those of gradients alone come first: where the output is right, the others need not be tried.
    places = _places()
    for place, row in places:
        yield from _in_gradients(place, tried.get(row, ()))
    for place, row in places:
        yield from _in_output(place, tried.get(row, ()))


def _in_gradients(place: str, tried: tuple[Explanation, ...]) -> Iterator[Explanation]:
    for wrong in tried:
        for part in QUANTITIES[1:]:
            if wrong.explains(part):
                sentence = f"in {place}, in its {part}: {wrong.sentence}"
                yield Explanation(wrong.name, sentence, formula=_with(place, {part: wrong}), quantities="grad_")


def _in_output(place: str, tried: tuple[Explanation, ...]) -> Iterator[Explanation]:
    for wrong in tried:
        if not wrong.explains("output"):
            continue
        alike = [other for other in tried if other.name == wrong.name and other.quantities == "grad_"]
        others = [wrong] if wrong.explains(QUANTITIES[1]) else alike  # one mistake, told once or twice
        for other in others:
            both = {"output": wrong} | dict.fromkeys(QUANTITIES[1:], other)
            yield Explanation(wrong.name, f"in {place}: {wrong.sentence}", formula=_with(place, both))
        sentence = f"in {place}, in its output: {wrong.sentence}"
        yield Explanation(wrong.name, sentence, formula=_with(place, {"output": wrong}))
