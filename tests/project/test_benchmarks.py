"""The benchmarks run and print the expected tables; no test asserts a speed."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from programs import ROOT

from numpy_cnn import ops

ALONE = {"numpy_cnn": ("by_numpy", ""), "as_strided + einsum": ("by_einsum", ""), "limit": ("by_limit", "")}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Run benchmarks/run.py as a script, so that it can import the modules beside it."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import run

    return run


def test_every_contender_takes_part(run: ModuleType) -> None:
    assert {*run.turns.EAGER, *ALONE} <= set(run.turns.contenders("step", quick=True))
    assert {*run.turns.LAYOUTS, *ALONE} <= set(run.turns.contenders("inference", quick=True))
    assert {"numpy_cnn", "numpy_cnn, batch innermost", *run.turns.LAYOUTS} < set(
        run.turns.contenders("both", True)
    )


def test_a_step_is_measured_beside_torch(
    run: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taking_part = ALONE | {"torch, fused Adam": run.turns.EAGER["torch, fused Adam"]}
    monkeypatch.setattr(run.turns, "contenders", lambda *_: taking_part)
    assert run.main(["step", "--quick", "--json", str(tmp_path / "all.json")]) == 0
    found = json.loads((tmp_path / "all.json").read_text())["step"]["batch 16"]
    assert set(found) == set(taking_part)
    assert all(len(turns["seconds"]) == 2 for turns in found.values())
    shown = capsys.readouterr().out
    assert all(name in shown for name in taking_part)


def test_the_other_workloads_make_tables(
    run: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = {name: who for name, who in ALONE.items() if name != "as_strided + einsum"}
    monkeypatch.setattr(
        run.turns, "contenders", lambda workload, _: ALONE if workload == "inference" else dict(own)
    )
    assert run.main(["inference", "ops", "growth", "--quick", "--markdown", str(tmp_path / "all.md")]) == 0
    written = (tmp_path / "all.md").read_text()
    for title in ("Inference", "conv2d forward", "conv2d forward + backward", "Growth of"):
        assert f"### {title}" in written
    assert "| numpy_cnn |" in written
    assert "n^" in capsys.readouterr().out


def test_every_op_and_network_is_measured(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = {case["layer"].split(",")[0] for case in run.every_layer.cases(quick=True).values()}
    assert measured | {"conv2d", "flatten"} == set(ops.__all__)  # flatten copies nothing
    assert {case["arch"] for case in run.cases.networks(quick=False).values()} == {"lenet5", "vgg", "resnet"}
    for case in run.cases.networks(quick=True).values():
        for module in ("by_numpy", "by_torch"):
            importlib.import_module(module).prepare("network", case | {"batch": 2})()
    # One of each in processes of their own, without variants of torch.
    monkeypatch.setattr(
        run.turns, "contenders", lambda *_: {"numpy_cnn": ALONE["numpy_cnn"], "torch": ("by_torch", "")}
    )
    monkeypatch.setattr(run.every_layer, "cases", lambda quick: {"gelu": {"layer": "gelu", "quick": quick}})
    monkeypatch.setattr(run.cases, "networks", lambda quick: {"lenet5": {"batch": 2, "arch": "lenet5"}})
    for workload in (run.layers, run.networks):
        tables, _ = workload(run.Settings(1, rounds=1, seconds=0.001, quick=True, clock="wall"))
        assert all(
            {"numpy_cnn", "torch"} <= {row["contender"].split(" ←")[0] for row in t} for t in tables.values()
        )


def both_sides_of(case: dict[str, Any]) -> Iterator[Any]:
    for module in ("by_numpy", "by_torch"):
        yield importlib.import_module(module).prepare("layer both", case)()


def test_both_sides_of_a_layer_compute_the_same(run: ModuleType) -> None:
    for name, case in run.every_layer.cases(quick=True).items():
        if not name.startswith("dropout"):  # torch draws its own mask
            ours, theirs = both_sides_of(case)
            np.testing.assert_allclose(ours[0], theirs[0].numpy(), 1e-3, 1e-4, err_msg=name)


def test_an_epoch_runs_both_commands_in_turn(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    called, budgets = [], set()

    def look(command: list[str], env: dict[str, str], **_: object) -> None:
        called.append(command[2])
        budgets.add((command[command.index("--threads") + 1], env["OMP_NUM_THREADS"], env["OPENBLAS_NUM_THREADS"]))

    monkeypatch.setattr(run.commands.subprocess, "run", look)
    found = run.commands.epoch(threads=2, rounds=2, quick=True)
    assert called == ["numpy_cnn", "torch_cnn"] * 2
    assert budgets == {("2", "2", "1")}
    assert {name: len(turns.seconds) for name, turns in found.items()} == {"numpy_cnn": 2, "torch": 2}


def test_threads_share_a_batch(run: ModuleType) -> None:
    with run.turns.Field({name: ALONE[name] for name in ("numpy_cnn", "as_strided + einsum")}, 2) as field:
        found = field.measure("step", {"batch": 4}, rounds=1, seconds=0.001)
    assert all(turns.seconds[0] > 0 for turns in found.values())
    assert len(found) == 2


@pytest.mark.parametrize("optimize", [False, True])
def test_the_usual_way_has_the_right_gradients(run: ModuleType, optimize: bool) -> None:
    import by_einsum
    import torch
    from torch.nn import functional as F

    generator = np.random.default_rng(0)
    shapes = {"conv.w": (8, 1, 3, 3), "conv.b": (8,), "fc1.w": (128, 1352), "fc1.b": (128,)}
    shapes |= {"fc2.w": (10, 128), "fc2.b": (10,)}
    p = {name: generator.standard_normal(shape) / 16 for name, shape in shapes.items()}
    x, labels = generator.standard_normal((4, 1, 28, 28)), generator.integers(0, 10, 4)
    found, pictures = by_einsum.gradients(p, x, labels, optimize)
    t = {name: torch.tensor(array, requires_grad=True) for name, array in p.items()}
    images = torch.tensor(x, requires_grad=True)
    y = F.max_pool2d(F.relu(F.conv2d(images, t["conv.w"], t["conv.b"])), 2).flatten(1)
    y = F.linear(F.relu(F.linear(y, t["fc1.w"], t["fc1.b"])), t["fc2.w"], t["fc2.b"])
    F.cross_entropy(y, torch.tensor(labels)).backward()
    # 2⁻²⁰ in double precision is not a bound on rounding: it separates a wrong formula from a right one.
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient, t[name].grad.numpy(), rtol=2**-20, atol=2**-40, err_msg=name)
    np.testing.assert_allclose(pictures, images.grad.numpy(), rtol=2**-20, atol=2**-40)


def test_a_contender_that_fails_drops_out(run: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with run.turns.Field({"numpy_cnn": ("by_numpy", ""), "nobody": ("by_nobody", "")}, 1) as field:
        found = field.measure("inference", {"batch": 2}, rounds=1, seconds=0.001)
    assert set(found) == {"numpy_cnn"}
    assert "nobody failed" in capsys.readouterr().err


def test_an_unknown_workload_is_reported() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "run.py"), "steps"]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 2
    assert "no workload 'steps'" in finished.stderr


def test_the_clock_can_be_the_processors(
    run: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run.turns, "contenders", lambda *_: {"limit": ("by_limit", "")})
    assert run.main(["inference", "--quick", "--clock", "processor"]) == 0
    assert "limit" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run.main(["inference", "--quick", "--clock", "processor", "--threads", "2"])
    assert "one thread alone" in capsys.readouterr().err


def test_the_table_of_cudnn_has_its_figures(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    import gpu

    table = gpu.precision_table(torch.device("cpu"), {"small": gpu.Shape(2, 2, 6, 4, 3, stride=2, groups=2)}, 2)
    assert [row["exact, float32"] for row in table] == ["2/2"]
    assert 0 < float(table[0]["of the bound, float32"]) <= 1 < float(table[0]["of the bound, bfloat16"])
    assert gpu.step_table((4,), 1)[0]["batch"] == "4"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_the_table_of_cudnn_needs_a_gpu(run: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    import gpu

    assert gpu.main([]) == 2
    assert "has no CUDA device" in capsys.readouterr().err


def test_contenders_of_the_race_train_and_predict(run: ModuleType) -> None:
    import racers

    generator = np.random.default_rng(0)
    images, labels = generator.random((8, 1, 28, 28), dtype=np.float32), generator.integers(0, 10, 8)
    for name in ("numpy_cnn", "torch, eager"):
        assert name in racers.installed()
        step, predict = racers.prepare(name, "hidden", 1, 0)
        for _ in range(100):
            step(images, labels)
        np.testing.assert_array_equal(predict(images), labels, err_msg=name)
