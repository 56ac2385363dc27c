"""The process of one backend: it loads a checkpoint and answers questions until its input ends."""

import os
import signal
import sys
from pathlib import Path

import numpy as np

from numpy_cnn.common.exhibits.demo.answers import Answers
from numpy_cnn.common.exhibits.demo.pipe import receive, send
from numpy_cnn.common.exhibits.demo.question import Question
from numpy_cnn.common.exhibits.walkthrough.trace import Tracer
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.checkpoint import load_checkpoint


def serve(tracer: Tracer) -> None:
    """`python -m <package>.views.trace CKPT DEVICE`: questions from stdin, records to stdout.

    The first message only signals that the network is loaded; `refused` is an error message in UTF-8.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the server, which closes our input
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # keeps the output of libraries apart from the answers
    checkpoint = load_checkpoint(Path(sys.argv[1]))
    answers = Answers(tracer, checkpoint.architecture.evaluated, checkpoint.parameters)
    try:
        send(output, {"ready": np.ones(1)})
        while (asked := receive(sys.stdin.buffer)) is not None:
            try:
                arrays = answers.answer(Question.of(asked))
            except UserError as error:
                arrays = {"refused": np.frombuffer(str(error).encode(), np.uint8)}
            send(output, {name: np.ascontiguousarray(array) for name, array in arrays.items()})
    except BrokenPipeError:  # the server is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())
