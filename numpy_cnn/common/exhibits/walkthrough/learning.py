"""The same picture again and again: gradient descent on one example."""

import math
from dataclasses import replace

import numpy as np

from numpy_cnn.common.exhibits.walkthrough.lesson import Lesson
from numpy_cnn.common.exhibits.walkthrough.trace import Trace, Tracer
from numpy_cnn.common.spec.errors import UserError


def learn(tracer: Tracer, lesson: Lesson, epochs: int, lr: float) -> tuple[Lesson, list[Trace]]:
    """Walk through the picture, then take a step against the gradient, `epochs` times, and look once more.

        W ← W − lr · dloss/dW        for every parameter that is trained: a fixed kernel stays as it is

    Returns:
        the lesson with its label, and epochs + 1 traces: the first is of the untouched network, the last of the
        trained one.

    Raises:
        UserError: there is nothing to learn from so few epochs or such a step, or the loss is no number any more.
    """
    if epochs < 0:
        raise UserError(f"--epochs {epochs}: there must be at least 0")
    if not (math.isfinite(lr) and lr > 0):
        raise UserError(f"--lr {lr}: the learning rate must be a positive number")
    if lesson.label is None:
        first = tracer(lesson.architecture, lesson.parameters, lesson.inputs, np.array([0]))
        lesson = replace(lesson, label=first.answer)
    parameters, label = dict(lesson.parameters), np.array([lesson.label])
    traces = []
    for epoch in range(epochs + 1):
        with np.errstate(all="ignore"):  # a loss that is no number is told below
            trace = tracer(lesson.architecture, parameters, lesson.inputs, label)
        if not math.isfinite(trace.loss):
            raise UserError(f"the loss is {trace.loss} in epoch {epoch}: --lr {lr} is too large a step")
        traces.append(trace)
        steps = {name: lr * trace.parameters[name] for name in lesson.architecture.trained}
        parameters |= {name: parameters[name] - step for name, step in steps.items()}
    return lesson, traces
