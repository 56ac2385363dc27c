"""The NumPy backend: forward, loss, backward and update, as the shared loop calls them."""

import numpy as np

from numpy_cnn import ops, optim
from numpy_cnn.common.architecture import Architecture
from numpy_cnn.common.backend import Array, one_hot
from numpy_cnn.common.config import OptimizerConfig
from numpy_cnn.model import SimpleCNN
from numpy_cnn.ops.arguments import Pullback

# Images that go through the whole network together. What 64 of them need stays in the cache and, once freed,
# serves the next 64. A gradient is a sum over images, so it may be taken slice by slice.
SLICE = 64


class Backend:
    """`numpy_cnn.common.backend.Backend` in NumPy."""

    def __init__(
        self,
        architecture: Architecture,
        parameters: dict[str, Array],
        optimizer: OptimizerConfig,
        optimizer_state: dict[str, Array] | None = None,
    ) -> None:
        self.model = SimpleCNN(architecture, parameters={name: array.copy() for name, array in parameters.items()})
        trained = {name: self.model.parameters[name] for name in architecture.trained}
        kind = {"adam": optim.Adam, "sgd": optim.SGD}[optimizer.optimizer]
        self.optimizer: optim.Adam | optim.SGD = kind(trained, **optimizer.settings())
        for name, array in (optimizer_state or {}).items():
            parameter, _, key = name.rpartition(".")
            self.optimizer.state.setdefault(parameter, {})[key] = array.copy()

    def train_step(self, images: Array, labels: Array, lr: float) -> tuple[float, Array]:
        loss, scores = 0.0, []
        gradients: dict[str, Array] = {}
        for part in _slices(images):
            part_scores, backward = self.model(images[part])
            part_loss, loss_pullback = self._loss(part_scores, labels[part])
            share = len(part_scores) / len(images)  # the mean of all is the mean of the slices' means, by size
            (dscores, *_) = loss_pullback(share)
            _, part_gradients = backward(dscores, input_gradient=False)
            for name, so_far in gradients.items():
                part_gradients[name] += so_far
            gradients = part_gradients
            loss += share * float(part_loss)
            scores.append(part_scores)
        self.optimizer.lr = lr
        self.optimizer.step({name: gradients[name] for name in self.optimizer.parameters})
        return loss, np.concatenate(scores)

    def logits(self, images: Array) -> Array:
        return np.concatenate([self.model(images[part])[0] for part in _slices(images)])

    def loss(self, scores: Array, labels: Array) -> float:
        return float(self._loss(scores, labels)[0])

    def probabilities(self, scores: Array) -> Array:
        return ops.softmax(scores, dim=1)[0]

    def parameters(self) -> dict[str, Array]:
        return self.model.parameters

    def optimizer_state(self) -> dict[str, Array]:
        state = self.optimizer.state
        return {f"{name}.{key}": array for name, arrays in state.items() for key, array in arrays.items()}

    def _loss(self, scores: Array, labels: Array) -> tuple[Array, Pullback]:
        if self.model.architecture.loss == "mse":
            return ops.mse_loss(scores, one_hot(labels, scores.shape[1], scores.dtype))
        return ops.cross_entropy(scores, labels)


def _slices(images: Array) -> list[slice]:
    return [slice(start, start + SLICE) for start in range(0, max(1, len(images)), SLICE)]
