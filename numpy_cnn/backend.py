"""The NumPy backend: forward, loss, backward and update, as the shared loop calls them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np

from numpy_cnn import ops, optim
from numpy_cnn.arguments import Pullback
from numpy_cnn.chain import chain as apply_layers
from numpy_cnn.clipping import clip_grad_norm, clip_grad_value
from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.backend import NONE, Array, Masks, one_hot
from numpy_cnn.common.spec.config import OptimizerConfig
from numpy_cnn.model import SimpleCNN
from numpy_cnn.ops.fast.matmul import cut

# The most images that go through the network together: few enough for their activations to stay in the cache. A
# gradient is a sum over images, so training works slice by slice too, with larger slices, because threads then
# wait for the interpreter less often.
SCORED, TRAINED = 64, 128

# The fewest images per thread. With fewer, a thread waits for the interpreter longer than it computes.
SHARE = 64

Result = TypeVar("Result")
Reduction: TypeAlias = Literal["mean", "sum"]
Share: TypeAlias = tuple[float, list[Array], dict[str, Array]]  # loss, scores, gradients of a part of the batch


class Backend:
    """`numpy_cnn.common.spec.backend.Backend` in NumPy."""

    def __init__(
        self,
        architecture: Architecture,
        parameters: dict[str, Array],
        optimizer: OptimizerConfig,
        optimizer_state: dict[str, Array] | None = None,
        threads: int | None = None,
    ) -> None:
        self.threads: int | None = threads
        self._parts = threads or 1
        self._helpers = ThreadPoolExecutor(self._parts)  # starts no thread before there is work
        self.model = SimpleCNN(architecture, parameters={name: array.copy() for name, array in parameters.items()})
        trained = {name: self.model.parameters[name] for name in architecture.trained}
        self.optimizer = optim.OPTIMIZERS[optimizer.optimizer](trained, **optimizer.settings())
        self.clip_norm, self.clip_value = optimizer.clip_norm, optimizer.clip_value
        for name, array in (optimizer_state or {}).items():
            parameter, _, key = name.rpartition(".")
            self.optimizer.state.setdefault(parameter, {})[key] = array.copy()

    def train_step(self, images: Array, labels: Array, lr: float, masks: Masks = NONE) -> tuple[float, Array]:
        statistics: dict[str, Array] = {}
        loss, scores, gradients = self._pass(images, labels, "mean", statistics, masks)
        self.update(gradients, lr)
        for name, array in statistics.items():
            self.model.parameters[name][...] = array
        return loss, scores

    def gradients(
        self, images: Array, labels: Array, masks: Masks = NONE
    ) -> tuple[float, Array, dict[str, Array]]:
        loss, scores, gradients = self._pass(images, labels, "sum", {}, masks)
        return loss, scores, {name: gradients[name] for name in self.optimizer.parameters}

    def update(self, gradients: dict[str, Array], lr: float) -> None:
        self.optimizer.lr = lr
        self.optimizer.step(self._clipped({name: gradients[name] for name in self.optimizer.parameters}))

    def _clipped(self, gradients: Mapping[str, Array | None]) -> Mapping[str, Array | None]:
        if self.clip_norm is not None:
            gradients, _ = clip_grad_norm(gradients, self.clip_norm)
        return gradients if self.clip_value is None else clip_grad_value(gradients, self.clip_value)

    def quantities(self, images: Array, labels: Array, masks: Masks = NONE) -> Iterator[tuple[str, Array]]:
        y, pullbacks = images, {}
        for name, op in self.model.layers:
            y, pullbacks[name] = apply_layers([(name, op)], self.model.parameters, y, training=True, masks=masks)
            yield f"the output of {name}", y
        loss, loss_pullback = self._loss(y, labels)
        yield "the loss", loss
        (dy, *_) = loss_pullback(1.0)
        for name, pullback in reversed(pullbacks.items()):
            yield f"the gradient of the output of {name}", dy
            dy, own = pullback(dy)
            yield from ((f"the gradient of {parameter}", gradient) for parameter, gradient in own.items())

    def logits(self, images: Array) -> Array:
        def scores(part: slice) -> list[Array]:
            return [self.model(images[piece])[0] for piece in _slices(part, SCORED)]

        return np.concatenate([*chain.from_iterable(self._in_threads(scores, len(images)))])

    def loss(self, scores: Array, labels: Array) -> float:
        return float(self._loss(scores, labels)[0])

    def probabilities(self, scores: Array) -> Array:
        return ops.softmax(scores, dim=1)[0]

    def parameters(self) -> dict[str, Array]:
        return self.model.parameters

    def optimizer_state(self) -> dict[str, Array]:
        state = self.optimizer.state
        return {f"{name}.{key}": array for name, arrays in state.items() for key, array in arrays.items()}

    def _pass(
        self, images: Array, labels: Array, reduction: Reduction, statistics: dict[str, Array], masks: Masks
    ) -> tuple[float, Array, dict[str, Array]]:
        """The mean or the sum of the images' losses, the scores, and the gradients of that mean or sum."""
        architecture = self.model.architecture
        outputs = architecture.classes if architecture.loss == "mse" else 1

        def of_slice(part: slice) -> Share:
            scores, backward = self.model(
                images[part],
                training=True,
                statistics=statistics,
                masks={name: mask[part] for name, mask in masks.items()},
            )
            loss, loss_pullback = self._loss(scores, labels[part], reduction)
            # The mean over all images is the mean of the slices' means, weighted by size. The squared error of an
            # image is the mean over its outputs.
            share = len(scores) / len(images) if reduction == "mean" else 1 / outputs
            (dscores, *_) = loss_pullback(share)
            _, gradients = backward(dscores, input_gradient=False)
            return share * float(loss), [scores], gradients

        if architecture.couples_images:
            loss, scores, gradients = of_slice(slice(0, len(images)))
        else:
            loss, scores, gradients = _total(
                self._in_threads(lambda part: _total(map(of_slice, _slices(part, TRAINED))), len(images))
            )
        return loss, np.concatenate(scores), gradients

    def _in_threads(self, work: Callable[[slice], Result], images: int) -> Iterator[Result]:
        """The results of `work` for each thread's part of the images, in the order of the parts.

        The calling thread computes the first part, so that Ctrl-C interrupts it as it does without threads.
        """
        size = max(SHARE, -(-images // self._parts))
        first, *others = [slice(start, min(start + size, images)) for start in range(0, max(1, images), size)]
        futures = [self._helpers.submit(_under, np.geterr(), work, part) for part in others]
        yield work(first)
        yield from (future.result() for future in futures)

    def _loss(self, scores: Array, labels: Array, reduction: Reduction = "mean") -> tuple[Array, Pullback]:
        if self.model.architecture.loss == "mse":
            return ops.mse_loss(scores, one_hot(labels, scores.shape[1], scores.dtype), reduction=reduction)
        return ops.cross_entropy(scores, labels, reduction=reduction)


def _under(settings: Any, work: Callable[[slice], Result], part: slice) -> Result:
    """work(part), with these floating-point error settings, which NumPy keeps per thread."""
    with np.errstate(**settings):
        return work(part)


def _total(shares: Iterable[Share]) -> Share:
    """The sum of all shares; gradients are added in this order, so that a run is reproducible bit for bit."""
    shares = iter(shares)
    loss, scores, gradients = next(shares)
    for more_loss, more_scores, more in shares:
        loss += more_loss
        scores += more_scores
        for name, gradient in gradients.items():
            gradient += more[name]
    return loss, scores, gradients


def _slices(part: slice, most: int) -> Iterator[slice]:
    images = part.stop - part.start
    within = cut(images, most) if images else (slice(0, 0),)
    return (slice(part.start + piece.start, part.start + piece.stop) for piece in within)
