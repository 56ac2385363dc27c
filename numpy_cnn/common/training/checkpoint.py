"""Checkpoints: safetensors files, written and read by both backends.

Tensors: every parameter under torch's name for it, and the optimizer's state as `optimizer.<parameter>.<state>`.
Metadata: `cnn_parity`, one JSON object with the schema, the backend, the architecture, the pixels, the run's
configuration, its progress and history, and a SHA-256 of all this: safetensors itself does not detect a flipped
bit.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from numpy_cnn.common.data.dataset import PixelScale
from numpy_cnn.common.data.foreign import describe
from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.config import TrainConfig
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.files import replace_file
from numpy_cnn.common.spec.typed import build
from numpy_cnn.common.training.history import COLUMNS, OLDER, Row
from numpy_cnn.common.training.tensors import check_optimizer_state, check_parameters

SCHEMA = 1
KEY = "cnn_parity"
OPTIMIZER = "optimizer."
CONVERTIBLE = ("BF16", "F16", "F64")
BEST, LAST = "best.safetensors", "last.safetensors"

# Larger than any checkpoint needs; the limits bound the memory that a file can make its reader allocate.
LARGEST_HEADER = 16 * 2**20  # bytes
LARGEST_SIDE = 4096  # pixels
LARGEST_STAGE = 2**22  # numbers in a layer's output for one image

Array = npt.NDArray[Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Progress:
    """The progress of a run in epochs and batches, with the sums over the current epoch, and the best epoch."""

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
    progress: Progress
    parameters: dict[str, Array]
    optimizer_state: dict[str, Array]
    history: tuple[Row, ...] | None = None  # one row per complete epoch; None in files of older versions


def to_bytes(checkpoint: Checkpoint) -> bytes:
    """The content of the checkpoint's file."""
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
        "position": asdict(checkpoint.progress),
    }
    if checkpoint.history is not None:
        metadata["history"] = [[row[column] for column in COLUMNS] for row in checkpoint.history]
    metadata["sha256"] = _digest(tensors, metadata)
    return save(tensors, metadata={KEY: json.dumps(metadata)})


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the file in one step.

    Raises:
        UserError: it cannot be written; the earlier file is unchanged.
    """
    try:
        replace_file(path, to_bytes(checkpoint))
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of either backend.

    Args:
        path: the file, or the folder of a run: its best checkpoint, or its last if no epoch is complete.

    Raises:
        UserError: there is no such file, it is not a checkpoint, or its contents are damaged.
    """
    path = _file(path)
    try:
        _check_format(path)
        with safe_open(path, framework="numpy") as file:
            metadata = _metadata(path, (file.metadata() or {}).get(KEY))
            tensors = {}
            for name in file.keys():  # noqa: SIM118  # not a mapping
                if (stored := file.get_slice(name).get_dtype()) != "F32":
                    raise UserError(
                        f"{path}: {name} is stored as {stored}; only float32 checkpoints (F32) are read"
                        f"{'; `import` converts it' if stored in CONVERTIBLE else ''}"
                    )
                tensors[name] = file.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a readable safetensors file, or a truncated one ({error})") from error
    try:
        return _checkpoint(tensors, metadata)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise UserError(f"{path}: damaged: the metadata is incomplete or inconsistent ({error!r:.200})") from error


def _file(path: Path) -> Path:
    if path.is_dir():
        for name in (BEST, LAST):
            if (path / name).is_file():
                return path / name
        raise UserError(f"{path}: no such checkpoint in this folder; `train` writes {BEST} and {LAST}")
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint; `train` writes {BEST} and {LAST}")
    return path


def _check_format(path: Path) -> None:
    """Recognize other programs' files, of which safetensors would only report a large header."""
    with path.open("rb") as file:
        size, first = int.from_bytes(file.read(8), "little"), file.read(1)
    if first != b"{" or size > path.stat().st_size:
        if (what := describe(path)) is not None:
            raise UserError(
                f"{path}: not a readable safetensors file, but {what}; "
                "only checkpoints written by `train` are read (`import` turns plain weights into one)"
            )
    elif size > LARGEST_HEADER:
        raise UserError(f"{path}: its header has {size} bytes, more than any checkpoint ({LARGEST_HEADER})")


def _metadata(path: Path, text: str | None) -> dict[str, Any]:
    """The project's metadata, in the schema that is read here."""
    if text is None:
        raise UserError(
            f"{path}: a safetensors file, but not a checkpoint of this project: no {KEY!r} metadata; "
            "`import` turns plain weights into one"
        )
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged: its {KEY!r} metadata is not JSON ({error})") from error
    schema = metadata.get("schema") if isinstance(metadata, dict) else None
    if schema != SCHEMA:
        raise UserError(f"{path}: a checkpoint of schema {schema!r:.40}, this version reads {SCHEMA}")
    return dict(metadata)


def _checkpoint(tensors: dict[str, Array], metadata: dict[str, Any]) -> Checkpoint:
    """Validate all contents of the file: a correct checksum does not imply correct contents."""
    if metadata.pop("sha256") != _digest(tensors, metadata):
        raise UserError("damaged: the checksum of the content is not the one that was saved with it")
    _field(Architecture, metadata, "architecture")
    architecture = Architecture.from_json(metadata["architecture"])
    config = TrainConfig.from_json(metadata["config"])
    progress = _field(Progress, metadata, "position")
    pixel = _field(PixelScale, metadata, "pixel")
    _check_sizes(architecture, pixel)
    _check_progress(progress)
    parameters = {name: array for name, array in tensors.items() if not name.startswith(OPTIMIZER)}
    state = {name.removeprefix(OPTIMIZER): a for name, a in tensors.items() if name.startswith(OPTIMIZER)}
    check_parameters(architecture, parameters)
    check_optimizer_state(architecture, config.optimization, state, begun=progress.epoch + progress.batch > 0)
    if not isinstance(metadata["backend"], str):
        raise UserError(f"backend: expected text, got {type(metadata['backend']).__name__}")
    return Checkpoint(
        backend=metadata["backend"],
        architecture=architecture,
        data_size=_data_size(metadata["data_size"], architecture),
        pixel=pixel,
        config=config,
        progress=progress,
        parameters={name: parameters[name] for name in architecture.parameter_shapes()},
        optimizer_state=state,
        history=_history(metadata.get("history"), progress.epoch),
    )


def _field(kind: type[T], metadata: dict[str, Any], key: str) -> T:
    try:
        return build(kind, metadata[key], key)
    except UserError as error:
        raise UserError(f"damaged: {error}") from error


def _check_sizes(architecture: Architecture, pixel: PixelScale) -> None:
    for name, shape in architecture.stages():
        if max(architecture.image_size) > LARGEST_SIDE or np.prod(shape, dtype=float) > LARGEST_STAGE:
            raise UserError(f"damaged: the architecture is out of range: {name} is {'x'.join(map(str, shape))}")
    if not (pixel.maximum > 0 and pixel.std > 0 and np.isfinite([pixel.maximum, pixel.mean, pixel.std]).all()):
        raise UserError(f"damaged: pixel is out of range: {pixel}")


def _check_progress(progress: Progress) -> None:
    p = progress
    counts = min(p.epoch, p.batch, p.correct, p.seen - p.correct, p.best_epoch, p.epoch - p.best_epoch)
    if (
        counts < 0
        or (p.batch > 0) != (p.seen > 0)
        or not (p.seconds >= 0 and np.isfinite([p.loss_sum, p.seconds]).all())
    ):
        raise UserError(f"damaged: position is out of range: {progress}"[:300])


def _data_size(value: Any, architecture: Architecture) -> tuple[int, int]:
    """Height and width of the data's images: a whole multiple of the network's, at most `LARGEST_SIDE`."""
    height, width = value
    if not (type(height) is type(width) is int and 1 <= height <= LARGEST_SIDE and 1 <= width <= LARGEST_SIDE):
        raise UserError(f"damaged: data_size is out of range: {value!r:.100}")
    if height % architecture.image_size[0] or width % architecture.image_size[1]:
        return architecture.image_size  # older versions stored 28x28 for MNIST of any size
    return height, width


def _history(rows: Any, epochs: int) -> tuple[Row, ...] | None:
    if rows is None:
        return None
    lengths = {len(row) for row in rows} - {len(COLUMNS), len(OLDER)}
    if lengths:
        raise UserError(f"damaged: its history has rows of {min(lengths)} numbers, not of {len(COLUMNS)}")
    unknown = [math.nan] * (len(COLUMNS) - len(OLDER))
    history = tuple(dict(zip(COLUMNS, [*map(_number, row), *unknown], strict=False)) for row in rows)
    if len(history) != epochs or any(row["epoch"] != number for number, row in enumerate(history, start=1)):
        raise UserError(f"damaged: its history has {len(history)} rows, not one for each of {epochs} epochs")
    return history


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise TypeError(f"history: expected a number, got {value!r:.40}")
    return value  # type: ignore[no-any-return]  # one of the two types above


def _plain(array: Array) -> Array:
    """The array as safetensors needs it: contiguous, because it writes memory order and ignores strides."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(array.shape)


def _digest(tensors: dict[str, Array], metadata: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
