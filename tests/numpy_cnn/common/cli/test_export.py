"""Exports a checkpoint's parameters for other programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from programs import best, error_of, succeed
from safetensors.torch import load_file

from torch_cnn import SimpleCNN


def test_safetensors_is_a_state_dict_for_torch_and_a_checkpoint(
    trained: dict[str, Path], program: str, tmp_path: Path
) -> None:
    file = tmp_path / "net.safetensors"
    assert succeed(program, "export", trained[program], file).out == f"{file}\n"
    model = SimpleCNN(best(trained[program]).architecture)
    model.load_state_dict(load_file(file))
    assert torch.equal(model.state_dict()["conv1.weight"], load_file(file)["conv1.weight"])
    results = [succeed(program, "evaluate", ckpt).out.partition(": ")[2] for ckpt in (trained[program], file)]
    assert results[0] == results[1]


def test_numpy_arrays(trained: dict[str, Path], tmp_path: Path) -> None:
    succeed("numpy_cnn", "export", trained["numpy_cnn"], tmp_path / "net.npz")
    parameters = best(trained["numpy_cnn"]).parameters
    with np.load(tmp_path / "net.npz", allow_pickle=False) as arrays:
        assert {*arrays.files} == {*parameters}
        assert all(np.array_equal(arrays[name], parameters[name]) for name in parameters)


def test_an_unknown_suffix_or_a_missing_folder_gives_one_line(trained: dict[str, Path], tmp_path: Path) -> None:
    run = trained["numpy_cnn"]
    assert error_of("numpy_cnn", "export", run, "net.h5").endswith("must end in .safetensors, .npz or .onnx")
    assert "No such file" in error_of("numpy_cnn", "export", run, tmp_path / "no" / "net.npz")
