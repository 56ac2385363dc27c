"""Gradient descent on one example."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from numpy_cnn.common.exhibits.walkthrough.lesson import Lesson
from numpy_cnn.common.exhibits.walkthrough.trace import Array, Trace, Tracer
from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.errors import UserError


def descend(
    tracer: Tracer, architecture: Architecture, parameters: dict[str, Array], image: Array, label: int, lr: float
) -> Iterator[tuple[Trace, dict[str, Array]]]:
    """Passes before and after each step against the gradient, with the parameters of each; endless.

    W ← W − lr · dloss/dW        for every trained parameter; a fixed kernel does not change
    """
    while True:
        with np.errstate(all="ignore"):  # the caller checks the loss
            trace = tracer(architecture, parameters, image, np.array([label]))
        yield trace, parameters
        with np.errstate(all="ignore"):
            steps = {name: lr * trace.parameters[name] for name in architecture.trained}
            parameters = parameters | {name: parameters[name] - step for name, step in steps.items()}


def learn(tracer: Tracer, lesson: Lesson, epochs: int, lr: float) -> tuple[Lesson, list[Trace]]:
    """Trace the picture and take a step against the gradient, `epochs` times, and trace it once more.

    Returns:
        The lesson with its label, and epochs + 1 traces, from the initial network to the trained one.

    Raises:
        UserError: epochs or lr is out of range, or the loss is no longer finite.
    """
    if epochs < 0:
        raise UserError(f"--epochs must not be negative, got {epochs}")
    if not (math.isfinite(lr) and lr > 0):
        raise UserError(f"--lr must be a positive number, got {lr}")
    if lesson.label is None:
        first = tracer(lesson.architecture, lesson.parameters, lesson.inputs, np.array([0]))
        lesson = replace(lesson, label=first.answer)
    assert lesson.label is not None
    passes = descend(tracer, lesson.architecture, dict(lesson.parameters), lesson.inputs, lesson.label, lr)
    traces = []
    for epoch, (trace, _) in zip(range(epochs + 1), passes, strict=False):
        if not math.isfinite(trace.loss):
            raise UserError(f"the loss is {trace.loss} in epoch {epoch}: --lr {lr} is too large a step")
        traces.append(trace)
    return lesson, traces
