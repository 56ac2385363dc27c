"""Computes one backend's answer to a question, after training steps if it requests any."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from numpy_cnn.common.exhibits.demo.question import Question
from numpy_cnn.common.exhibits.page.record import Arrays, record
from numpy_cnn.common.exhibits.walkthrough.learning import descend
from numpy_cnn.common.exhibits.walkthrough.trace import Trace, Tracer
from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.backend import Array
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.initial import initial_parameters


class Answers:
    """Answers questions about one network; the steps of the latest training are kept.

    Args:
        tracer: the backend's.
        architecture: of the network.
        parameters: {torch's name: array}.
    """

    def __init__(self, tracer: Tracer, architecture: Architecture, parameters: dict[str, Array]) -> None:
        self.tracer, self.architecture, self.parameters = tracer, architecture, parameters
        self._training: tuple[object, ...] = ()
        self._passes: Iterator[tuple[Trace, dict[str, Array]]] = iter(())
        self._seen: list[Trace] = []

    def answer(self, question: Question) -> Arrays:
        """The record of the pass after the steps, with `label` (1,), which is the same for the same question.

        Raises:
            UserError: the loss is not finite any more.
        """
        start = self.parameters if question.seed is None else initial_parameters(self.architecture, question.seed)
        if question.label is None:
            answer = self.tracer(self.architecture, start, question.image, np.array([0])).answer
            question = replace(question, label=answer)
        assert question.label is not None
        training = (question.image.tobytes(), question.label, question.lr, question.seed)
        if training != self._training:
            self._training, self._seen = training, []
            self._passes = descend(
                self.tracer, self.architecture, start, question.image, question.label, question.lr
            )
        while len(self._seen) <= question.steps:
            trace, _ = next(self._passes)
            self._seen.append(trace)
        trace = self._seen[question.steps]
        if not math.isfinite(trace.loss):
            raise UserError(f"the loss is {trace.loss} after {question.steps} steps: take a smaller learning rate")
        sent = start if question.seed is not None and question.steps == 0 else None
        return record(trace, sent) | {"label": np.array([question.label])}
