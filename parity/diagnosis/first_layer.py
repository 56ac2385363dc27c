"""The layer of a network in which two sides first differ, each compared on the same input and cotangent."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from numpy_cnn.chain import chain
from parity.cases.torch_op import Array, oracle
from parity.rows.generated import Description, as_chain, of_torch, parameter_names


def departs_first(
    layers: Description,
    x: Array,
    parameters: Mapping[str, Array],
    dy: Array,
    other: Mapping[str, Callable[..., Any]] | None = None,
) -> tuple[str, str] | None:
    """The first layer with another output than torch's, or else the last one with another gradient.

    Every layer receives torch's output of the layer before and torch's gradient of its own output, so that a
    difference is of its own making. Numbers are compared bit for bit: the case must be one of the exact lane.

    Args:
        layers: the description.
        x: the input.
        parameters: {name: array}.
        dy: the gradient of the last layer's output.
        other: ops by layer's name that take the place of numpy_cnn's.

    Returns:
        the layer's name and the quantity ("output", "grad_input", "grad_<parameter>"); None where all agree.
    """
    runs = []
    for layer, (name, op) in zip(layers, as_chain(layers, other or {}), strict=True):
        ours, ours_pullback = chain([(name, op)], parameters, x)
        own = parameter_names((layer,))
        x, pullback = oracle(of_torch)(x, *[parameters[p] for p in own], layers=(layer,))
        if not np.array_equal(ours, x):
            return name, "output"
        runs.append((name, own, ours_pullback, pullback))
    for name, own, ours_pullback, pullback in reversed(runs):
        dx, gradients = ours_pullback(dy)
        dy, *theirs = pullback(dy)
        if not np.array_equal(dx, dy):
            return name, "grad_input"
        for parameter, gradient in zip(own, theirs, strict=True):
            if not np.array_equal(gradients[parameter], gradient):
                return name, f"grad_{parameter}"
    return None
