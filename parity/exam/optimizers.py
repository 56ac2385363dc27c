"""Optimizers with one mistake, as ops: op(parameter, *gradients, **settings) → the parameter after each step."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from numpy_cnn.arguments import Array
from parity.exam.bug import planted
from parity.rows.optimizers import by_hand

Trajectory: TypeAlias = tuple[Array, None]
Gradients: TypeAlias = tuple[Array | None, ...]


# SGD


def _sgd(
    parameter: Array,
    gradients: Gradients,
    *,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool = False,
    ahead: Callable[[Array, Array], Array] | None = None,  # (g, b) → the step with nesterov
    first: Callable[[Array], Array] = lambda g: g,
    absent: Callable[[Array, Array | None], Array] = lambda w, b: w,  # noqa: ARG005  # a step without a gradient
) -> Trajectory:
    w, b = parameter.copy(), None
    trajectory = []
    for gradient in gradients:
        if gradient is None:
            w = absent(w, b)
        else:
            g = (-gradient if maximize else gradient) + weight_decay * w
            step = g
            if momentum:
                b = first(g) if b is None else momentum * b + (1 - dampening) * g
                step = (ahead(g, b) if ahead else g + momentum * b) if nesterov else b
            w = w - lr * step
        trajectory.append(w)
    return np.stack(trajectory).astype(parameter.dtype), None


@planted("SGD", explained=("dampening-first-step",), source="ml-explore/mlx#473")
def sgd_dampening_first_step(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The first gradient is dampened as well, where torch takes it whole."""
    return _sgd(parameter, gradients, **settings, first=lambda g: (1 - settings["dampening"]) * g)


@planted("SGD", explained=("nesterov-ignored",))
def sgd_nesterov_ignored(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """nesterov is not looked at."""
    return _sgd(parameter, gradients, **(settings | {"nesterov": False}))


@planted("SGD", explained=("nesterov-sign",), source="PaddlePaddle/Paddle#12231")
def sgd_nesterov_sign(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """Nesterov's momentum is added to the parameter instead of subtracted."""
    return _sgd(parameter, gradients, **settings, ahead=lambda g, b: g - settings["momentum"] * b)


@planted("SGD", explained=("decay-ignored",), source="ml-explore/mlx#473")
def sgd_decay_needs_momentum(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """Weight decay has no effect without a momentum."""
    return _sgd(parameter, gradients, **(settings if settings["momentum"] else settings | {"weight_decay": 0.0}))


@planted("SGD", explained=("decay-without-lr", "decay-over-lr"))
def sgd_decay_without_lr(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The weights shrink by the decay itself, not by lr times the decay."""
    return _sgd(parameter, gradients, **(settings | {"weight_decay": settings["weight_decay"] / settings["lr"]}))


@planted("SGD", explained=("decay-decoupled",))
def sgd_decay_decoupled(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The decay shrinks the weights and stays out of the momentum."""
    shrink = 1 - settings["lr"] * settings["weight_decay"]
    w, trajectory, seen = parameter.copy(), [], []
    for gradient in gradients:
        seen.append(gradient)
        before, _ = _sgd(np.zeros_like(w), tuple(seen[:-1]) or (None,), **(settings | {"weight_decay": 0.0}))
        after, _ = _sgd(np.zeros_like(w), tuple(seen), **(settings | {"weight_decay": 0.0}))
        if gradient is not None:
            w = shrink * w + (after[-1] - before[-1])
        trajectory.append(w)
    return np.stack(trajectory).astype(parameter.dtype), None


@planted("SGD", explained=("momentum-ignored",))
def sgd_momentum_ignored(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """momentum is not looked at."""
    return _sgd(parameter, gradients, **(settings | {"momentum": 0.0, "nesterov": False}))


@planted("SGD", explained=("none-moves",))
def sgd_none_moves(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """Without a gradient the momentum moves the parameter on."""
    return _sgd(parameter, gradients, **settings, absent=lambda w, b: w if b is None else w - settings["lr"] * b)


@planted("SGD", explained=("momentum-averaged-later",), source="ml-explore/mlx#87")
def sgd_momentum_averages(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The momentum is an average: the gradient is weighted by one minus it."""
    return _sgd(parameter, gradients, **(settings | {"dampening": settings["momentum"]}))


@planted("SGD", explained=("mutates-input",))
def sgd_gradient_kept_as_buffer(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The first gradient itself becomes the momentum's buffer, and is written to in the next step."""
    there = [g for g in gradients if g is not None]
    result = _sgd(parameter, gradients, **settings)
    if settings["momentum"] and len(there) > 1 and there[0].flags.writeable:
        there[0] *= settings["momentum"]
    return result


BUFFERS: dict[Any, Array] = {}


@planted("SGD", explained=("shared-state",))
def sgd_buffers_shared(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The buffers are a mutable default argument: the next optimizer begins where the last one ended."""
    key = parameter.shape, parameter.dtype, str(settings)
    left = BUFFERS.get(key)
    m, d = settings["momentum"], settings["dampening"]
    result = _sgd(parameter, gradients, **settings, first=lambda g: g if left is None else m * left + (1 - d) * g)
    BUFFERS[key] = np.ones_like(parameter)
    return result


# Adam and AdamW


def _adam(
    parameter: Array,
    gradients: Gradients,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    maximize: bool = False,
    decay: str = "coupled",
    corrections: Callable[[int], tuple[float, float]] | None = None,
    denominator: Callable[[Array, float, float], Array] = lambda v, c, eps: np.sqrt(v / c) + eps,
    second: Callable[[Array], Array] = np.square,
    largest: str = "before",
    none_counts: bool = False,
    none_decays: bool = False,
) -> Trajectory:
    w = parameter.astype(np.float64)
    m, v, most = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    t, trajectory = 0, []
    for gradient in gradients:
        t += gradient is not None or none_counts
        if gradient is not None:
            g = (-gradient if maximize else gradient).astype(np.float64)
            g = g + weight_decay * w if decay == "coupled" else g
            if decay == "decoupled":
                w = w - lr * weight_decay * w
            elif decay == "without lr":
                w = w - weight_decay * w
            m = betas[0] * m + (1 - betas[0]) * g
            v = betas[1] * v + (1 - betas[1]) * second(g)
            c1, c2 = corrections(t) if corrections else (1 - betas[0] ** t, 1 - betas[1] ** t)
            held = v
            if amsgrad:
                most = np.maximum(most, v / c2 if largest == "after" else v)
                held = most * c2 if largest == "after" else most
            w = w - lr * (m / c1) / denominator(held, c2, eps)
            if decay == "after":
                w = w - lr * weight_decay * w
        elif none_decays:
            w = w - lr * weight_decay * w
        trajectory.append(w)
    return np.stack(trajectory).astype(parameter.dtype), None


@planted("Adam", explained=("bias-correction-missing",))
def adam_bias_correction_missing(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """Neither moment is corrected for having begun at 0."""
    return _adam(parameter, gradients, **settings, corrections=lambda t: (1.0, 1.0))  # noqa: ARG005  # the bug


@planted("Adam", explained=("bias-correction-first-only",))
def adam_first_moment_corrected_only(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The second moment is not corrected."""
    return _adam(parameter, gradients, **settings, corrections=lambda t: (1 - settings["betas"][0] ** t, 1.0))


@planted("Adam", explained=("bias-correction-second-only",))
def adam_second_moment_corrected_only(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The first moment is not corrected."""
    return _adam(parameter, gradients, **settings, corrections=lambda t: (1.0, 1 - settings["betas"][1] ** t))


@planted("Adam", explained=("bias-correction-late",))
def adam_steps_counted_from_two(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The step is counted up once too often before the correction."""
    b1, b2 = settings["betas"]
    return _adam(parameter, gradients, **settings, corrections=lambda t: (1 - b1 ** (t + 1), 1 - b2 ** (t + 1)))


@planted("Adam", explained=("bias-correction-product",), source="karpathy/convnetjs#107")
def adam_correction_by_product(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The moments are multiplied by the correction instead of divided."""
    b1, b2 = settings["betas"]
    return _adam(parameter, gradients, **settings, corrections=lambda t: (1 / (1 - b1**t), 1 / (1 - b2**t)))


@planted("Adam", explained=("epsilon-inside-root",))
def adam_epsilon_inside_root(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """Epsilon is added under the root."""
    return _adam(parameter, gradients, **settings, denominator=lambda v, c, eps: np.sqrt(v / c + eps))


@planted("Adam", explained=("epsilon-before-correction",), source="tensorflow/tensorflow#35102")
def adam_epsilon_before_correction(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """Epsilon is added to the uncorrected root, and so corrected with it."""
    return _adam(parameter, gradients, **settings, denominator=lambda v, c, eps: (np.sqrt(v) + eps) / np.sqrt(c))


@planted("Adam", explained=("decay-decoupled",))
def adam_decay_decoupled(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """Adam's weight decay is AdamW's."""
    return _adam(parameter, gradients, **settings, decay="decoupled")


@planted("Adam", explained=("decay-ignored",))
def adam_decay_ignored(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """weight_decay is not looked at."""
    return _adam(parameter, gradients, **settings, decay="none")


@planted("Adam", explained=("amsgrad-ignored",))
def adam_amsgrad_ignored(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """amsgrad is not looked at."""
    return _adam(parameter, gradients, **(settings | {"amsgrad": False}))


@planted("Adam", explained=("amsgrad-after-correction",), source="google-deepmind/optax#1423")
def adam_amsgrad_after_correction(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The maximum is taken of the corrected second moments."""
    return _adam(parameter, gradients, **settings, largest="after")


@planted("Adam", explained=("betas-swapped",))
def adam_betas_swapped(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The two betas change places."""
    return _adam(parameter, gradients, **(settings | {"betas": settings["betas"][::-1]}))


@planted("Adam", explained=("none-advances",))
def adam_none_counts(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """A step without a gradient is counted."""
    return _adam(parameter, gradients, **settings, none_counts=True)


@planted("Adam", explained=("square-missing-in-moment",))
def adam_second_moment_absolute(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The second moment averages |g| instead of its square."""
    return _adam(parameter, gradients, **settings, second=np.abs)


@planted("Adam", source="frgfm/Holocron#1")
def adam_correction_in_place(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The correction is done in place, so that the next step corrects the corrected moments again."""
    b1, b2 = settings["betas"]
    products = {0: (1.0, 1.0)}

    def corrections(t: int) -> tuple[float, float]:
        # In place: m ← (β m̂ + (1 − β) g) / c; for a constant gradient m̂ is then larger by what is left of 1 / c.
        before = products[t - 1]
        products[t] = ((1 - b1**t) * before[0], (1 - b2**t) * before[1])
        return products[t]

    return _adam(parameter, gradients, **settings, corrections=corrections)


class _CountsEachParameter:
    """Adam with one count of steps for all parameters, which each of them raises."""

    def __init__(self, parameters: dict[str, Array], **settings: Any) -> None:
        self.parameters, self.settings, self.count = parameters, settings, 0
        self.seen: dict[str, list[Array]] = {name: [] for name in parameters}
        self.counts: dict[str, list[int]] = {name: [] for name in parameters}
        self.begun = {name: w.copy() for name, w in parameters.items()}

    def step(self, gradients: dict[str, Array | None]) -> None:
        b1, b2 = self.settings["betas"]
        for name, gradient in gradients.items():
            if gradient is not None:
                self.count += 1
                self.seen[name].append(gradient)
                self.counts[name].append(self.count)
                corrections = [(1 - b1**count, 1 - b2**count) for count in self.counts[name]]
                trajectory, _ = _adam(
                    self.begun[name],
                    tuple(self.seen[name]),
                    **self.settings,
                    corrections=lambda t, each=tuple(corrections): each[t - 1],  # type: ignore[misc]  # its default
                )
                self.parameters[name][...] = trajectory[-1]


@planted("Adam", explained=("count-shared", "bias-correction-late"), source="flashlight/flashlight#143")
def adam_count_raised_by_each_parameter(
    parameter: Array, *gradients: Array | None, **settings: Any
) -> tuple[Array, Any]:
    """One step count for all parameters is raised within the loop over them."""
    made: tuple[Array, Any] = by_hand(_CountsEachParameter)(parameter, *gradients, **settings)
    return made


@planted("AdamW", explained=("decay-coupled",))
def adamw_decay_coupled(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The decay is added to the gradient, as in Adam."""
    return _adam(parameter, gradients, **settings)


@planted("AdamW", explained=("decay-without-lr",), source="modern-fortran/neural-fortran#152")
def adamw_decay_without_lr(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The weights shrink by the decay itself, as the paper's formula has it."""
    return _adam(parameter, gradients, **settings, decay="without lr")


@planted("AdamW", explained=("decay-after-step",), source="aiqm/torchani#261")
def adamw_decay_after_step(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The weights shrink after the step, and the step with them."""
    return _adam(parameter, gradients, **settings, decay="after")


@planted("AdamW", explained=("decay-ignored",))
def adamw_decay_ignored(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """weight_decay is not looked at."""
    return _adam(parameter, gradients, **settings, decay="none")


@planted("AdamW", explained=("epsilon-before-correction",), source="karpathy/nanochat#304")
def adamw_epsilon_before_correction(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """Epsilon is added to the uncorrected root."""
    return _adam(
        parameter,
        gradients,
        **settings,
        decay="decoupled",
        denominator=lambda v, c, eps: (np.sqrt(v) + eps) / np.sqrt(c),
    )


@planted("AdamW", explained=("amsgrad-after-correction",))
def adamw_amsgrad_after_correction(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The maximum is taken of the corrected second moments."""
    return _adam(parameter, gradients, **settings, decay="decoupled", largest="after")


@planted("AdamW", explained=("none-decays",))
def adamw_none_decays(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """A parameter without a gradient shrinks all the same."""
    return _adam(parameter, gradients, **settings, decay="decoupled", none_decays=True)


@planted("SGD", explained=("decay-twice",))
def sgd_decay_twice(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The decay is added to the gradient twice: once by the loss, once by the optimizer."""
    return _sgd(parameter, gradients, **(settings | {"weight_decay": 2 * settings["weight_decay"]}))


@planted("Adam", explained=("adam-root-missing",))
def adam_root_of_the_mean(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The root is missing: the step is divided by the mean square itself."""
    return _adam(parameter, gradients, **settings, denominator=lambda v, c, eps: v / c + eps)


@planted("AdamW", explained=("betas-swapped",))
def adamw_betas_swapped(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The two betas change places."""
    return _adam(parameter, gradients, **(settings | {"betas": settings["betas"][::-1]}), decay="decoupled")
