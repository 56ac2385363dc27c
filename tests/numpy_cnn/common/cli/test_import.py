"""Turns plain weights of other programs into a checkpoint."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from programs import best, error_of, succeed
from safetensors.numpy import save_file
from safetensors.torch import load_file as load_torch
from safetensors.torch import save_file as save_torch

from numpy_cnn.common.training.checkpoint import load_checkpoint
from numpy_cnn.common.training.weights import LARGEST


def write(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    if path.suffix == ".safetensors":
        save_file(arrays, path)
    elif path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, path)
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pth", ".pt"])
def test_imported_weights_equal_the_exported_ones(trained: dict[str, Path], suffix: str, tmp_path: Path) -> None:
    parameters = best(trained["torch_cnn"]).parameters
    file = write(tmp_path / f"weights{suffix}", {f"module.{name}": array for name, array in parameters.items()})
    out = succeed("torch_cnn", "import", file, tmp_path / "net.safetensors", "--data", "digits").out
    assert out == f"{tmp_path / 'net.safetensors'}\n"
    read = load_checkpoint(tmp_path / "net.safetensors").parameters
    assert all(np.array_equal(read[name], parameters[name]) for name in parameters)
    results = [
        succeed("numpy_cnn", "evaluate", path).out.partition(": ")[2]
        for path in (tmp_path / "net.safetensors", trained["torch_cnn"])
    ]
    assert results[0] == results[1]


@pytest.mark.parametrize("flags", [("--arch", "simple"), ("--filters", 3, "--kernel-size", 5, "--hidden", 7)])
def test_sizes_follow_from_the_shapes(flags: tuple, tmp_path: Path, no_pictures: None) -> None:
    succeed("numpy_cnn", *flags, "--classes", 4, "--epochs", 1, "--out", tmp_path / "run")
    file = write(tmp_path / "w.npz", best(tmp_path / "run").parameters)
    succeed("numpy_cnn", "import", file, tmp_path / "net.safetensors", "--data", "digits")
    found = load_checkpoint(tmp_path / "net.safetensors").architecture
    assert found == best(tmp_path / "run").architecture


def test_counters_and_double_precision_are_accepted(trained: dict[str, Path], tmp_path: Path) -> None:
    parameters = {name: a.astype(np.float64) for name, a in best(trained["numpy_cnn"]).parameters.items()}
    for suffix in (".npz", ".safetensors"):
        file = write(tmp_path / f"w{suffix}", parameters | {"bn1.num_batches_tracked": np.array(3)})
        succeed("numpy_cnn", "import", file, tmp_path / "net.safetensors", "--data", "digits")


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("whole", [False, True])
def test_a_checkpoint_of_another_precision_can_be_imported(
    kind: torch.dtype, whole: bool, trained: dict[str, Path], tmp_path: Path, program: str
) -> None:
    """`whole`: with the state of the optimizer, which is left out."""
    last = trained["numpy_cnn"] / "last.safetensors"
    tensors = {name: tensor.to(kind) for name, tensor in load_torch(last).items()}
    expected = {name: tensor.float().numpy() for name, tensor in tensors.items() if "optimizer" not in name}
    save_torch(tensors if whole else {name: tensors[name] for name in expected}, tmp_path / "w.safetensors")
    succeed(program, "import", tmp_path / "w.safetensors", tmp_path / "net.safetensors", "--data", "digits")
    read = load_checkpoint(tmp_path / "net.safetensors").parameters
    assert read.keys() == expected.keys()
    assert all(np.array_equal(read[name], expected[name]) for name in read)


def test_weights_of_the_other_data_set_are_recognized(trained: dict[str, Path], tmp_path: Path) -> None:
    file = write(tmp_path / "w.npz", best(trained["numpy_cnn"]).parameters)
    message = error_of("numpy_cnn", "import", file, tmp_path / "net.safetensors")
    assert message.endswith("; they fit the images of digits: pass --data digits")
    message = error_of("numpy_cnn", "import", tmp_path, tmp_path / "net.safetensors")
    assert message == f"{tmp_path}: a folder; name a file of weights"


def test_integer_weights_are_not_imported(tmp_path: Path) -> None:
    file = write(tmp_path / "w.safetensors", {"conv1.weight": np.zeros((8, 1, 3, 3), np.int32)})
    message = error_of("numpy_cnn", "import", file, tmp_path / "net.safetensors")
    assert message == f"{file}: conv1.weight is stored as I32; only BF16, F16, F32, F64 are read"


def test_a_training_script_s_file_is_searched_for_the_state_dict(trained: dict[str, Path], tmp_path: Path) -> None:
    state = {name: torch.from_numpy(array) for name, array in best(trained["torch_cnn"]).parameters.items()}
    torch.save({"epoch": 3, "model_state_dict": state}, tmp_path / "w.pth")
    succeed("torch_cnn", "import", tmp_path / "w.pth", tmp_path / "net.safetensors", "--data", "digits")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(1, 1), tmp_path / "w.pth")
    message = error_of("torch_cnn", "import", tmp_path / "w.pth", tmp_path / "net.safetensors")
    assert "not loaded, because it contains more than tensors" in message
    np.savez(tmp_path / "w.npz", a=np.array([{}]))
    message = error_of("numpy_cnn", "import", tmp_path / "w.npz", tmp_path / "net.safetensors")
    assert message.endswith("w.npz: contains Python objects, which are not read; save arrays of numbers")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("w.npz", b"PK\x03\x04", "not a readable .npz file of numbers (File is not a zip file)"),
        ("w.npz", b"<html>", "not a readable .npz file of numbers, but a web page or an XML file"),
        ("w.safetensors", b"<!DOCTYPE html>", "not a readable safetensors file, but a web page or an XML file"),
        ("w.safetensors", b"\x1f\x8b\x08", "not a readable safetensors file, but a gzip archive"),
        ("w.safetensors", b"\xff" * 20, "not a readable safetensors file, or a truncated one ("),
        ("w.onnx", b"\x08", "the name must end in .safetensors, .npz, .pth or .pt; this is an ONNX model"),
        (
            "w.h5",
            b"\x89HDF\r\n\x1a\n",
            "the name must end in .safetensors, .npz, .pth or .pt; this is an HDF5 file",
        ),
        ("w.pth", b"PK", "only PyTorch reads this file: python -m torch_cnn import "),
        (None, b"", "no such file"),
    ],
)
def test_any_other_file_gives_one_line(name: str | None, content: bytes, expected: str, tmp_path: Path) -> None:
    file = tmp_path / (name or "w.npz")
    if name:
        file.write_bytes(content)
    assert error_of("numpy_cnn", "import", file, tmp_path / "net.safetensors").startswith(f"{file}: {expected}")
    assert not (tmp_path / "net.safetensors").exists()


def test_a_damaged_torch_file_gives_one_line(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(999)}, tmp_path / "w.pth")
    whole = (tmp_path / "w.pth").read_bytes()
    for size in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "w.pth").write_bytes(whole[:size])
        message = error_of("torch_cnn", "import", tmp_path / "w.pth", tmp_path / "net.safetensors")
        assert message.startswith(f"{tmp_path / 'w.pth'}: ")
    torch.save([torch.zeros(2)], tmp_path / "w.pth")
    message = error_of("torch_cnn", "import", tmp_path / "w.pth", tmp_path / "net.safetensors")
    assert message.endswith("expected a state_dict, found list")


def test_weights_of_another_network_give_one_line(tmp_path: Path) -> None:
    file = write(tmp_path / "w.npz", {"conv1.weight": np.zeros((8, 1, 3, 3), np.float32)})
    message = error_of("numpy_cnn", "import", file, tmp_path / "net.safetensors")
    assert message.startswith(
        f"{file}: parameters of another architecture: no conv1.bias of shape (8,); there are "
    )
    write(file, {"conv1.weight": np.full((8, 1, 3, 3), "x")})
    message = error_of("numpy_cnn", "import", file, tmp_path / "net.safetensors")
    assert message == f"{file}: conv1.weight is of type <U1, not of real numbers"
    assert error_of("numpy_cnn", "import", file, tmp_path / "net.npz").endswith("ends in .safetensors")


def test_a_file_that_unpacks_to_too_much_is_rejected_before_it_is_read(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (LARGEST // 2,)}
    )
    with (
        zipfile.ZipFile(tmp_path / "w.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w") as f,
    ):
        f.write(header.getvalue())
        for _ in range(2**6):
            f.write(bytes(2**18))
    file = (tmp_path / "w.npz").read_bytes()
    claimed = file.replace((2**24 + len(header.getvalue())).to_bytes(4, "little"), (2**31).to_bytes(4, "little"))
    assert claimed != file
    (tmp_path / "w.npz").write_bytes(claimed)
    message = error_of("numpy_cnn", "import", tmp_path / "w.npz", tmp_path / "net.safetensors")
    assert "more than any network here" in message


def test_an_encrypted_file_gives_one_line(tmp_path: Path) -> None:
    """`make fuzz` found the flag, which zipfile reports as a RuntimeError."""
    file = write(tmp_path / "w.npz", {"conv1.weight": np.zeros((8, 1, 3, 3), np.float32)})
    content = bytearray(file.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    file.write_bytes(content)
    message = error_of("numpy_cnn", "import", file, tmp_path / "net.safetensors")
    assert "not a readable .npz file of numbers (File 'conv1.weight.npy' is encrypted" in message
