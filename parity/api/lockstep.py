"""Both backends in training, compared step by step: in lockstep from equal weights, and running freely.

In lockstep, every step of numpy_cnn starts from the parameters and the optimizer state that torch_cnn had before
the same step, so an error is visible in the step and the parameter where it occurs, and does not propagate.

The allowed difference follows from the step itself. A float32 step of PyTorch from the same weights differs from
its float64 step by a roundoff of 2⁻²⁴, amplified by the computation (a division by √v, for example), and by at
least 2⁻²⁴ of the weight itself, since the sum is rounded. A float32 step of numpy_cnn may differ from the float64
step by the same amount; a float64 step, whose roundoff is 2⁻⁵³, by 2⁻²⁹ of it.

PyTorch's error may be small by chance, and PyTorch computes some float32 sums in double precision. So a second
float64 step of PyTorch starts from weights that are each moved by one roundoff, up or down at random, and
processes the images in reverse, so that every sum over them has another order. The change of its update is
allowed as well.

Running freely, two correct runs drift apart: each step amplifies the roundoff of the previous ones. A second run
of PyTorch, whose first-layer weights are each one unit in the last place (ulp) larger, shows how far. If the two
drifts are alike, the backends cannot agree any better.
"""

from collections.abc import Iterator, Mapping

import numpy as np

import numpy_cnn.backend
import torch_cnn.backend
from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.backend import Array, Backend
from numpy_cnn.common.spec.config import OptimizerConfig
from numpy_cnn.common.spec.initial import initial_parameters
from parity.cases.case import Dtype
from parity.cases.torch_op import one_thread
from parity.report.training_run import Step

# Another correct step may add in another order, so its error may exceed PyTorch's by a small factor.
# The worst of 16,000 steps (--arch tiny, edge, simple, hidden; adam, sgd; both precisions) reached 2.5.
MARGIN = 8
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
) -> Iterator[Step]:
    """Train both backends on the same batches and yield each step.

    Args:
        architecture: the network.
        optimizer: its schedule covers the steps.
        images: (N, C, H, W).
        labels: (N,), class indices.
        batch_size: images per step, drawn with replacement.
        steps: how many.
        seed: of the initial parameters and of the batches.
        dtype: the precision that is compared.
    """
    single, double = np.dtype(np.float32), np.dtype(np.float64)
    precision = np.dtype(dtype)
    start = initial_parameters(architecture, seed, precision)

    def make(kind: type[Backend], of: np.dtype, parameters: Mapping[str, Array] = start) -> Backend:
        own = {name: array.astype(of) for name, array in parameters.items()}
        return kind(architecture, own, optimizer)

    with one_thread():
        torch_run, numpy_run = (
            make(torch_cnn.backend.Backend, precision),
            make(numpy_cnn.backend.Backend, precision),
        )
        first = architecture.trained[0]
        nudged = start | {first: np.nextafter(start[first], np.inf, dtype=precision)}
        ulp_run = make(torch_cnn.backend.Backend, precision, nudged)
        candidate = make(numpy_cnn.backend.Backend, precision)
        referee, rounded = make(torch_cnn.backend.Backend, double), make(torch_cnn.backend.Backend, single)
        shaken = make(torch_cnn.backend.Backend, double)
        roundoff = DOUBLE if precision == double else SINGLE
        generator, shaking = np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2])
        epoch_steps = -(-len(images) // batch_size)
        margin = MARGIN * roundoff / SINGLE
        for number in range(1, steps + 1):
            batch = generator.integers(0, len(images), batch_size)
            x, y = images[batch].astype(precision), labels[batch]
            lr = optimizer.lr_at(number - 1, steps, epoch_steps)

            for backend in (candidate, referee, rounded, shaken):
                _take_over(backend, torch_run)
            moves = {name: _shake(shaken.parameters()[name], roundoff, shaking) for name in architecture.trained}
            numpy_loss, _ = numpy_run.train_step(x, y, lr)
            torch_loss, _ = torch_run.train_step(x, y, lr)
            for backend, of in (
                (ulp_run, precision),
                (candidate, precision),
                (referee, double),
                (rounded, single),
            ):
                backend.train_step(x.astype(of), y, lr)
            shaken.train_step(x[::-1].astype(double), y[::-1].copy(), lr)
            truth, ours, theirs = referee.parameters(), candidate.parameters(), rounded.parameters()
            changed = {name: shaken.parameters()[name] - move for name, move in moves.items()}
            yield Step(
                number,
                numpy_loss,
                torch_loss,
                {
                    name: _distance(ours[name], truth[name])
                    / max(
                        margin * _roundoff(theirs[name], truth[name]),
                        MARGIN * _distance(changed[name], truth[name]),
                    )
                    for name in architecture.trained
                },
                max(_distance(numpy_run.parameters()[n], torch_run.parameters()[n]) for n in start),
                max(_distance(ulp_run.parameters()[n], torch_run.parameters()[n]) for n in start),
            )


def _take_over(backend: Backend, other: Backend) -> None:
    """Copy the parameters and the optimizer state of `other` to `backend`, in place and in its precision.

    Before the first step neither side has a state.
    """
    for own, theirs in (
        (backend.parameters(), other.parameters()),
        (backend.optimizer_state(), other.optimizer_state()),
    ):
        for name, array in own.items():
            array[...] = theirs[name]


def _shake(weights: Array, by: float, generator: np.random.Generator) -> Array:
    """Change each weight by a relative `by`, up or down, in place; return the changes."""
    moves: Array = weights * by * generator.choice([-1.0, 1.0], weights.shape)
    weights += moves
    return moves


def _distance(a: Array, b: Array) -> float:
    return float(np.abs(a.astype(np.float64) - b).max(initial=0.0))


def _roundoff(single: Array, double: Array) -> float:
    """The effect of rounding to float32 on an update, and at least half a unit of the largest weight."""
    smallest = float(np.finfo(np.float32).tiny)
    return max(_distance(single, double), SINGLE * float(np.abs(double).max(initial=0.0)), smallest)
