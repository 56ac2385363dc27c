"""Inspection of the NumPy network: feature maps, and the gradient of a score with respect to the picture."""

import numpy as np

from numpy_cnn import ops
from numpy_cnn.arguments import Array
from numpy_cnn.chain import chain
from numpy_cnn.common.exhibits.demo.child import serve
from numpy_cnn.common.exhibits.demo.inspector import maps_of
from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.model import SimpleCNN


class Inspector:
    """`numpy_cnn.common.exhibits.demo.inspector.Inspector` in NumPy."""

    def __init__(self, architecture: Architecture, parameters: dict[str, Array]) -> None:
        self.model = SimpleCNN(architecture, parameters=parameters)
        self.maps = maps_of(architecture)

    def look(self, image: Array, digit: int | None = None) -> dict[str, Array]:
        x, maps, pullbacks = image, {}, []
        for layer in self.model.layers:
            x, pullback = chain([layer], self.model.parameters, x)
            pullbacks.append(pullback)
            if layer[0] in self.maps:
                maps[layer[0]] = x[0]
        chosen = int(x[0].argmax()) if digit is None else digit
        gradient = np.zeros_like(x)
        gradient[0, chosen] = 1  # the gradient of that score with respect to all scores
        for pullback in reversed(pullbacks):
            gradient, _ = pullback(gradient)
        return maps | {
            "scores": x[0],
            "probabilities": ops.softmax(x, dim=1)[0][0],
            "saliency": gradient[0],
            "digit": np.array([chosen]),
        }


if __name__ == "__main__":
    serve(Inspector)
