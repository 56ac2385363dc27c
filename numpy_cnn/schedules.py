"""Step sizes that change during a training, functions of the step t = 0, 1, 2, …, as in torch.optim."""

import math


def step(lr: float, t: int, step_size: int, gamma: float = 0.1) -> float:
    """The step size multiplied by γ after every `step_size` steps, as `StepLR`: lr · γ^⌊t / step_size⌋."""
    return lr * float(gamma) ** (t // step_size)


def cosine(lr: float, t: float, total: float, least: float = 0.0) -> float:
    """Half a cosine from `lr` to `least`, as `CosineAnnealingLR`.

        least + (lr − least) · (1 + cos(π t / total)) / 2

    Source: I. Loshchilov and F. Hutter, SGDR: stochastic gradient descent with warm restarts (2017).
    """
    return least + (lr - least) * (1 + math.cos(math.pi * t / total)) / 2


def warm_up(lr: float, t: int, steps: int, start_factor: float = 1 / 3) -> float:
    """A straight line from lr · start_factor up to `lr` in `steps` steps, then `lr`, as `LinearLR`.

    Source: P. Goyal et al., Accurate, large minibatch SGD (2017).
    """
    return lr * (start_factor + (1 - start_factor) * min(t, steps) / steps)


def one_cycle(
    lr: float, t: int, total: int, rising: float = 0.3, div_factor: float = 25.0, final_div_factor: float = 1e4
) -> float:
    """Half a cosine up to `lr`, and half a cosine down to almost nothing, as `OneCycleLR`.

        lr / div_factor → lr at rising · total − 1 → lr / div_factor / final_div_factor at total − 1

    Source: L. Smith and N. Topin, Super-convergence: very fast training of neural networks (2018).
    """
    first, peak, last = lr / div_factor, rising * total - 1, total - 1
    if t <= peak:
        return cosine(first, t, peak, lr)
    return cosine(lr, t - peak, last - peak, first / final_div_factor)
