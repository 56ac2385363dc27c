"""Optimizers over {name: array}, which match torch.optim step for step.

An optimizer updates its arrays in place. A parameter without a gradient is skipped: neither its value nor its
step count changes, as in torch if .grad is None.
"""

import math
from collections.abc import Callable, Mapping
from itertools import accumulate, pairwise
from typing import Any, TypeAlias

import numpy as np

from numpy_cnn.arguments import Array
from numpy_cnn.ops.fast.matmul import aligned

State = dict[str, dict[str, Array]]  # {parameter's name: {torch's name of the state: array}}


class SGD:
    """Stochastic gradient descent, as `torch.optim.SGD`.

        g ← g + λ·w                                   weight decay λ
        b ← μ·b + (1−τ)·g, and b ← g at first         momentum μ, dampening τ (not in the first step)
        w ← w − lr · (g + μ·b if nesterov else b)

    Args:
        parameters: {name: array}, changed in place by `step`.
        lr: step size.
        momentum: μ in [0, ∞).
        dampening: τ.
        weight_decay: λ, the weight of ½‖w‖² in the loss.
        nesterov: look ahead along the momentum; requires a momentum and no dampening.
        maximize: climb instead of descend: g ← −g first.

    Raises:
        ValueError: a setting is outside its range.

    Source: I. Sutskever et al., On the importance of initialization and momentum in deep learning (2013).
    """

    def __init__(
        self,
        parameters: Mapping[str, Array],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        maximize: bool = False,
    ) -> None:
        _check_not_negative("SGD", lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError(
                f"SGD: nesterov requires a momentum above 0 and no dampening, got momentum {momentum}, "
                f"dampening {dampening}"
            )
        self.parameters = parameters
        self.lr, self.momentum, self.dampening = lr, momentum, dampening
        self.weight_decay, self.nesterov, self.maximize = weight_decay, nesterov, maximize
        self.state: State = {}

    def step(self, gradients: Mapping[str, Array | None]) -> None:
        """Move every parameter that has a gradient; the gradients are not changed."""
        for name, g in _present("SGD", self.parameters, gradients).items():
            w = self.parameters[name]
            if self.maximize:
                g = -g
            if self.weight_decay:
                g = g + self.weight_decay * w
            if self.momentum:
                if name not in self.state:
                    self.state[name] = {"momentum_buffer": g.copy()}
                else:
                    b = self.state[name]["momentum_buffer"]
                    b *= self.momentum
                    b += (1 - self.dampening) * g
                b = self.state[name]["momentum_buffer"]
                g = g + self.momentum * b if self.nesterov else b
            w -= self.lr * g


class Adam:
    """Adaptive moment estimation, as `torch.optim.Adam`.

        g ← g + λ·w                                   weight decay λ
        m ← β₁·m + (1−β₁)·g
        v ← β₂·v + (1−β₂)·g²
        w ← w − lr/(1−β₁ᵗ) · m / (√v / √(1−β₂ᵗ) + ε)

    t counts the steps of each parameter, from 1. With `amsgrad` v is replaced by the largest v so far, taken
    before the bias correction.

    Args:
        parameters: {name: array}, changed in place by `step`.
        lr: step size.
        betas: (β₁, β₂), the decay rates of the mean and of the mean square, each in [0, 1).
        eps: ε, added outside of the root.
        weight_decay: λ.
        amsgrad: keep the maximum of v.
        maximize: climb instead of descend: g ← −g first.

    Raises:
        ValueError: a setting is outside its range.

    Source: D. Kingma and J. Ba, Adam: a method for stochastic optimization (2015); S. Reddi, S. Kale and
    S. Kumar, On the convergence of Adam and beyond (2018).
    """

    decoupled_weight_decay = False

    def __init__(
        self,
        parameters: Mapping[str, Array],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:
        _check_not_negative(type(self).__name__, lr=lr, eps=eps, weight_decay=weight_decay)
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"{type(self).__name__}: betas must be in [0, 1), got {betas}")
        self.parameters = parameters
        self.lr, self.betas, self.eps = lr, betas, eps
        self.weight_decay, self.amsgrad, self.maximize = weight_decay, amsgrad, maximize
        self.state: State = {}
        self._together: list[str] = []
        self._groups: list[_Group] = []

    def step(self, gradients: Mapping[str, Array | None]) -> None:
        """Move every parameter that has a gradient; the gradients are not changed."""
        beta1, beta2 = self.betas
        given = _present(type(self).__name__, self.parameters, gradients)
        for group in self._grouped([*given]):
            ws, gs = [self.parameters[name] for name in group.names], [given[name] for name in group.names]
            m, v = group.vectors["exp_avg"], group.vectors["exp_avg_sq"]
            group.vectors["step"] += 1
            t = float(group.vectors["step"][0])
            if self.maximize:
                gs = [-g for g in gs]
            if self.weight_decay and self.decoupled_weight_decay:
                for w in ws:
                    w *= 1 - self.lr * self.weight_decay
            elif self.weight_decay:
                gs = [g + self.weight_decay * w for w, g in zip(ws, gs, strict=True)]
            # Every line writes to an existing array: allocating one of fc1's size costs more than filling it. Each
            # part of the scratch array belongs to one parameter.
            scratch, parts = group.scratch, group.parts
            # m ← β₁·m + (1−β₁)·g
            for part, g in zip(parts, gs, strict=True):
                np.multiply(g, 1 - beta1, out=part)
            m *= beta1
            m += scratch
            # v ← β₂·v + (1−β₂)·g². The scratch array contains (1−β₁)·g, whose squares are (1−β₁)²·g².
            scratch *= scratch
            scratch *= (1 - beta2) / (1 - beta1) ** 2
            v *= beta2
            v += scratch
            if self.amsgrad:
                v = np.maximum(group.vectors["max_exp_avg_sq"], v, out=group.vectors["max_exp_avg_sq"])
            # Both corrections as one factor: m / (√v/r + ε) = r · m / (√v + r·ε), Kingma and Ba's section 2.
            r = math.sqrt(1 - beta2**t)
            np.sqrt(v, out=scratch)
            scratch += r * self.eps
            np.divide(m, scratch, out=scratch)
            scratch *= self.lr * r / (1 - beta1**t)
            for part, w in zip(parts, ws, strict=True):
                w -= part

    def _grouped(self, names: list[str]) -> list["_Group"]:
        """The groups of these parameters, cached while the same parameters have a gradient."""
        if names != self._together:
            alike: dict[tuple[Any, float], list[str]] = {}
            for name in names:
                w = self.parameters[name]
                state = self.state.setdefault(name, self._fresh_state(w))
                alike.setdefault((w.dtype, float(state["step"])), []).append(name)
            self._together, self._groups = names, [_Group(those, self.state) for those in alike.values()]
        return self._groups

    def _fresh_state(self, w: Array) -> dict[str, Array]:
        state = {"step": np.zeros((), np.float32), "exp_avg": np.zeros_like(w), "exp_avg_sq": np.zeros_like(w)}
        return state | ({"max_exp_avg_sq": np.zeros_like(w)} if self.amsgrad else {})


class AdamW(Adam):
    """Adam with weight decay that shrinks the weights instead of changing the moments, as `torch.optim.AdamW`.

        w ← (1 − lr·λ)·w        then Adam's step with the unchanged gradient

    Args:
        parameters: {name: array}, changed in place by `step`.
        lr: step size.
        betas: (β₁, β₂), the decay rates of the mean and of the mean square, each in [0, 1).
        eps: ε, added outside of the root.
        weight_decay: λ.
        amsgrad: keep the maximum of v.
        maximize: climb instead of descend: g ← −g first.

    Raises:
        ValueError: a setting is outside its range.

    Source: I. Loshchilov and F. Hutter, Decoupled weight decay regularization (2019).
    """

    decoupled_weight_decay = True

    def __init__(
        self,
        parameters: Mapping[str, Array],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay, amsgrad, maximize)


class RMSprop:
    """Steps divided by a running root mean square of the gradients, as `torch.optim.RMSprop`.

        g ← g + λ·w                                   weight decay λ
        v ← α·v + (1−α)·g²                            the mean square
        ḡ ← α·ḡ + (1−α)·g                             only if centered; v − ḡ² then replaces v below
        d ← g / (√v + ε)
        w ← w − lr·d, or with momentum b ← μ·b + d, w ← w − lr·b

    Args:
        parameters: {name: array}, changed in place by `step`.
        lr: step size.
        alpha: α, the decay rate of the mean square.
        eps: ε, added outside of the root.
        weight_decay: λ.
        momentum: μ in [0, ∞).
        centered: divide by the standard deviation instead of the root mean square.
        maximize: climb instead of descend: g ← −g first.

    Raises:
        ValueError: a setting is outside its range.

    Source: T. Tieleman and G. Hinton, Lecture 6.5, Neural networks for machine learning (2012); A. Graves,
    Generating sequences with recurrent neural networks (2013), for the centered form.
    """

    def __init__(
        self,
        parameters: Mapping[str, Array],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        maximize: bool = False,
    ) -> None:
        _check_not_negative("RMSprop", lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum)
        self.parameters = parameters
        self.lr, self.alpha, self.eps = lr, alpha, eps
        self.weight_decay, self.momentum = weight_decay, momentum
        self.centered, self.maximize = centered, maximize
        self.state: State = {}

    def step(self, gradients: Mapping[str, Array | None]) -> None:
        """Move every parameter that has a gradient; the gradients are not changed."""
        for name, g in _present("RMSprop", self.parameters, gradients).items():
            w = self.parameters[name]
            state = self.state.setdefault(name, self._fresh_state(w))
            state["step"] += 1
            if self.maximize:
                g = -g
            if self.weight_decay:
                g = g + self.weight_decay * w
            v = state["square_avg"]
            v *= self.alpha
            v += (1 - self.alpha) * g * g
            if self.centered:
                mean = state["grad_avg"]
                mean *= self.alpha
                mean += (1 - self.alpha) * g
                v = v - mean * mean
            d = g / (np.sqrt(v) + self.eps)
            if self.momentum:
                b = state["momentum_buffer"]
                b *= self.momentum
                b += d
                d = b
            w -= self.lr * d

    def _fresh_state(self, w: Array) -> dict[str, Array]:
        names = ["square_avg", *["momentum_buffer"] * (self.momentum > 0), *["grad_avg"] * self.centered]
        return {"step": np.zeros((), np.float32)} | {name: np.zeros_like(w) for name in names}


class Adagrad:
    """Steps divided by the root of all squared gradients so far, as `torch.optim.Adagrad`.

        g ← g + λ·w                                   weight decay λ
        s ← s + g²
        w ← w − lr / (1 + (t−1)·η) · g / (√s + ε)

    t counts the steps of each parameter, from 1.

    Args:
        parameters: {name: array}, changed in place by `step`.
        lr: step size.
        lr_decay: η, how fast the step size falls.
        weight_decay: λ.
        initial_accumulator_value: s before the first step.
        eps: ε, added outside of the root.
        maximize: climb instead of descend: g ← −g first.

    Raises:
        ValueError: a setting is outside its range.

    Source: J. Duchi, E. Hazan and Y. Singer, Adaptive subgradient methods for online learning and stochastic
    optimization (2011).
    """

    def __init__(
        self,
        parameters: Mapping[str, Array],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        maximize: bool = False,
    ) -> None:
        _check_not_negative(
            "Adagrad",
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )
        self.parameters = parameters
        self.lr, self.lr_decay, self.eps = lr, lr_decay, eps
        self.weight_decay, self.maximize = weight_decay, maximize
        self.initial_accumulator_value = initial_accumulator_value
        self.state: State = {}

    def step(self, gradients: Mapping[str, Array | None]) -> None:
        """Move every parameter that has a gradient; the gradients are not changed."""
        for name, g in _present("Adagrad", self.parameters, gradients).items():
            w = self.parameters[name]
            state = self.state.setdefault(name, self._fresh_state(w))
            state["step"] += 1
            if self.maximize:
                g = -g
            if self.weight_decay:
                g = g + self.weight_decay * w
            s = state["sum"]
            s += g * g
            lr = self.lr / (1 + (float(state["step"]) - 1) * self.lr_decay)
            w -= lr * g / (np.sqrt(s) + self.eps)

    def _fresh_state(self, w: Array) -> dict[str, Array]:
        return {"step": np.zeros((), np.float32), "sum": np.full_like(w, self.initial_accumulator_value)}


Optimizer: TypeAlias = SGD | Adam | RMSprop | Adagrad
OPTIMIZERS: Mapping[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
}


class _Group:
    """Parameters with the same dtype and step count: their state, joined to one vector of each kind.

    A step is then a few passes over long vectors instead of many short ones. The arrays in `state` become views of
    these vectors.
    """

    def __init__(self, names: list[str], state: State) -> None:
        self.names = names
        self.vectors: dict[str, Array] = {}
        for key in state[names[0]]:
            arrays = [state[name][key] for name in names]
            self.vectors[key] = _joined(arrays)
            for name, part in zip(names, _parts(self.vectors[key], arrays), strict=True):
                state[name][key] = part
        self.scratch = aligned(self.vectors["exp_avg"].size, self.vectors["exp_avg"].dtype)
        self.parts = _parts(self.scratch, [state[name]["exp_avg"] for name in names])


def _joined(arrays: list[Array]) -> Array:
    """All numbers of these arrays, one after another."""
    vector = aligned(sum(array.size for array in arrays), arrays[0].dtype)
    return np.concatenate([array.reshape(-1) for array in arrays], out=vector)


def _parts(vector: Array, like: list[Array]) -> list[Array]:
    """Pieces of the vector, one after another, in the shapes of these arrays."""
    ends = [*accumulate((array.size for array in like), initial=0)]
    return [vector[a:b].reshape(array.shape) for (a, b), array in zip(pairwise(ends), like, strict=True)]


def _check_not_negative(optimizer: str, **settings: float) -> None:
    for name, value in settings.items():
        if not value >= 0:
            raise ValueError(f"{optimizer}: {name} must not be negative, got {value}")


def _present(
    optimizer: str, parameters: Mapping[str, Array], gradients: Mapping[str, Array | None]
) -> dict[str, Array]:
    """The gradients that are not None. Raises ValueError unless each has the shape of its parameter."""
    present = {name: gradient for name, gradient in gradients.items() if gradient is not None}
    for name, gradient in present.items():
        if name not in parameters:
            raise ValueError(
                f"{optimizer}: {name!r} has a gradient but is not a parameter; the parameters are {[*parameters]}"
            )
        if gradient.shape != parameters[name].shape:
            raise ValueError(
                f"{optimizer}: {name} has the shape {parameters[name].shape}, its gradient {gradient.shape}"
            )
    return present
