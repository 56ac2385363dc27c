"""Contents are validated even if the checksum is right; other programs' files are recognised by type."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from programs import error_of, succeed
from safetensors.torch import load_file
from safetensors.torch import save_file as save_torch
from test_checkpoint import checkpoint, message_of, rewrite, stored

from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.checkpoint import load_checkpoint, save_checkpoint

Tensors = dict[str, np.ndarray]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "a.safetensors", checkpoint())
    return tmp_path / "a.safetensors"


def drop(name: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {key: array for key, array in tensors.items() if key != name}


def put(name: str, array: object) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {**tensors, name: np.asarray(array)}


STEP, MEAN, SQUARES = (f"optimizer.fc1.bias.{kind}" for kind in ("step", "exp_avg", "exp_avg_sq"))
WRONG = {
    "no state of one parameter": (
        drop(MEAN),
        "optimizer state: fc1.bias.exp_avg has the shape none, expected (2,)",
    ),
    "misshapen state": (put(MEAN, np.zeros(3, np.float32)), "fc1.bias.exp_avg has the shape (3,), expected (2,)"),
    "unknown state": (put(STEP + "x", np.float32(0)), "fc1.bias.stepx has the shape (), expected none"),
    "negative steps": (put(STEP, np.float32(-1)), "fc1.bias.step contains a negative value, -1.0"),
    "half a step": (put(STEP, np.float32(0.5)), "fc1.bias.step is 0.5, not a whole number of steps"),
    "negative squares": (put(SQUARES, np.float32([0, -1])), "fc1.bias.exp_avg_sq contains a negative value, -1.0"),
    "NaN in the state": (put(MEAN, np.float32([0, np.nan])), "optimizer state: fc1.bias.exp_avg contains nan"),
    "NaN weights": (
        put("fc1.bias", np.float32([np.nan, 0])),
        "damaged: fc1.bias contains nan, not only finite numbers",
    ),
    "infinite weights": (put("fc1.bias", np.float32([0, -np.inf])), "damaged: fc1.bias contains -inf"),
    "unknown weights": (put("fc9.bias", np.zeros(2, np.float32)), "fc9.bias of shape (2,) is unknown"),
    "double weights": (
        put("fc1.bias", np.zeros(2)),
        "fc1.bias is stored as F64; only float32 checkpoints (F32) are",
    ),
    "integer weights": (put("fc1.bias", np.zeros(2, np.int32)), "fc1.bias is stored as I32; only float32"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_tensors_under_a_right_checksum(path: Path, what: str) -> None:
    change, message = WRONG[what]
    tensors, metadata = stored(path)
    rewrite(path, change(tensors), metadata)
    assert message in message_of(path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("position", {"epoch": "three"}, "position.epoch: expected an integer, got 'three'"),
        ("position", {"epoch": True}, "position.epoch: expected an integer, got True"),
        ("position", {"epoch": -1}, "position is out of range"),
        ("position", {"seconds": float("nan")}, "position is out of range"),
        ("position", {"batch": 3, "seen": 0}, "position is out of range"),
        ("position", {"best_epoch": 7}, "position is out of range"),
        ("config", {"seed": 1.5}, "config.seed: expected an integer, got 1.5"),
        ("config", {"epochs": 0}, "--epochs must be at least 1, got 0"),
        ("config", {"optimization": {"optimizer": "lion"}}, "or 'adagrad', got 'lion'"),
        ("pixel", {"std": 0}, "pixel is out of range"),
        ("data_size", [10**9, 10**9], "data_size is out of range"),
        ("architecture", {"padding": 10**6}, "the architecture is out of range"),
        (
            "architecture",
            {"padding": True},
            "architecture.padding: expected an integer, got True",
        ),  # found by `make fuzz`
        ("architecture", {"loss": "hinge"}, "architecture.loss: expected 'cross_entropy' or 'mse', got 'hinge'"),
        ("backend", 7, "backend: expected text, got int"),
        ("history", [[1, 2]], "damaged"),
        ("history", [["1"] * 6], "damaged"),
        ("history", "text", "damaged"),
    ],
)
def test_wrong_metadata_under_a_right_checksum(path: Path, key: str, value: object, message: str) -> None:
    tensors, metadata = stored(path)
    if isinstance(value, dict) and isinstance(metadata[key], dict):
        value = {**metadata[key], **value}
    rewrite(path, tensors, {**metadata, key: value})
    assert message in message_of(path)


def test_a_huge_epoch_number_takes_no_memory(path: Path) -> None:
    """Found by `make fuzz`: the reader built a list of all epochs."""
    save_checkpoint(path, checkpoint(history=()))
    tensors, metadata = stored(path)
    rewrite(path, tensors, {**metadata, "position": {**metadata["position"], "epoch": 2**40}})
    assert "its history has 0 rows, not one for each of 1099511627776 epochs" in message_of(path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"schema":' + "[" * 100_000, "9" * 5000])
def test_metadata_nested_beyond_what_python_reads(path: Path, text: str) -> None:
    from safetensors.numpy import save_file

    save_file(stored(path)[0], path, metadata={"cnn_parity": text})
    assert "damaged: its 'cnn_parity' metadata is not JSON (" in message_of(path)


def test_bfloat16_is_reported_by_both_programs(path: Path, program: str) -> None:
    _, metadata = stored(path)
    import json

    tensors = {name: tensor.bfloat16() for name, tensor in load_file(path).items()}
    save_torch(tensors, path, metadata={"cnn_parity": json.dumps(metadata)})
    for arguments in (["evaluate", path], ["predict", path, path]):
        message = error_of(program, *arguments)
        assert "is stored as BF16; only float32 checkpoints (F32) are read; `import` converts it" in message


def _zip(*names: str) -> bytes:
    import io

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return content.getvalue()


FOREIGN = {
    "NumPy arrays (.npz)": _zip("w.npy"),
    "a Keras model (.keras)": _zip("metadata.json", "model.weights.h5"),
    "a TorchScript model (torch.jit.save)": _zip("a/data.pkl", "a/constants.pkl"),
    "a ZIP archive": _zip("readme.txt"),
    "an HDF5 file, as Keras writes weights": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "a NumPy array (.npy)": b"\x93NUMPY\x01\0" + bytes(100),
    "a Python pickle": pickle.dumps({"w": 1}),
    "a GGUF model (llama.cpp)": b"GGUF" + bytes(100),
    "a gzip archive": b"\x1f\x8b\x08" + bytes(100),
    "a web page or an XML file": b"\n<!DOCTYPE html><html>",
    "a JSON file": b'{"w": 1}',
    "a Git LFS pointer: the real file was not fetched (git lfs pull)": b"version https://git-lfs.github.com/spec/v1\n",
}


READ = "only checkpoints written by `train` are read (`import` turns plain weights into one)"


@pytest.mark.parametrize("what", FOREIGN)
def test_files_of_other_programs_are_recognised(tmp_path: Path, what: str) -> None:
    (tmp_path / "weights").write_bytes(FOREIGN[what])
    message = message_of(tmp_path / "weights")
    assert message == f"not a readable safetensors file, but {what}; {READ}"


@pytest.mark.parametrize("old", [True, False], ids=["old format", "zip"])
def test_files_of_torch_save_are_recognised_and_not_unpickled(tmp_path: Path, old: bool) -> None:
    torch.save({"w": torch.zeros(3)}, tmp_path / "w.pth", _use_new_zipfile_serialization=not old)
    assert "but a PyTorch file " in message_of(tmp_path / "w.pth")


def test_a_checkpoint_is_recognised_whatever_the_length_of_its_header(path: Path) -> None:
    """The first byte of the file is part of a length, and may equal `<`, `{` or the first byte of a pickle."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    for extra in range(0, 256, 8):  # safetensors aligns the header to eight bytes
        padded = content[8 : 8 + size] + b" " * extra
        path.write_bytes(len(padded).to_bytes(8, "little") + padded + content[8 + size :])
        load_checkpoint(path)


def test_a_run_folder_is_accepted_as_a_checkpoint(trained: dict[str, Path], program: str, tmp_path: Path) -> None:
    folder = trained[program]
    file = succeed(program, "evaluate", folder / "best.safetensors").out
    assert succeed(program, "evaluate", folder).out == file.replace(f"{folder}/best.safetensors", str(folder))
    with pytest.raises(UserError, match="no such checkpoint in this folder"):
        load_checkpoint(tmp_path)
