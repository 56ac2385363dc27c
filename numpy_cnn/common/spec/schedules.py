"""Learning-rate schedules: step sizes as functions of the step t = 0, 1, 2, …, as in torch.optim."""

import math


def step(lr: float, t: int, step_size: int, gamma: float = 0.1) -> float:
    """The step size, multiplied by γ after every `step_size` steps, as `StepLR`.

        lr · γ^⌊t / step_size⌋

    Args:
        lr: the initial step size.
        t: the step, from 0.
        step_size: the number of steps with the same step size.
        gamma: γ.

    Returns:
        The step size at t.

    Source: torch.optim.lr_scheduler.StepLR.
    """
    return lr * float(gamma) ** (t // step_size)


def cosine(lr: float, t: float, total: float, least: float = 0.0) -> float:
    """Half a period of a cosine from `lr` to `least`, as `CosineAnnealingLR`.

        least + (lr − least) · (1 + cos(π t / total)) / 2

    Args:
        lr: the initial step size.
        t: the step, from 0.
        total: the step at which `least` is reached.
        least: the final step size.

    Returns:
        The step size at t.

    Source: I. Loshchilov and F. Hutter, SGDR: stochastic gradient descent with warm restarts (2017).
    """
    return least + (lr - least) * (1 + math.cos(math.pi * t / total)) / 2


def warm_up(lr: float, t: int, steps: int, start_factor: float = 1 / 3) -> float:
    """A straight line from lr · start_factor up to `lr` in `steps` steps, then `lr`, as `LinearLR`.

        lr · (f + (1 − f) · min(t, steps) / steps)        with f = start_factor

    Args:
        lr: the final step size.
        t: the step, from 0.
        steps: the step at which `lr` is reached.
        start_factor: the initial step size divided by `lr`.

    Returns:
        The step size at t.

    Source: P. Goyal et al., Accurate, large minibatch SGD (2017).
    """
    return lr * (start_factor + (1 - start_factor) * min(t, steps) / steps)


def one_cycle(
    lr: float, t: int, total: int, rising: float = 0.3, div_factor: float = 25.0, final_div_factor: float = 1e4
) -> float:
    """Half a period of a cosine up to `lr`, then half a period down to almost 0, as `OneCycleLR`.

        lr / div_factor → lr at rising · total − 1 → lr / div_factor / final_div_factor at total − 1

    Args:
        lr: the largest step size.
        t: the step, from 0.
        total: the number of steps in the cycle.
        rising: the fraction of the steps in which the step size rises.
        div_factor: `lr` divided by the initial step size.
        final_div_factor: the initial step size divided by the final one.

    Returns:
        The step size at t.

    Source: L. Smith and N. Topin, Super-convergence: very fast training of neural networks (2018).
    """
    first, peak, last = lr / div_factor, rising * total - 1, total - 1
    if t < peak:
        return cosine(first, t, peak, lr)
    return cosine(lr, t - peak, last - peak, first / final_div_factor)
