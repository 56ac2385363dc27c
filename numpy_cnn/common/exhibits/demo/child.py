"""The process of one backend: it loads a checkpoint and answers requests until its input ends."""

import os
import signal
import sys
from pathlib import Path

import numpy as np

from numpy_cnn.common.exhibits.demo.inspector import Inspector, receive, send
from numpy_cnn.common.training.checkpoint import load_checkpoint


def serve(inspector: type[Inspector]) -> None:
    """`python -m <package>.views.inspection CKPT DEVICE`: images from stdin, activations to stdout.

    A request is {"image": (1, C, H, W), "digit": (1,)}, with -1 for the highest score; an answer is what
    `Inspector.look` returns. The first answer only signals that the network is loaded.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the server, which closes our input
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints must not mix with the answers
    checkpoint = load_checkpoint(Path(sys.argv[1]))
    network = inspector(checkpoint.architecture, checkpoint.parameters)
    try:
        send(answers, {"ready": np.ones(1)})
        while (request := receive(sys.stdin.buffer)) is not None:
            digit = int(request["digit"][0])
            seen = network.look(request["image"], None if digit < 0 else digit)
            send(answers, {name: np.ascontiguousarray(array) for name, array in seen.items()})
    except BrokenPipeError:  # the server is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), answers.fileno())
