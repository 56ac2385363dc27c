"""A dense network in NumPy, the baseline for SimpleCNN. Compare torch_cnn/views/dense.py."""

from functools import partial

import numpy as np

from numpy_cnn import ops, optim
from numpy_cnn.arguments import Array
from numpy_cnn.chain import Layer, chain
from numpy_cnn.common.spec.config import OptimizerConfig


class Dense:
    """A shift-study `Learner`: flatten → dense → ReLU → dense, without a convolution.

    Args:
        parameters: {torch's name: array}, the initial values; copied.
        optimizer: the optimizer and its settings.
    """

    layers: tuple[Layer, ...] = (
        ("flatten", partial(ops.flatten, start_dim=1)),
        ("fc1", ops.linear),
        ("relu1", ops.relu),
        ("fc2", ops.linear),
    )

    def __init__(self, parameters: dict[str, Array], optimizer: OptimizerConfig) -> None:
        self.parameters = {name: array.copy() for name, array in parameters.items()}
        self.optimizer = optim.OPTIMIZERS[optimizer.optimizer](self.parameters, **optimizer.settings())

    def train_step(self, images: Array, labels: Array, lr: float) -> tuple[float, Array]:
        scores, backward = chain(self.layers, self.parameters, images)
        loss, loss_pullback = ops.cross_entropy(scores, labels)
        _, gradients = backward(loss_pullback(np.ones_like(loss))[0], input_gradient=False)
        self.optimizer.lr = lr
        self.optimizer.step(gradients)
        return float(loss), scores

    def logits(self, images: Array) -> Array:
        return chain(self.layers, self.parameters, images)[0]
