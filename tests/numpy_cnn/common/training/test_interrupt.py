"""Ctrl-C in a separate process: the run is saved and can be resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from programs import HANG, environment, history, last, start, succeed

from numpy_cnn.common.training.interrupt import PATIENCE, SIGNALS, Interrupt

# Batches of one image, for a number of epochs that would take hours.
ENDLESS = ("--limit", 250, "--batch-size", 1, "--epochs", 10_000, "--schedule", "constant")
STEPS = 225  # of an epoch: a tenth of the images is for validation


# `python -m PROGRAM`, with an extra line on standard error after 20 steps of the second epoch.
_ANNOUNCES = """
import runpy, sys
from numpy_cnn.common.cli import train
from numpy_cnn.common.training import display

def batch(self, epoch, done, loss):
    if (epoch, done) == (2, 20):
        display.log("in the second epoch")

display._Lines.batch = batch
train.draw_pictures = lambda *_: []
sys.argv[:1] = [program := sys.argv.pop(1)]
runpy.run_module(program, run_name="__main__", alter_sys=True)
"""


def interrupt_in_the_second_epoch(
    program: str, *flags: object, cwd: Path, presses: int
) -> subprocess.CompletedProcess[str]:
    """Train until the middle of the second epoch, press Ctrl-C, and return what is printed after that."""
    process = start("-c", _ANNOUNCES, program, *ENDLESS, *flags, cwd=cwd)
    try:
        first, second = process.stderr.readline(), process.stderr.readline()
        assert first.startswith("epoch 1/10000  loss "), first + second + process.stderr.read()
        assert second == "in the second epoch\n"
        first_press = time.monotonic()
        for _ in range(presses):
            if time.monotonic() - first_press > PATIENCE / 2:  # on a busy machine: later ones would count
                break
            process.send_signal(signal.SIGINT)
            time.sleep(0.005)  # several signals at once would be delivered as one
        out, err = process.communicate(timeout=HANG)
    finally:
        process.kill()
        process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.mark.parametrize(("program", "presses"), [("numpy_cnn", 40), ("torch_cnn", 1)])
@pytest.mark.usefixtures("no_pictures")
def test_ctrl_c_in_the_middle_of_an_epoch(tmp_path: Path, program: str, presses: int) -> None:
    done = interrupt_in_the_second_epoch(program, "--out", "run", cwd=tmp_path, presses=presses)

    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    *_, saved, resume = done.stderr.splitlines()
    assert saved == f"{program}: interrupted; saved run/last.safetensors"
    assert resume == f"continue with: python -m {program} --resume run"

    progress = last(tmp_path / "run").progress
    assert progress.epoch == len(history(tmp_path / "run")) >= 1
    assert 0 < progress.batch < STEPS
    assert progress.seen == progress.batch
    steps = last(tmp_path / "run").optimizer_state["fc1.weight.step"]
    assert float(steps) == STEPS * progress.epoch + progress.batch

    succeed(program, "train", "--resume", tmp_path / "run", "--epochs", progress.epoch + 1)
    assert last(tmp_path / "run").progress.epoch == len(history(tmp_path / "run")) == progress.epoch + 1


def test_the_message_is_a_command_that_continues_the_run(tmp_path: Path) -> None:
    stopped = interrupt_in_the_second_epoch("numpy_cnn", "--out", "a run", cwd=tmp_path, presses=1)
    assert stopped.returncode == 130
    command = stopped.stderr.splitlines()[-1].removeprefix("continue with: ")
    done = last(tmp_path / "a run").progress.epoch
    resumed = subprocess.run(
        f"{command} --epochs {done + 1}",
        shell=True,
        cwd=tmp_path,
        env=environment(PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}"),
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG,
    )
    assert resumed.returncode == 0, resumed.stderr
    assert f"of {done + 1}," in resumed.stdout


def test_ctrl_c_before_training_gives_one_line(tmp_path: Path) -> None:
    """There is nothing to save before training, for example while a plot is drawn."""
    process = start("-c", _SLOW, cwd=tmp_path)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, reported = process.communicate(timeout=HANG)
    assert (process.returncode, reported) == (130, "numpy_cnn: interrupted\n")


_SLOW = """
import sys, time
from numpy_cnn.common.cli import flags

def command():
    print("ready", flush=True)
    time.sleep(30)

sys.exit(flags.run("numpy_cnn", command))
"""


def test_repeated_presses_count_once_within_the_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("numpy_cnn.common.training.interrupt.time.monotonic", lambda: now[0])
    before = signal.getsignal(signal.SIGINT)
    with Interrupt() as interrupt:
        assert not interrupt.requested
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)
            assert interrupt.requested
        now[0] += PATIENCE
        signal.raise_signal(signal.SIGINT)
        now[0] += 0.1
        with pytest.raises(KeyboardInterrupt):  # the batch takes too long
            signal.raise_signal(signal.SIGINT)
        now[0] = 100.0
    try:
        signal.raise_signal(signal.SIGINT)  # while the message is printed
        now[0] += PATIENCE + 0.1
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)

    with Interrupt():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: signal.Signals(number).name)
def test_each_signal_is_a_request(number: int) -> None:
    before = signal.signal(number, signal.default_int_handler)
    try:
        with Interrupt() as interrupt:
            signal.raise_signal(number)
            assert interrupt.requested == number
    finally:
        signal.signal(number, before)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            signal.raise_signal(signal.SIGHUP)
            assert not interrupt.requested
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
