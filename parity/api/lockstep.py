"""Trains both backends and compares them step by step: in lockstep from equal weights, and running freely.

In lockstep, every step of numpy_cnn starts from the parameters and the optimizer state that torch_cnn had before
its own step, so errors do not accumulate. A step is compared in two parts, the gradients of the batch and the
updates by the optimizer, since the second may magnify errors of the first (Adam divides by √v).

*Gradients* are compared with PyTorch's in float64. The allowed error is measured in each step: from PyTorch's
gradients in float32, whose error shows the effect of a roundoff of 2⁻²⁴, and from further float64 gradients with
each weight moved by one roundoff, up or down at random, and the images in another order, so that every sum is
taken in another order.

*Updates* are compared with those that PyTorch's optimizer computes in float64 from numpy_cnn's own gradients. An
update is computed entry by entry from a few numbers xₖ: the gradient, the weight and the optimizer's state. A
rounding of relative size u has no larger effect than one of an xₖ or of the result, so

    |error| ≤ n·u·(Σₖ |∂w/∂xₖ|·|xₖ| + |w| + |Δw|)

for n roundings, to first order. The derivatives are measured by moving each xₖ by a small fraction.

Running freely, two correct runs still drift apart, because each step magnifies the roundoff of the previous ones.
A second run of PyTorch, which starts with each weight of the first layer one unit in the last place (ulp) larger,
shows how far. If the two drifts are alike, the backends cannot agree any better.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

import numpy_cnn.backend
import torch_cnn.backend
from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.backend import Array, Backend, Masks
from numpy_cnn.common.spec.config import AugmentationConfig, OptimizerConfig
from numpy_cnn.common.spec.initial import initial_parameters
from numpy_cnn.common.training.augmentation import augmented
from parity.cases.case import Dtype
from parity.cases.torch_op import one_thread
from parity.report.training_run import Step

Arrays = Mapping[str, Array]

UNCHANGED = AugmentationConfig()
SHAKEN = 2  # gradients from moved weights
KINKS = 50  # further ones, moved further, if a gradient exceeds the allowed error: a ReLU near 0 may go either way
MARGIN = 8  # another order of summation may have an error this many times larger than the largest one measured
ROUNDINGS = 16  # between a gradient and a weight, at most: Adam with weight decay and AMSGrad has 14
MOVE = 2.0**-30  # step for derivatives, large compared with float64's roundoff and small compared with 1
SINGLE, DOUBLE = 2.0**-24, 2.0**-53  # unit roundoff


def train_in_lockstep(
    architecture: Architecture,
    optimizer: OptimizerConfig,
    images: Array,
    labels: Array,
    *,
    batch_size: int,
    steps: int,
    seed: int = 0,
    dtype: Dtype = "float64",
    augmentation: AugmentationConfig = UNCHANGED,
    background: float = 0.0,
) -> Iterator[Step]:
    """Train both backends on the same batches and yield each step as it is done.

    Args:
        architecture: the network.
        optimizer: its schedule covers the steps.
        images: (N, C, H, W).
        labels: (N,), class indices.
        batch_size: images per step, drawn with replacement.
        steps: their number.
        seed: of the initial parameters and of the batches.
        dtype: the precision that is compared.
        augmentation: random changes of the images.
        background: the value of an empty pixel.
    """
    precision = np.dtype(dtype)
    start = initial_parameters(architecture, seed, precision)
    ulp = start | {name: np.nextafter(start[name], np.inf, dtype=precision) for name in architecture.trained[:1]}
    with one_thread():
        numpy_run = numpy_cnn.backend.Backend(architecture, dict(start), optimizer)
        torch_run, ulp_run = (torch_cnn.backend.Backend(architecture, dict(of), optimizer) for of in (start, ulp))
        lockstep = _Lockstep(architecture, optimizer, start, seed)
        generator, epoch_steps = np.random.default_rng([seed, 1]), -(-len(images) // batch_size)
        for number in range(1, steps + 1):
            batch = generator.integers(0, len(images), batch_size)
            masks = architecture.masks(batch_size, generator)
            shown = augmented(images[batch].astype(precision), augmentation, [seed, 4, number], background)
            drawn = _Batch(shown, labels[batch], masks)
            lr = optimizer.lr_at(number - 1, steps, epoch_steps)
            gradients, updates = lockstep.compare(torch_run, drawn, lr)
            (numpy_loss, _), (torch_loss, _), _ = (
                run.train_step(drawn.images, drawn.labels, lr, drawn.masks)
                for run in (numpy_run, torch_run, ulp_run)
            )
            yield Step(
                number,
                numpy_loss,
                torch_loss,
                gradients,
                updates,
                _drift(numpy_run.parameters(), torch_run.parameters()),
                _drift(ulp_run.parameters(), torch_run.parameters()),
            )


class _Batch(NamedTuple):
    images: Array
    labels: Array
    masks: Masks  # of the dropout layers

    def in_order(self, order: Array) -> "_Batch":
        """The same images in another order."""
        masks = {name: mask[order] for name, mask in self.masks.items()}
        return _Batch(self.images[order], self.labels[order], masks)


class _Recording(numpy_cnn.backend.Backend):
    """Keeps the gradients that `train_step` passes to the optimizer."""

    computed: dict[str, Array]

    def update(self, gradients: dict[str, Array], lr: float) -> None:
        self.computed = {name: gradients[name].copy() for name in self.model.architecture.trained}
        super().update(gradients, lr)


class _Lockstep:
    """Compares one step of numpy_cnn, from the state of a PyTorch run, with PyTorch's."""

    def __init__(self, architecture: Architecture, optimizer: OptimizerConfig, start: Arrays, seed: int) -> None:
        self.architecture, self.optimizer = architecture, optimizer
        self.candidate = _Recording(architecture, dict(start), optimizer)
        self.single, self.double = (self._torch(start, kind) for kind in (np.float32, np.float64))
        self.roundoff = DOUBLE if start[architecture.trained[0]].dtype == np.float64 else SINGLE
        self.shaking = np.random.default_rng([seed, 2])
        self.noise = dict.fromkeys(start, 0.0)

    def compare(self, torch_run: Backend, batch: _Batch, lr: float) -> tuple[dict[str, float], dict[str, float]]:
        """The errors, divided by the allowed ones, of gradients and running statistics, and of the updates."""
        parameters = {name: array.copy() for name, array in torch_run.parameters().items()}
        state = {name: array.copy() for name, array in torch_run.optimizer_state().items()}
        _overwrite(self.candidate.parameters(), parameters)
        _overwrite(self.candidate.optimizer_state(), state)
        self.candidate.train_step(batch.images, batch.labels, lr, batch.masks)
        result = self.candidate.parameters()
        computed = self.candidate.computed
        ours = {name: computed.get(name, array) for name, array in result.items()}  # statistics have no gradient
        return self._gradients(ours, parameters, batch), self._updates(parameters, state, lr)

    def _gradients(self, ours: Arrays, parameters: Arrays, batch: _Batch) -> dict[str, float]:
        truth = self._of_torch(self.double, parameters, batch)
        single = self._of_torch(self.single, parameters, batch)
        noise = {n: self.roundoff / SINGLE * _distance(single[n], truth[n]) for n in ours}

        def shaken(by: float) -> dict[str, float]:
            step = by * self.roundoff
            moves = {n: 1 + step * self.shaking.choice([-1, 1], a.shape) for n, a in parameters.items()}
            order = self.shaking.permutation(len(batch.images))
            moved = {n: a * moves[n] for n, a in parameters.items()}
            gradients = self._of_torch(self.double, moved, batch.in_order(order))
            return {n: max(noise[n], _distance(gradients[n], truth[n]) / by) for n in ours}

        def fractions() -> dict[str, float]:
            return {n: self._fraction(gradient, truth[n], noise[n]) for n, gradient in ours.items()}

        for _ in range(SHAKEN):
            noise = shaken(1)
        # Noise decays slowly, because a single step may underestimate that of a parameter with few entries.
        noise = self.noise = {n: max(noise[n], 0.9 * self.noise[n]) for n in ours}
        found = fractions()
        for _ in range(KINKS):
            if max(found.values()) <= 1:
                break
            noise = shaken(MARGIN / 2)
            found = fractions()
        return found

    def _fraction(self, gradient: Array, truth: Array, noise: float) -> float:
        smallest = float(np.finfo(gradient.dtype).tiny)
        rounded = self.roundoff * float(np.abs(truth).max(initial=0.0))
        return _distance(gradient, truth) / (MARGIN * max(noise, rounded, smallest))

    def _updates(self, parameters: Arrays, state: Arrays, lr: float) -> dict[str, float]:
        trained = self.candidate.computed
        before = {name: parameters[name].astype(np.float64) for name in trained}
        given = [parameters, trained, *_by_key(state)]  # moved one at a time
        truth = self._updated(given, lr)
        allowed = {name: np.abs(truth[name]) + np.abs(truth[name] - before[name]) for name in trained}
        for place, arrays in enumerate(given):
            moved = {name: array.astype(np.float64) * (1 + MOVE) for name, array in arrays.items()}
            changed = self._updated([*given[:place], moved, *given[place + 1 :]], lr)
            for name, array in allowed.items():
                array += np.abs(changed[name] - truth[name]) / MOVE
        result = self.candidate.parameters()
        fractions = {}
        for name, array in allowed.items():
            smallest = float(np.finfo(result[name].dtype).tiny)
            error = np.abs(result[name] - truth[name])
            fractions[name] = float((error / (ROUNDINGS * self.roundoff * array + smallest)).max(initial=0.0))
        return fractions

    def _updated(self, given: Sequence[Arrays], lr: float) -> dict[str, Array]:
        """The weights after PyTorch's update in float64 from these weights, gradients and state."""
        parameters, gradients, *states = given
        state = {name: array for arrays in states for name, array in arrays.items()}
        backend = self._torch(parameters, np.float64, state)
        backend.update({name: gradient.astype(np.float64) for name, gradient in gradients.items()}, lr)
        return {name: array.copy() for name, array in backend.parameters().items()}

    def _of_torch(self, backend: Backend, parameters: Arrays, batch: _Batch) -> dict[str, Array]:
        """The gradients of the mean loss, and the running statistics after the step."""
        own = backend.parameters()
        _overwrite(own, parameters)
        images = batch.images.astype(next(iter(own.values())).dtype)
        _, _, gradients = backend.gradients(images, batch.labels, batch.masks)
        statistics = {name: array.copy() for name, array in backend.parameters().items() if name not in gradients}
        return {name: gradient / len(images) for name, gradient in gradients.items()} | statistics

    def _torch(self, parameters: Arrays, kind: type, state: Arrays | None = None) -> Backend:
        own: dict[str, Array] = {name: array.astype(kind) for name, array in parameters.items()}
        of: dict[str, Array] = {name: array.astype(kind) for name, array in (state or {}).items()}
        return torch_cnn.backend.Backend(self.architecture, own, self.optimizer, of)


def _by_key(state: Arrays) -> list[dict[str, Array]]:
    """The optimizer's state, split by torch's names of its entries: exp_avg, exp_avg_sq, step."""
    keys = sorted({name.rpartition(".")[2] for name in state})
    return [{n: array for n, array in state.items() if n.endswith(f".{key}")} for key in keys]


def _overwrite(own: Arrays, other: Arrays) -> None:
    """Replace all values in place, keeping the precision; before the first step there is no state."""
    for name, array in own.items():
        array[...] = other[name]


def _distance(a: Array, b: Array) -> float:
    return float(np.abs(a.astype(np.float64) - b).max(initial=0.0))


def _drift(a: Arrays, b: Arrays) -> float:
    return max(_distance(a[name], b[name]) for name in a)
