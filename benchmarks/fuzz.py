"""make fuzz: every parser must answer mutated input with a documented error or a usable value, in bounded time.

    python benchmarks/fuzz.py [TARGET...] [--inputs N] [--seed N]

Inputs are mutations of valid ones: flipped, inserted, removed and repeated bytes, and, where the format is
structured, changed values under a correct checksum. Each is a function of the seed and its number. An input that
is accepted must be usable: a checkpoint is trained on for a step, a case is converted back.
"""

import argparse
import asyncio
import gzip
import random
import resource
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_inputs import (
    CASE,
    DRAWING,
    IMAGES,
    LAYER,
    PICTURES,
    ROWS,
    SETTINGS,
    WEIGHTS,
    checkpoint_content,
    json_of,
    mutate,
)  # fmt: skip
from starlette.exceptions import HTTPException
from starlette.requests import Request

from numpy_cnn.backend import Backend
from numpy_cnn.common.cli import config_file
from numpy_cnn.common.cli.train import Train
from numpy_cnn.common.data import PIXELS, idx
from numpy_cnn.common.exhibits.demo.request import read_drawing
from numpy_cnn.common.photo.image import read_digit
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training import history
from numpy_cnn.common.training.checkpoint import load_checkpoint
from numpy_cnn.common.training.weights import load_npz, plain_names
from parity.commands.loading import loaded
from parity.report.saved import read as read_saved

SECONDS = 5.0  # processor time allowed per input
LOOP = asyncio.Runner()  # one event loop for all request bodies
Target = tuple[Callable[[random.Random], bytes], Callable[[Path], Any], tuple[type[BaseException], ...]]


def load_and_train(path: Path) -> None:
    """Load a checkpoint; if it is accepted, train a step."""
    one = load_checkpoint(path)
    backend = Backend(one.architecture, one.parameters, one.config.optimization, one.optimizer_state)
    with np.errstate(all="ignore"):
        images = np.ones((2, one.architecture.in_channels, *one.architecture.image_size), np.float32)
        backend.train_step(images, np.zeros(2, np.int64), 0.1)


def read_body(path: Path) -> None:
    """Parse the body of a request as the demo does."""
    content = path.read_bytes()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    headers = [(b"content-type", b"application/json")]
    LOOP.run(read_drawing(Request({"type": "http", "method": "POST", "headers": headers}, receive), classes=10))


def load_layer(path: Path) -> None:
    """Resolve --impl as the commands do."""
    with loaded(f"{path}:relu"):
        pass


TARGETS: dict[str, Target] = {
    "checkpoint": (checkpoint_content, load_and_train, (UserError,)),
    "idx": (lambda rng: mutate(rng, IMAGES), lambda path: idx.read_images(path), (UserError,)),
    "idx.gz": (
        lambda rng: mutate(rng, gzip.compress(mutate(rng, IMAGES) if rng.random() < 0.5 else IMAGES, mtime=0)),
        lambda path: idx.read_images(path),
        (UserError,),
    ),
    "history": (
        lambda rng: mutate(rng, ROWS),
        lambda path: history.from_csv(path.read_bytes(), 3),
        (ValueError,),
    ),
    "saved case": (
        lambda rng: json_of(CASE, rng),
        lambda path: read_saved(path).to_json(),
        (ValueError, OSError),
    ),
    "request": (lambda rng: json_of(DRAWING, rng), read_body, (HTTPException,)),
    "picture": (
        lambda rng: mutate(rng, rng.choice(PICTURES)),
        lambda path: read_digit(path, (28, 28), PIXELS["mnist"]),
        (UserError,),
    ),
    "impl": (
        lambda rng: mutate(rng, LAYER),
        load_layer,
        (UserError,),
    ),
    "settings": (
        lambda rng: mutate(rng, SETTINGS),
        lambda path: config_file.read(path, Train),
        (UserError,),
    ),
    "weights": (
        lambda rng: mutate(rng, WEIGHTS),
        lambda path: plain_names(load_npz(path)),
        (UserError,),
    ),
}


def fuzz(name: str, inputs: int, seed: int, folder: Path) -> Counter[str]:
    """Fuzz one parser; return the counts of accepted and rejected inputs.

    Raises:
        AssertionError: another error was raised, or an input took too long; the input is kept in the folder.
    """
    make, parse, documented = TARGETS[name]
    seen: Counter[str] = Counter()
    path = folder / ("input.py" if name == "impl" else "input.json" if name == "saved case" else "input")
    for number in range(inputs):
        content = make(random.Random(f"{name} {seed} {number}"))
        path.write_bytes(content)
        began = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                parse(path)
            seen["accepted"] += 1
        except documented:
            seen["refused"] += 1
        except Exception as error:  # every undocumented exception is a finding
            kept = Path(f"fuzz-{name.replace(' ', '-')}-{seed}-{number}")
            kept.write_bytes(content)
            raise AssertionError(f"{name}: input {number} of seed {seed}, kept in {kept}: {error!r}") from error
        seconds = time.process_time() - began  # processor time, since the machine may be busy
        assert seconds < SECONDS, f"{name}: input {number} of seed {seed} took {seconds:.1f} s"
    return seen


def main(arguments: list[str] | None = None) -> None:
    """Try the parsers that are named, or all; print what each accepted and refused."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="all if omitted")
    flags.add_argument("--inputs", type=int, default=100_000)
    flags.add_argument("--seed", type=int, default=0)
    typed = flags.parse_args(arguments)
    in_memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=in_memory if in_memory.is_dir() else None) as temporary:
        for target in typed.targets or TARGETS:
            start = time.process_time()
            counts = fuzz(target, typed.inputs, typed.seed, Path(temporary))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            took = time.process_time() - start
            print(
                f"{target:12} {counts.total():7d} inputs: {counts['accepted']:6d} accepted, "
                f"{counts['refused']:6d} refused; {took:.0f} s, peak memory {peak} MiB",
                flush=True,
            )


if __name__ == "__main__":
    main()
