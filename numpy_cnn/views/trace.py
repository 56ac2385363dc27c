"""One picture through the network written in NumPy: every array forward, every gradient back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from numpy_cnn import ops
from numpy_cnn.arguments import Array, Pullback
from numpy_cnn.chain import Layer, Residual, chain
from numpy_cnn.common.exhibits.demo.child import serve
from numpy_cnn.common.exhibits.walkthrough.trace import Trace
from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.backend import one_hot
from numpy_cnn.model import SimpleCNN


def trace(architecture: Architecture, parameters: dict[str, Array], image: Array, label: Array) -> Trace:
    """Apply the layers one by one, store every output, and propagate the gradient back layer by layer.

    Args:
        architecture: of the network.
        parameters: {torch's name: array}.
        image: (1, C, H, W), of the parameters' dtype.
        label: the right class, int64 (1,).
    """
    model = SimpleCNN(architecture, parameters=parameters)
    seen = _Pass(parameters, {"input": image})
    y, back = seen.forward(model.layers, image)
    if architecture.loss == "mse":
        loss, loss_pullback = ops.mse_loss(y, one_hot(label, y.shape[1], y.dtype))
    else:
        loss, loss_pullback = ops.cross_entropy(y, label)
    seen.gradients["input"] = back(loss_pullback(np.ones_like(loss))[0])
    routes, _ = seen.pullbacks["pool1"](np.ones_like(seen.values["pool1"]))  # a pullback may be called again
    return Trace(
        seen.values,
        {name: seen.gradients[name] for name in seen.values},
        {name: seen.of_parameters[name] for name in parameters if name in seen.of_parameters},
        routes,
        ops.softmax(y, dim=1)[0],
        float(loss),
    )


@dataclass
class _Pass:
    """The arrays of a pass by the name of their layer; the layers inside a residual block are included."""

    parameters: dict[str, Array]
    values: dict[str, Array]
    pullbacks: dict[str, Pullback] = field(default_factory=dict)
    gradients: dict[str, Array] = field(default_factory=dict)
    of_parameters: dict[str, Array] = field(default_factory=dict)

    def forward(
        self, layers: Sequence[Layer], x: Array, prefix: str = ""
    ) -> tuple[Array, Callable[[Array], Array]]:
        """The output of the layers, and the function from its gradient to that of x."""
        backward: list[Callable[[Array], Array]] = []
        for name, op in layers:
            full = f"{prefix}{name}"
            if isinstance(op, Residual):
                f, f_back = self.forward(op.residual, x, f"{full}.residual.")
                s, s_back = self.forward(op.shortcut, x, f"{full}.shortcut.")
                x = f + s
                backward.append(self._of_block(full, f_back, s_back))
            else:
                x, self.pullbacks[full] = chain([(name, op)], self.parameters, x, prefix=prefix)
                backward.append(self._of_layer(full))
            self.values[full] = x

        def back(dy: Array) -> Array:
            for step in reversed(backward):
                dy = step(dy)
            return dy

        return x, back

    def _of_layer(self, name: str) -> Callable[[Array], Array]:
        def step(dy: Array) -> Array:
            self.gradients[name] = dy
            dx: Array
            dx, own = self.pullbacks[name](dy)
            self.of_parameters |= own
            return dx

        return step

    def _of_block(
        self, name: str, f_back: Callable[[Array], Array], s_back: Callable[[Array], Array]
    ) -> Callable[[Array], Array]:
        def step(dy: Array) -> Array:
            self.gradients[name] = dy
            return f_back(dy) + s_back(dy)

        return step


if __name__ == "__main__":
    serve(trace)
