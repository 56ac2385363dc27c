"""Gradient descent on one example."""

import math
from dataclasses import replace

import numpy as np

from numpy_cnn.common.exhibits.walkthrough.lesson import Lesson
from numpy_cnn.common.exhibits.walkthrough.trace import Trace, Tracer
from numpy_cnn.common.spec.errors import UserError


def learn(tracer: Tracer, lesson: Lesson, epochs: int, lr: float) -> tuple[Lesson, list[Trace]]:
    """Trace the picture and take a step against the gradient, `epochs` times, and trace it once more.

        W ← W − lr · dloss/dW        for every trained parameter; a fixed kernel does not change

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
    parameters, label = dict(lesson.parameters), np.array([lesson.label])
    traces = []
    for epoch in range(epochs + 1):
        with np.errstate(all="ignore"):  # a loss that is not finite is reported below
            trace = tracer(lesson.architecture, parameters, lesson.inputs, label)
        if not math.isfinite(trace.loss):
            raise UserError(f"the loss is {trace.loss} in epoch {epoch}: --lr {lr} is too large a step")
        traces.append(trace)
        steps = {name: lr * trace.parameters[name] for name in lesson.architecture.trained}
        parameters |= {name: parameters[name] - step for name, step in steps.items()}
    return lesson, traces
