"""torchrun and mpirun: two real processes train the same network as one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from programs import HANG, ROOT, WITHOUT_PICTURES, succeed

from numpy_cnn.common.training.checkpoint import load_checkpoint

MPIRUN = shutil.which("mpirun", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
LAUNCHERS = {
    "torch_cnn": [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"],
    "numpy_cnn": [str(MPIRUN), "-n", "2", sys.executable],
}
TRAIN = ["--limit", "200", "--batch-size", "25", "--optimizer", "sgd"]

pytestmark = [
    pytest.mark.usefixtures("no_pictures"),
    pytest.mark.parametrize(
        "program",
        [
            pytest.param(
                "torch_cnn",
                marks=pytest.mark.skipif(
                    not torch.distributed.is_available(), reason="PyTorch without distributed"
                ),
            ),
            pytest.param(
                "numpy_cnn",
                marks=pytest.mark.skipif(
                    MPIRUN is None or find_spec("mpi4py") is None, reason="neither mpi4py nor mpirun"
                ),
            ),
        ],
    ),
]


def start(program: str, folder: Path, *arguments: object) -> subprocess.Popen[str]:
    script = folder / "without_pictures.py"
    script.write_text(WITHOUT_PICTURES)
    command = [*LAUNCHERS[program], str(script), program, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HYDRA_IFACE": "lo", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_two_processes_train_the_network_of_one(program: str, tmp_path: Path) -> None:
    report = tmp_path / "two.json"
    process = start(program, tmp_path, *TRAIN, "--epochs", 2, "--out", tmp_path / "two", "--json", report)
    out, err = process.communicate(timeout=HANG)
    assert process.returncode == 0, err
    assert out.count("test accuracy") == 1, "only one process prints"
    succeed(program, *TRAIN, "--epochs", 2, "--out", tmp_path / "one", "--json", tmp_path / "one.json")
    one, two = (load_checkpoint(tmp_path / name / "last.safetensors") for name in ("one", "two"))
    assert one.progress.epoch == two.progress.epoch == 2
    for name, parameter in one.parameters.items():
        # 2⁻¹² in single precision is not a bound on rounding: a missing or wrongly weighted shard exceeds it.
        np.testing.assert_allclose(two.parameters[name], parameter, rtol=2**-12, atol=2**-12, err_msg=name)
    histories = [json.loads((tmp_path / f"{name}.json").read_text())["history"] for name in ("one", "two")]
    assert [row["train_accuracy"] for row in histories[0]] == [row["train_accuracy"] for row in histories[1]]


def test_a_killed_process_leaves_a_run_to_resume(program: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(program, tmp_path, *TRAIN, "--epochs", 5000, "--out", run, "--validation", 0)
    try:
        while not (run / "history.csv").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        _kill_rank_1(process.pid)
        _, err = process.communicate(timeout=HANG)
    finally:
        process.kill()
    assert process.returncode != 0
    assert f"continue with: python -m {program} --resume {run}" in err
    if program == "torch_cnn":
        assert "another process of the run has ended" in err
    before = load_checkpoint(run / "last.safetensors").progress.epoch
    assert before >= 1
    succeed(program, "--resume", run, "--epochs", before + 1, "--schedule", "cosine")
    assert load_checkpoint(run / "last.safetensors").progress.epoch == before + 1


def _kill_rank_1(launcher: int) -> None:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "environ").read_bytes().split(b"\0")
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended, or belongs to another user
            continue
        if {b"RANK=1", b"PMI_RANK=1"} & {*words} and _descends(parent, launcher):
            os.kill(int(entry.name), signal.SIGKILL)
            return
    raise AssertionError("there is no process of rank 1")


def _descends(process: int, ancestor: int) -> bool:
    while process > 1:
        if process == ancestor:
            return True
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return False
