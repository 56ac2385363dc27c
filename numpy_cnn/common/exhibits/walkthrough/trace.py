"""All values and gradients of one picture in a network."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from numpy_cnn.common.spec.architecture import Architecture

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Trace:
    """One forward and backward pass. A stage is named after the layer whose output it is; the first is `input`.

    The layers inside a residual block are stages too, before the block itself: `block1.residual.conv1`.

    Args:
        values: the value of each stage, (1, …), in order; the last one is the scores (1, classes).
        gradients: dloss/dvalue of each stage, in the stage's shape.
        parameters: dloss/dparameter under torch's names, including parameters that are not trained.
        routes: the input gradient of `pool1` for an upstream gradient of ones: 1 at each maximum.
        probabilities: the softmax of the scores, (1, classes).
        loss: of the right class: the cross-entropy, or the squared error if the network is trained on it.
    """

    values: dict[str, Array]
    gradients: dict[str, Array]
    parameters: dict[str, Array]
    routes: Array
    probabilities: Array
    loss: float

    @property
    def scores(self) -> str:
        """The name of the last stage."""
        return list(self.values)[-1]

    @property
    def answer(self) -> int:
        """The class of the highest probability."""
        return int(self.probabilities[0].argmax())

    def arrays(self) -> dict[str, Array]:
        """All arrays by name: `input`, …, `probabilities`, `loss`, then `gradient of …`, the last stage first."""
        forward = {**self.values, "routes": self.routes, "probabilities": self.probabilities}
        backward = {f"gradient of {name}": array for name, array in reversed(self.gradients.items())}
        backward |= {f"gradient of {name}": array for name, array in self.parameters.items()}
        return {**forward, "loss": np.array(self.loss), **backward}


# tracer(architecture, parameters, image (1, C, H, W), label (1,)) → Trace, all in the dtype of the image.
Tracer: TypeAlias = Callable[[Architecture, dict[str, Array], Array, Array], Trace]
