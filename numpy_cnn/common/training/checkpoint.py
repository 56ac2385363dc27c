"""Checkpoints: safetensors files that either backend writes and either reads.

Tensors: every parameter under torch's name for it, and the optimizer's state as `optimizer.<parameter>.<state>`.
Metadata: `cnn_parity`, one JSON object with the schema, the backend, the architecture, the pixels, the run's
configuration, the position reached, and a SHA-256 of all this, for safetensors itself notices no flipped bit.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from numpy_cnn.common.data.dataset import PixelScale
from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.config import TrainConfig
from numpy_cnn.common.spec.errors import UserError

SCHEMA = 1
KEY = "cnn_parity"
OPTIMIZER = "optimizer."

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Position:
    """How far a run has come, to the batch: what was summed up in the epoch under way, and the best epoch."""

    epoch: int = 0  # complete epochs
    batch: int = 0  # complete batches of the next one
    loss_sum: float = 0.0
    correct: int = 0
    seen: int = 0
    seconds: float = 0.0
    best_epoch: int = 0  # 0 for none yet
    best_accuracy: float = -1.0
    best_loss: float = float("inf")


@dataclass(frozen=True)
class Checkpoint:
    """A network at one moment of its training."""

    backend: str
    architecture: Architecture
    data_size: tuple[int, int]  # height and width of the images before they were fitted to the architecture
    pixel: PixelScale
    config: TrainConfig
    position: Position
    parameters: dict[str, Array]
    optimizer_state: dict[str, Array]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the file whole or not at all: under another name first, which then takes its place.

    Raises:
        UserError: it cannot be written.
    """
    tensors = dict(checkpoint.parameters)
    tensors |= {OPTIMIZER + name: array for name, array in checkpoint.optimizer_state.items()}
    tensors = {name: _plain(array) for name, array in tensors.items()}
    metadata = {
        "schema": SCHEMA,
        "backend": checkpoint.backend,
        "architecture": checkpoint.architecture.to_json(),
        "data_size": list(checkpoint.data_size),
        "pixel": asdict(checkpoint.pixel),
        "config": checkpoint.config.to_json(),
        "position": asdict(checkpoint.position),
    }
    metadata["sha256"] = _digest(tensors, metadata)
    beside = path.with_suffix(".partial")
    try:
        beside.write_bytes(save(tensors, metadata={KEY: json.dumps(metadata)}))
        os.replace(beside, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of either backend.

    Raises:
        UserError: there is no such file, it is no checkpoint, it is damaged, or its tensors are not those of the
            architecture that it names.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint; `train` writes best.safetensors and last.safetensors")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = _metadata(path, (file.metadata() or {}).get(KEY))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a readable safetensors file, or a truncated one ({error})") from error
    try:
        if metadata.pop("sha256") != _digest(tensors, metadata):
            raise UserError(f"{path}: damaged: the checksum of the content is not the one that was saved with it")
        architecture = Architecture.from_json(metadata["architecture"])
        own = {name: array for name, array in tensors.items() if not name.startswith(OPTIMIZER)}
        state = {name.removeprefix(OPTIMIZER): a for name, a in tensors.items() if name.startswith(OPTIMIZER)}
        return Checkpoint(
            backend=metadata["backend"],
            architecture=architecture,
            data_size=(metadata["data_size"][0], metadata["data_size"][1]),
            pixel=PixelScale(**metadata["pixel"]),
            config=TrainConfig.from_json(metadata["config"]),
            position=Position(**metadata["position"]),
            parameters={name: architecture.check(own)[name] for name in architecture.parameter_shapes()},
            optimizer_state=state,
        )
    except UserError as error:
        raise error if str(path) in str(error) else UserError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise UserError(f"{path}: the checkpoint's metadata is incomplete or damaged ({error!r})") from error


def _plain(array: Array) -> Array:
    """The array as safetensors needs it, which writes the memory as it lies, whatever the strides say."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(array.shape)


def _metadata(path: Path, text: str | None) -> dict[str, Any]:
    """What the file says of itself, in the schema that is read here."""
    if text is None:
        raise UserError(f"{path}: a safetensors file, but not a checkpoint of this project: no {KEY!r} metadata")
    try:
        metadata = json.loads(text)
    except ValueError as error:
        raise UserError(f"{path}: damaged: its {KEY!r} metadata is not JSON ({error})") from error
    schema = metadata.get("schema") if isinstance(metadata, dict) else None
    if schema != SCHEMA:
        raise UserError(f"{path}: a checkpoint of schema {schema!r}, this version reads {SCHEMA}")
    return dict(metadata)


def _digest(tensors: dict[str, Array], metadata: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
