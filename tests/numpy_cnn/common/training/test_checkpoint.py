"""Checkpoints are restored bit for bit by either backend; damage is reported in one line that names the file."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from programs import OTHER, PROGRAMS, best, bits, error_of, last
from safetensors import safe_open
from safetensors.numpy import save_file

from numpy_cnn.common.data import PIXELS
from numpy_cnn.common.spec.architecture import PRESETS
from numpy_cnn.common.spec.config import ArchitectureConfig, DataConfig, OptimizerConfig, TrainConfig
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.initial import initial_parameters
from numpy_cnn.common.training import checkpoint as checkpoint_module
from numpy_cnn.common.training.checkpoint import Checkpoint, Progress, load_checkpoint, save_checkpoint

TINY = PRESETS["tiny"]
SGD = OptimizerConfig(optimizer="sgd", lr=0.1, momentum=0.9, nesterov=True)
OPTIMIZERS = {"adam": OptimizerConfig(), "sgd": SGD, "plain sgd": OptimizerConfig(optimizer="sgd")}


def state_of(config: OptimizerConfig) -> dict[str, np.ndarray]:
    """The optimizer's state after one step of the tiny network."""
    backend = PROGRAMS["numpy_cnn"].backend()(TINY, initial_parameters(TINY, 0), config)
    backend.train_step(np.ones((2, 1, 4, 4), np.float32), np.array([0, 1]), 0.1)
    return backend.optimizer_state()


def checkpoint(**changes: object) -> Checkpoint:
    config = changes.get("config", TrainConfig(network=ArchitectureConfig(arch="tiny")))
    values = {
        "backend": "numpy_cnn",
        "architecture": TINY,
        "data_size": (8, 8),
        "pixel": PIXELS["digits"],
        "config": config,
        "progress": Progress(),
        "parameters": initial_parameters(TINY, 0),
        "optimizer_state": state_of(config.optimization),
    }
    return Checkpoint(**{**values, **changes})


def message_of(path: Path) -> str:
    with pytest.raises(UserError) as reported:
        load_checkpoint(path)
    message = str(reported.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def stored(path: Path) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """The tensors and the metadata of a file."""
    with safe_open(path, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
        return tensors, json.loads(file.metadata()["cnn_parity"])


def rewrite(path: Path, tensors: dict[str, np.ndarray], metadata: object) -> None:
    """Write a file whose checksum is right, whatever else is wrong with it."""
    if isinstance(metadata, dict) and "sha256" in metadata:
        rest = {key: value for key, value in metadata.items() if key != "sha256"}
        metadata = {**rest, "sha256": checkpoint_module._digest(tensors, rest)}
    save_file(tensors, path, metadata={"cnn_parity": json.dumps(metadata)})


CONFIGS = st.builds(
    TrainConfig,
    dataset=st.builds(DataConfig, data=st.sampled_from(["digits", "mnist"]), data_dir=st.just(Path("a b"))),
    network=st.builds(ArchitectureConfig, image_size=st.none() | st.tuples(st.integers(1, 9), st.integers(1, 9))),
    optimization=st.sampled_from([*OPTIMIZERS.values()]),
    epochs=st.integers(1, 99),
    seed=st.integers(0, 2**70),
    validation=st.floats(0, 1, exclude_max=True),
    limit=st.none() | st.integers(1, 99),
    patience=st.none(),  # any other value needs a validation split
)
FINITE = st.floats(0, allow_infinity=False)
PROGRESSES = st.builds(Progress, loss_sum=FINITE, seconds=FINITE, best_loss=st.floats(allow_nan=False))


@given(CONFIGS, PROGRESSES)
# Each example writes the file, which may be slow on a busy disk.
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_all_fields_are_restored(tmp_path: Path, config: TrainConfig, progress: Progress) -> None:
    written = checkpoint(config=config, progress=progress)
    save_checkpoint(tmp_path / "a.safetensors", written)
    read = load_checkpoint(tmp_path / "a.safetensors")
    assert replace(read, parameters={}, optimizer_state={}) == replace(written, parameters={}, optimizer_state={})
    assert bits(read.parameters) == bits(written.parameters)
    assert bits(read.optimizer_state) == bits(written.optimizer_state)


@given(st.integers(0, 2**32), st.sampled_from(["transposed", "flipped", "strided", "read-only", "big-endian"]))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_arrays_in_any_memory_layout_are_restored(tmp_path: Path, seed: int, how: str) -> None:
    random = np.random.default_rng(seed)
    shapes = TINY.parameter_shapes()
    parameters = {name: random.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}
    expected = bits(parameters)
    for name, array in parameters.items():
        if how == "transposed":
            array = array.T.copy().T
        elif how == "flipped":
            array = np.flip(np.flip(array).copy())
        elif how == "strided":
            array = np.repeat(array[..., None], 2, axis=-1)[..., 0]
        elif how == "big-endian":
            array = array.astype(">f4")
        array.flags.writeable = how != "read-only"
        parameters[name] = array
    save_checkpoint(tmp_path / "a.safetensors", checkpoint(parameters=parameters))
    read = load_checkpoint(tmp_path / "a.safetensors").parameters
    assert {name: array.tolist() for name, array in read.items()} == {n: a.tolist() for n, a in parameters.items()}
    assert bits(read) == expected


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_backend_resumes_from_a_checkpoint_of_either_backend(
    tmp_path: Path, program: str, optimizer: OptimizerConfig
) -> None:
    random = np.random.default_rng(0)
    batches = [(random.standard_normal((5, 1, 4, 4), np.float32), random.integers(0, 2, 5)) for _ in range(4)]

    unbroken = PROGRAMS[program].backend()(TINY, initial_parameters(TINY, 0), optimizer)
    for images, labels in batches[:2]:
        unbroken.train_step(images, labels, 0.1)
    config = TrainConfig(network=ArchitectureConfig(arch="tiny"), optimization=optimizer)
    saved = checkpoint(config=config, parameters=unbroken.parameters(), optimizer_state=unbroken.optimizer_state())
    save_checkpoint(tmp_path / "a.safetensors", saved)
    read = load_checkpoint(tmp_path / "a.safetensors")
    state = bits(read.optimizer_state)
    assert bits(read.parameters) == bits(unbroken.parameters())
    assert state == bits(unbroken.optimizer_state())

    for name in (program, OTHER[program]):  # the other backend also restores identical bits
        taken = PROGRAMS[name].backend()(TINY, read.parameters, optimizer, read.optimizer_state)
        assert bits(taken.parameters()) == bits(read.parameters)
        assert bits(taken.optimizer_state()) == state

    resumed = PROGRAMS[program].backend()(TINY, read.parameters, optimizer, read.optimizer_state)
    for images, labels in batches[2:]:
        assert unbroken.train_step(images, labels, 0.1)[0] == resumed.train_step(images, labels, 0.1)[0]
    assert bits(resumed.parameters()) == bits(unbroken.parameters())
    assert bits(resumed.optimizer_state()) == bits(unbroken.optimizer_state())
    assert bits(read.optimizer_state) == state, "training wrote into the checkpoint it began from"


def test_a_run_of_either_backend_can_be_read(trained: dict[str, Path], program: str) -> None:
    for read in (best(trained[program]), last(trained[program])):
        assert read.backend == program
        assert read.data_size == (8, 8)
        assert read.pixel == PIXELS["digits"]
        assert [*read.parameters] == [*read.architecture.parameter_shapes()]
        kinds = {name.rpartition(".")[2] for name in read.optimizer_state}
        assert kinds == {"step", "exp_avg", "exp_avg_sq"}
    assert last(trained[program]).progress.epoch == 6


@given(st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_byte_is_reported_or_harmless(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "a.safetensors"
    written = checkpoint()
    save_checkpoint(path, written)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        read = load_checkpoint(path)
    except UserError:
        message_of(path)
        return
    # Only white space and the order of names can change unnoticed; neither has a meaning.
    assert replace(read, parameters={}, optimizer_state={}) == replace(written, parameters={}, optimizer_state={})
    assert bits(read.parameters) == bits(written.parameters)


@given(st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_the_checksum_detects_a_flipped_bit_in_the_numbers(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, checkpoint())
    content = bytearray(path.read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    content[data.draw(st.integers(header, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    assert message_of(path).startswith("damaged: the checksum of the content is not the one")


@given(st.data())
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_truncated_file_is_reported(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, checkpoint())
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    assert "not a readable safetensors file, or a truncated one (" in message_of(path)


@given(st.binary(max_size=200))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_other_bytes_are_rejected(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    assert "not a readable safetensors file" in message_of(path)


def test_a_missing_file_and_a_folder_are_reported(tmp_path: Path) -> None:
    assert "no such checkpoint; `train` writes best.safetensors" in message_of(tmp_path / "none.safetensors")
    assert "no such checkpoint" in message_of(tmp_path)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_another_safetensors_file_is_reported(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    path = tmp_path / "a.safetensors"
    save_file(initial_parameters(TINY, 0), path, metadata=metadata)
    assert message_of(path) == (
        "a safetensors file, but not a checkpoint of this project: no 'cnn_parity' metadata; "
        "`import` turns plain weights into one"
    )


def test_another_safetensors_file_in_a_type_that_numpy_lacks_is_reported(tmp_path: Path) -> None:
    header = b'{"w":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
    assert "not a checkpoint of this project" in message_of(tmp_path / "a.safetensors")


@pytest.mark.parametrize("schema", [2, "1", None, 0])
def test_another_schema_is_reported(tmp_path: Path, schema: object) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, checkpoint())
    tensors, metadata = stored(path)
    rewrite(path, tensors, {**metadata, "schema": schema})
    assert message_of(path) == f"a checkpoint of schema {schema!r}, this version reads 1"


@pytest.mark.parametrize("metadata", [[], 7, "text", None])
def test_metadata_that_is_not_an_object_is_reported(tmp_path: Path, metadata: object) -> None:
    path = tmp_path / "a.safetensors"
    rewrite(path, initial_parameters(TINY, 0), metadata)
    assert message_of(path) == "a checkpoint of schema None, this version reads 1"


def test_metadata_that_is_not_json_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file(initial_parameters(TINY, 0), path, metadata={"cnn_parity": "{"})
    assert message_of(path).startswith("damaged: its 'cnn_parity' metadata is not JSON (")


def test_tensors_of_another_architecture_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, checkpoint())
    tensors, metadata = stored(path)
    rewrite(path, tensors, {**metadata, "architecture": PRESETS["simple"].to_json()})
    reported = "parameters of another architecture: conv1.weight has the shape (2, 1, 3, 3), expected (8, 1, 3, 3)"
    assert message_of(path) == reported
    rewrite(path, {name: a for name, a in tensors.items() if name != "fc1.bias"}, metadata)
    assert "no fc1.bias of shape (2,); there are conv1." in message_of(path)


KEYS = ("architecture", "data_size", "pixel", "config", "position")  # keys of the metadata that are read
DAMAGED = [
    *((key, "absent") for key in ("sha256", "backend", *KEYS)),
    *((key, value) for key in KEYS for value in (None, [], {"unknown": 1}, 7)),
    *((key, {}) for key in KEYS if key != "position"),  # {} is the position at the start of a run
]


@pytest.mark.parametrize(("key", "value"), DAMAGED, ids=str)
def test_incomplete_metadata_is_damage(tmp_path: Path, key: str, value: object) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, checkpoint())
    tensors, metadata = stored(path)
    del metadata[key]
    rewrite(path, tensors, metadata if value == "absent" else {**metadata, key: value})
    assert "damaged" in message_of(path)


def test_sizes_that_do_not_fit_together_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, checkpoint())
    tensors, metadata = stored(path)
    rewrite(path, tensors, {**metadata, "architecture": {**metadata["architecture"], "kernel_size": 9}})
    assert "conv1 needs at least 9 pixels, but has 6" in message_of(path)


def test_a_failed_write_keeps_the_previous_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, checkpoint())
    before = path.read_bytes()

    write = os.write

    def fill_the_disk(descriptor: int, content: memoryview) -> int:
        write(descriptor, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", fill_the_disk)
    with pytest.raises(UserError) as reported:
        save_checkpoint(path, checkpoint(progress=Progress(epoch=1)))
    assert str(reported.value) == f"{path}: cannot be written (No space left on device)"
    with pytest.raises(UserError):
        save_checkpoint(tmp_path / "b.safetensors", checkpoint())
    monkeypatch.undo()

    assert path.read_bytes() == before
    assert not (tmp_path / "b.safetensors").exists()
    save_checkpoint(path, checkpoint(progress=Progress(epoch=1)))
    assert load_checkpoint(path).progress.epoch == 1
    save_checkpoint(tmp_path / "b.safetensors", checkpoint())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.safetensors", "b.safetensors"]


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_the_commands_report_damage_in_one_line(tmp_path: Path, program: str, command: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"no checkpoint at all")
    arguments = [path] if command == "evaluate" else [path, tmp_path / "picture.png"]
    assert error_of(program, command, *arguments).startswith(f"{path}: not a readable safetensors file")
