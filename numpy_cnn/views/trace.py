"""One picture through the network written in NumPy: every array forward, every gradient back."""

import numpy as np

from numpy_cnn import ops
from numpy_cnn.arguments import Array
from numpy_cnn.chain import chain
from numpy_cnn.common.exhibits.walkthrough.trace import Trace
from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.model import SimpleCNN


def trace(architecture: Architecture, parameters: dict[str, Array], image: Array, label: Array) -> Trace:
    """Apply the layers one by one, keeping every output, and pull the loss back layer by layer.

    Args:
        architecture: of a network whose loss is the cross-entropy.
        parameters: {torch's name: array}.
        image: (1, C, H, W), of the parameters' dtype.
        label: the right class, int64 (1,).
    """
    model = SimpleCNN(architecture, parameters=parameters)
    values, pullbacks = {"input": image}, {}
    y = image
    for name, op in model.layers:
        y, pullbacks[name] = chain([(name, op)], model.parameters, y)
        values[name] = y
    loss, loss_pullback = ops.cross_entropy(y, label)

    # A layer's input is the previous layer's output, so the layer's pullback returns that output's gradient.
    gradients: dict[str, Array] = {}
    of_parameters: dict[str, Array] = {}
    dy, _ = loss_pullback(np.ones_like(loss))
    for name in reversed(pullbacks):
        gradients[name] = dy
        dy, own = pullbacks[name](dy)
        of_parameters |= own
    gradients["input"] = dy

    routes, _ = pullbacks["pool1"](np.ones_like(values["pool1"]))  # a pullback may be called again
    return Trace(
        values,
        {name: gradients[name] for name in values},
        {name: of_parameters[name] for name in parameters},
        routes,
        ops.softmax(y, dim=1)[0],
        float(loss),
    )
