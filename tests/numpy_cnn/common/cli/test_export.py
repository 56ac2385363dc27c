"""Exports a checkpoint's parameters for other programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
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
    message = error_of("numpy_cnn", "export", run, tmp_path / "no" / "net.npz")
    assert message == f"{tmp_path / 'no'}: there is no such folder"


@pytest.mark.parametrize("name", ["best.safetensors", "last.safetensors"])
def test_a_run_is_not_overwritten(trained: dict[str, Path], name: str, program: str) -> None:
    file = trained[program] / name
    before = file.read_bytes()
    message = error_of(program, "export", trained[program], file)
    assert message == f"{file}: belongs to a run, which could not be resumed without it; choose another name"
    message = error_of(program, "import", trained[program] / "best.safetensors", file, "--data", "digits")
    assert message == f"{file}: would be overwritten; choose another name for the new checkpoint"
    assert file.read_bytes() == before
