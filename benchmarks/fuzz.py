"""make fuzz: mutated input for every parser; nothing but the documented errors may come out, within bounded time.

    python benchmarks/fuzz.py [TARGET...] [--inputs N] [--seed N]

Inputs are mutations of valid ones: flipped, inserted, removed and repeated bytes, and, where the format is
structured, changed values under a correct checksum. Each is a function of the seed and its number. An input that
is accepted must be usable: a checkpoint is trained on for a step, a case is converted back.
"""

import argparse
import asyncio
import base64
import contextlib
import gzip
import json
import random
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.numpy import save
from starlette.exceptions import HTTPException
from starlette.requests import Request

from numpy_cnn.backend import Backend
from numpy_cnn.common.data import PIXELS, idx
from numpy_cnn.common.exhibits.demo.drawing import GRID
from numpy_cnn.common.exhibits.demo.request import read_drawing
from numpy_cnn.common.photo.image import read_digit
from numpy_cnn.common.spec.architecture import PRESETS
from numpy_cnn.common.spec.config import ArchitectureConfig, TrainConfig
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.initial import initial_parameters
from numpy_cnn.common.training import checkpoint as checkpoints
from numpy_cnn.common.training import history
from numpy_cnn.common.training.checkpoint import Checkpoint, Progress, load_checkpoint
from parity.commands.loading import loaded
from parity.report.saved import read as read_saved

SECONDS = 5.0  # of the processor at most, for any input
ODD = [
    None,
    True,
    -1,
    0,
    1,
    2**31,
    2**64,
    10**400,
    0.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "\0",
    [],
    {},
    [[]],
]

Target = tuple[Callable[[random.Random], bytes], Callable[[Path], Any], tuple[type[BaseException], ...]]


def mutate(rng: random.Random, content: bytes) -> bytes:
    """The content with one to eight changes."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        at, size = rng.randrange(len(data) + 1), rng.choice((1, 1, 2, 4, 16, 256))
        kind = rng.randrange(6)
        if kind == 0 and data:
            data[min(at, len(data) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at:at] = rng.randbytes(size)
        elif kind == 2:
            del data[at : at + size]
        elif kind == 3:
            data[at : at + size] = rng.choice((b"\0", b"\xff", b"\x7f", b"[", b"{", b'"', b"9", b"\n")) * size
        elif kind == 4:
            data[at:at] = data[at : at + size] * rng.randrange(1, 5)
        else:
            del data[at:]
    return bytes(data)


def change_json(rng: random.Random, value: Any) -> Any:
    """The value with one part of it replaced, removed or nested."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice([*value])
        if rng.random() < 0.1:
            return {name: one for name, one in value.items() if name != key}
        if rng.random() < 0.05:
            return {**value, rng.choice(("unknown", "")): rng.choice(ODD)}
        return {**value, key: change_json(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        return [*value[:at], change_json(rng, value[at]), *value[at + 1 :]]
    return rng.choice(ODD)


# Valid inputs

TINY = PRESETS["tiny"]


def _checkpoint() -> tuple[dict[str, Any], dict[str, Any]]:
    config = TrainConfig(network=ArchitectureConfig(arch="tiny"))
    backend = Backend(TINY, initial_parameters(TINY, 0), config.optimization)
    backend.train_step(np.ones((2, 1, 4, 4), np.float32), np.array([0, 1]), 0.1)
    row = dict.fromkeys(history.COLUMNS, 1.0) | {"epoch": 1}
    whole = Checkpoint(
        "numpy_cnn", TINY, (8, 8), PIXELS["digits"], config, Progress(epoch=1, best_epoch=1),
        backend.parameters(), backend.optimizer_state(), (row,),
    )  # fmt: skip
    content = checkpoints.to_bytes(whole)
    size = int.from_bytes(content[:8], "little")
    metadata = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][checkpoints.KEY])
    state = {checkpoints.OPTIMIZER + name: array for name, array in whole.optimizer_state.items()}
    return {**whole.parameters, **state}, metadata


TENSORS, METADATA = _checkpoint()
IMAGES = b"".join(n.to_bytes(4, "big") for n in (0x0803, 3, 4, 5)) + bytes(range(60))
ROWS = history.to_csv([{**dict.fromkeys(history.COLUMNS, 0.25), "epoch": n} for n in (1, 2, 3)])
CASE = {
    "schema": 1, "row": "relu", "lane": "exact", "quantity": "grad_input", "diagnosis": "", "impl": "a.py:relu",
    "case": {
        "row": "relu", "arrays": [{"name": "input", "shape": [2]}], "options": {}, "dtype": "float32",
        "magnitude": 1, "seed": 2, "values": {"input": [1, 2], "dy": [1, 1]},
    },
}  # fmt: skip
DRAWING = {
    "ink": base64.b64encode(bytes(GRID * GRID)).decode(),
    "centre": True,
    "label": 3,
    "steps": 2,
    "lr": 0.1,
    "seed": 0,
}
LAYER = b"import numpy as np\n\n\ndef relu(x):\n    return np.maximum(x, 0), lambda dy: (dy * (x > 0),)\n"


def _picture(kind: str) -> bytes:
    content = BytesIO()
    pixels = np.full((40, 40), 250, np.uint8)
    pixels[8:32, 18:23] = 10
    Image.fromarray(pixels).save(content, kind)
    return content.getvalue()


PICTURES = [_picture(kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")]


def checkpoint_content(rng: random.Random) -> bytes:
    """Bytes changed, or values changed under a checksum that is right."""
    tensors, metadata = dict(TENSORS), METADATA
    if rng.random() < 0.5:
        metadata = change_json(rng, metadata)
    else:
        name = rng.choice([*tensors])
        array = tensors.pop(name)
        how = rng.randrange(7)
        if how == 1:
            tensors[name + "x"] = array
        elif how == 2:
            tensors[name] = array.astype(rng.choice((np.float64, np.float16, np.int32)))
        elif how == 3:
            tensors[name] = np.full_like(array, rng.choice((np.nan, np.inf, -1, 3e38, 1e-45)))
        elif how == 4:
            tensors[name] = array[..., None]
        elif how == 5:
            tensors[name] = array.reshape(-1)[:-1] if array.size > 1 else array.reshape(1, 1)
        elif how == 6:
            tensors[name] = array
    if isinstance(metadata, dict):
        rest = {key: value for key, value in metadata.items() if key != "sha256"}
        with contextlib.suppress(ValueError):  # an integer of more digits than Python prints
            metadata = {**rest, "sha256": checkpoints._digest(tensors, rest)}
    try:
        text = json.dumps(metadata)
    except ValueError:
        text = "1" * 5000
    if rng.random() < 0.02:
        text = "[" * 100_000
    content = save(tensors, metadata={checkpoints.KEY: text})
    return mutate(rng, content) if rng.random() < 0.3 else content


def load_and_train(path: Path) -> None:
    """A checkpoint that is accepted can be trained on."""
    one = load_checkpoint(path)
    backend = Backend(one.architecture, one.parameters, one.config.optimization, one.optimizer_state)
    with np.errstate(all="ignore"):
        images = np.ones((2, one.architecture.in_channels, *one.architecture.image_size), np.float32)
        backend.train_step(images, np.zeros(2, np.int64), 0.1)


def read_body(path: Path) -> None:
    """What the demo does with the body of a request."""
    content = path.read_bytes()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    headers = [(b"content-type", b"application/json")]
    asyncio.run(read_drawing(Request({"type": "http", "method": "POST", "headers": headers}, receive), classes=10))


def load_layer(path: Path) -> None:
    """What the commands do with --impl before anything is checked."""
    with loaded(f"{path}:relu"):
        pass


def json_of(value: Any, rng: random.Random) -> bytes:
    """Changed JSON as text, sometimes damaged, rarely nested beyond what Python reads."""
    if rng.random() < 0.02:
        return b"[" * 100_000
    try:
        content = json.dumps(change_json(rng, value)).encode()
    except ValueError:
        return b"1" * 5000
    return mutate(rng, content) if rng.random() < 0.5 else content


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
    "--impl": (
        lambda rng: mutate(rng, LAYER),
        load_layer,
        (UserError,),
    ),
}


def fuzz(name: str, inputs: int, seed: int, folder: Path) -> Counter[str]:
    """Try one parser; how often it accepted and refused.

    Raises:
        AssertionError: another error came out, or an input took too long; it is kept in the folder.
    """
    make, parse, documented = TARGETS[name]
    seen: Counter[str] = Counter()
    path = folder / ("input.py" if name == "--impl" else "input.json" if name == "saved case" else "input")
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
        except Exception as error:  # whatever is not documented is the finding
            kept = Path(f"fuzz-{name.replace(' ', '-')}-{seed}-{number}")
            kept.write_bytes(content)
            raise AssertionError(f"{name}: input {number} of seed {seed}, kept in {kept}: {error!r}") from error
        seconds = time.process_time() - began  # of the processor: the machine may be busy
        assert seconds < SECONDS, f"{name}: input {number} of seed {seed} took {seconds:.1f} s"
    return seen


if __name__ == "__main__":
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("targets", nargs="*", choices=[*TARGETS, []], default=[*TARGETS])
    flags.add_argument("--inputs", type=int, default=100_000)
    flags.add_argument("--seed", type=int, default=0)
    typed = flags.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for target in typed.targets:
            start = time.perf_counter()
            counts = fuzz(target, typed.inputs, typed.seed, Path(temporary))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            took = time.perf_counter() - start
            print(
                f"{target:12} {counts.total():7d} inputs: {counts['accepted']:6d} accepted, "
                f"{counts['refused']:6d} refused; {took:.0f} s, peak memory {peak} MiB",
                flush=True,
            )
    sys.exit(0)
