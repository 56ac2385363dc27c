"""Inputs for `make fuzz`: valid ones of each kind, and mutations of them."""

import base64
import contextlib
import json
import random
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from safetensors.numpy import save

from numpy_cnn.backend import Backend
from numpy_cnn.common.cli import config_file
from numpy_cnn.common.cli.train import Train
from numpy_cnn.common.data import PIXELS
from numpy_cnn.common.exhibits.demo.drawing import GRID
from numpy_cnn.common.spec.architecture import PRESETS
from numpy_cnn.common.spec.config import ArchitectureConfig, TrainConfig
from numpy_cnn.common.spec.initial import initial_parameters
from numpy_cnn.common.training import checkpoint as checkpoints
from numpy_cnn.common.training import history
from numpy_cnn.common.training.checkpoint import Checkpoint, Progress

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


def mutate(rng: random.Random, content: bytes) -> bytes:
    """The content after one to eight changes."""
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
SETTINGS = config_file.to_toml(Train(), "the settings of a run")


def _weights() -> bytes:
    content = BytesIO()
    np.savez(content, **initial_parameters(TINY, 0))
    return content.getvalue()


WEIGHTS = _weights()


def _picture(kind: str) -> bytes:
    content = BytesIO()
    pixels = np.full((24, 24), 250, np.uint8)
    pixels[5:19, 11:14] = 10
    Image.fromarray(pixels).save(content, kind)
    return content.getvalue()


PICTURES = [_picture(kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")]


def checkpoint_content(rng: random.Random) -> bytes:
    """A checkpoint with changed bytes, or with changed values and a correct checksum."""
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
        with contextlib.suppress(ValueError):  # an integer with more digits than Python prints
            metadata = {**rest, "sha256": checkpoints._digest(tensors, rest)}
    try:
        text = json.dumps(metadata)
    except ValueError:
        text = "1" * 5000
    if rng.random() < 0.02:
        text = "[" * 100_000
    content = save(tensors, metadata={checkpoints.KEY: text})
    return mutate(rng, content) if rng.random() < 0.3 else content


def json_of(value: Any, rng: random.Random) -> bytes:
    """Mutated JSON as text, sometimes damaged, rarely nested too deeply for Python's parser."""
    if rng.random() < 0.02:
        return b"[" * 100_000
    try:
        content = json.dumps(change_json(rng, value)).encode()
    except ValueError:
        return b"1" * 5000
    return mutate(rng, content) if rng.random() < 0.5 else content
