"""Mistakes in a whole network: one layer has a mistake of its op.

The network runs layer by layer, each by its own oracle, except that an explanation computes the output or the
gradients of one layer. So every explanation of an op also applies to a layer.
"""

from collections.abc import Callable, Iterator
from typing import get_args

import numpy as np

from numpy_cnn.common.spec.architecture import Activation, Architecture, preset
from parity.cases.op import Array
from parity.cases.torch_op import oracle
from parity.naming.explanation import Explanation
from parity.naming.general import ZERO
from parity.naming.probe import NotApplicable, Probe
from parity.rows.layers import Layer, layers_of

QUANTITIES = ("output", "grad_input", "grad_weight", "grad_bias")  # quantities of a layer
Tried = dict[str, tuple[Explanation, ...]]  # {row: its explanations}


class _Run:
    """A network run by the oracle layer by layer: the call and the upstream gradient of each layer."""

    def __init__(self, probe: Probe) -> None:
        self.layers = layers_of(Architecture.from_json(probe.options["architecture"]))
        self.places = {layer.name: place for place, layer in enumerate(self.layers)}
        self.known = {**probe.arrays, "target": probe.options["target"]}
        self.calls: list[Probe] = []
        x = probe.first
        for layer in self.layers:
            self.calls.append(self.call(layer, x))
            x = self.calls[-1].forward[0]
        self.dy = probe.dy

    def with_upstreams(self) -> list[Probe]:
        """The calls, each with its upstream gradient."""
        if self.calls[-1].dy is not self.dy:
            dy = self.dy
            for place in reversed(range(len(self.calls))):
                self.calls[place] = self.calls[place].with_upstream(dy)
                dy = self.calls[place].of_quantity("grad_input").reference() if place else dy
        return self.calls

    def call(self, layer: Layer, x: Array) -> Probe:
        """The layer's call on an input, with a cotangent of the output's shape, which formulas of windows need."""
        arrays = {"input": x, **{argument: self.known.get(name) for argument, name in layer.parameters.items()}}
        call = Probe(oracle(layer.row.like), arrays, layer.options, np.zeros(()), "output")
        return call.with_upstream(np.zeros_like(call.forward[0]))


def _run_of(probe: Probe) -> _Run:
    if "run" not in probe.memo:
        probe.memo["run"] = _Run(probe)
    run: _Run = probe.memo["run"]
    return run


def _with(place: str, wrongs: dict[str, Explanation]) -> Callable[[Probe], Array]:
    """The network's result with mistakes in one layer; `wrongs` maps its quantities to explanations."""

    def formula(probe: Probe) -> Array:
        run = _run_of(probe)
        at = run.places.get(place)
        if at is None:
            raise NotApplicable("the network has no such layer")
        calls = run.calls if probe.is_output else run.with_upstreams()
        if "output" in wrongs:
            calls, x = [*calls], wrongs["output"].result(calls[at].of_quantity("output"))
            for after in range(at + 1, len(calls)):
                calls[after] = run.call(run.layers[after], x)
                x = calls[after].forward[0]
            if probe.is_output:
                return x
        return _gradient(probe.quantity, run, calls, at, wrongs, from_the_end="output" in wrongs, dy=probe.dy)

    return formula


def _gradient(
    quantity: str,
    run: _Run,
    calls: list[Probe],
    at: int,
    wrongs: dict[str, Explanation],
    *,
    from_the_end: bool,
    dy: Array,
) -> Array:
    """One gradient of a network with mistakes in a layer; with `from_the_end`, later layers are affected too."""
    begin = len(calls) - 1 if from_the_end else at
    if not from_the_end:
        dy = calls[at].dy
    for place in reversed(range(begin + 1)):
        call, layer = calls[place].with_upstream(dy), run.layers[place]
        mistakes = wrongs if place == at else {}
        for part in (
            f"grad_{argument}" for argument, name in layer.parameters.items() if quantity == f"grad_{name}"
        ):
            return (
                mistakes[part].result(call.of_quantity(part))
                if part in mistakes
                else call.of_quantity(part).reference()
            )
        down = call.of_quantity("grad_input")
        dy = mistakes["grad_input"].result(down) if "grad_input" in mistakes else down.reference()
    if quantity != "grad_input":
        raise NotApplicable("the mistake is in a layer below")
    return dy


def _of_batch(which: slice) -> Callable[[Probe], Probe]:
    def edit_inputs(probe: Probe) -> Probe:
        kept = probe.with_arrays(input=probe.first[which])
        return kept.with_options(target=probe.options["target"][which])

    return edit_inputs


def _places() -> list[tuple[str, str]]:
    """(name, row) of every layer that a SimpleCNN can have, last ones first."""
    networks = [
        preset("hidden", image_size=(8, 8), activation=activation, loss=loss)
        for activation in get_args(Activation)
        for loss in ("mse", "cross_entropy")
    ]
    layers = [layer for network in networks for layer in reversed(layers_of(network))]
    return list(dict.fromkeys((layer.name, layer.row.name) for layer in layers))


def network(tried: Tried) -> Iterator[Explanation]:
    """Explanations for SimpleCNN, derived from those for the rows of its layers."""
    yield ZERO
    for name, which in (("first", slice(0, 1)), ("last", slice(-1, None))):
        sentence = f"only the {name} image of the batch counts"
        yield Explanation(f"{name}-sample-only", sentence, _of_batch(which))
    # Those of single gradients come first: if the output is right, the others need not be tried.
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
        others = [wrong] if wrong.explains(QUANTITIES[1]) else alike  # a mistake may have one explanation or two
        for other in others:
            both = {"output": wrong} | dict.fromkeys(QUANTITIES[1:], other)
            yield Explanation(wrong.name, f"in {place}: {wrong.sentence}", formula=_with(place, both))
        sentence = f"in {place}, in its output: {wrong.sentence}"
        yield Explanation(wrong.name, sentence, formula=_with(place, {"output": wrong}))
