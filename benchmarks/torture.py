"""make torture: a crash or a full disk at every file operation of every command that writes a run's files.

    python benchmarks/torture.py [--short] [--kills N]

After each fault, every file in the folder is complete, in its old or new state; the run can be resumed, or started
again if it has no checkpoint yet; and the finished run equals an undisturbed one bit for bit.
"""

import argparse
import contextlib
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from faults import Fault, Outcome, run, state
from PIL import Image

import numpy_cnn.__main__
import numpy_cnn.common.cli.train
import torch_cnn.__main__
from numpy_cnn.common.cli import config_file
from numpy_cnn.common.cli.main import main
from numpy_cnn.common.cli.train import Train
from numpy_cnn.common.training.checkpoint import load_checkpoint
from numpy_cnn.common.training.run_folder import RunFolder

PROGRAMS = {"numpy_cnn": numpy_cnn.__main__.PROGRAM, "torch_cnn": torch_cnn.__main__.PROGRAM}
SMALL = ("--limit", "60", "--batch-size", "20", "--filters", "2", "--hidden", "4")
EPOCHS = 3

Check = Callable[[Path, Outcome], None]


def command(program: str, *typed: str, folder: Path, fault: Fault | None = None, clock: float = 0.0) -> Outcome:
    """Run a command in `folder`."""

    def entry(arguments: list[str]) -> int:
        os.chdir(folder)
        return main(PROGRAMS[program], arguments)

    return run(entry, [*typed], fault or Fault("none"), clock)


def succeed(program: str, *typed: str, folder: Path, clock: float = 0.0, pictures: bool = True) -> Outcome:
    """Run a command that must succeed; without plots, which take ten times as long as the training here."""

    def entry(arguments: list[str]) -> int:
        os.chdir(folder)
        if not pictures:
            numpy_cnn.common.cli.train.draw_pictures = lambda *_: []
        return main(PROGRAMS[program], arguments)

    outcome = run(entry, [*typed], Fault("none"), clock)
    assert outcome.code == 0, outcome
    return outcome


def fingerprint(folder: Path) -> dict[str, object]:
    """The contents of a finished run, except its duration."""
    found: dict[str, object] = {}
    for path in (RunFolder(folder).best, RunFolder(folder).last):
        one = load_checkpoint(path)
        arrays = {**one.parameters, **{f"optimizer {name}": a for name, a in one.optimizer_state.items()}}
        found[path.name] = {name: array.tobytes() for name, array in arrays.items()}, one.progress
    found["history"] = [{**row, "seconds": 0} for row in RunFolder(folder).history()]
    return found


def check_whole(folder: Path) -> None:
    """Check that every file is complete; a file that is still being written has a temporary name."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.suffix == ".safetensors":
            load_checkpoint(path)
        elif path.suffix == ".csv":
            assert RunFolder(folder).history()
        elif path.suffix == ".toml":
            assert config_file.read(path, Train).epochs == EPOCHS
        elif path.suffix == ".png":
            with Image.open(path) as picture:
                picture.load()
        else:
            assert path.suffix == ".partial" or path.name == ".lock", path


def finish(program: str, folder: Path) -> None:
    """Resume the run, or start it again if it has no checkpoint yet."""
    if (folder / "run" / "last.safetensors").exists():
        outcome = succeed(program, "--resume", "run", "--epochs", str(EPOCHS), folder=folder, pictures=False)
    else:
        outcome = succeed(program, *SMALL, "--epochs", str(EPOCHS), "--out", "run", folder=folder, pictures=False)
    assert f"of {EPOCHS}," in outcome.output
    assert {*state(folder / "run")} >= {"best.safetensors", "last.safetensors", "history.csv"}


def enumerated(
    program: str,
    typed: tuple[str, ...],
    start: Path | None,
    expected: dict[str, object] | None,
    kinds: tuple[str, ...],
    step: int,
) -> Iterator[str]:
    """Inject each kind of fault at every `step`-th file operation of a command; return the outcomes as text."""
    with tempfile.TemporaryDirectory() as temporary:
        total = len(_fresh(Path(temporary), start, partial(command, program, *typed)).operations)
    for kind in kinds:
        for at in range(0, total, step):
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                outcome = _fresh(folder, start, partial(command, program, *typed, fault=Fault(kind, at)))
                assert "Traceback" not in outcome.output, outcome
                assert outcome.code in (-signal.SIGKILL, 0, 2), outcome
                check_whole(folder / "run")
                if expected is not None:
                    finish(program, folder)
                    assert fingerprint(folder / "run") == expected, (kind, at)
            yield f"{kind}: {'survived' if outcome.code == 0 else 'ended'}, then finished with the same bits"


def _fresh(folder: Path, start: Path | None, do: Callable[..., Outcome]) -> Outcome:
    if start is not None:
        shutil.copytree(start, folder, dirs_exist_ok=True)
    return do(folder=folder)


def killed_at_random(program: str, expected: dict[str, object], kills: int, seed: int = 0) -> Iterator[str]:
    """Kill real processes with SIGKILL at random moments until the run is finished."""
    rng, done = random.Random(seed), 0
    while done < kills:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            for _ in range(3):
                resume = (folder / "run" / "last.safetensors").exists()
                typed = ["--resume", "run"] if resume else [*SMALL, "--epochs", str(EPOCHS), "--out", "run"]
                process = subprocess.Popen(
                    [sys.executable, "-m", program, *typed],
                    cwd=folder,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                )
                time.sleep(rng.uniform(0.2, 2.5))
                process.kill()
                assert b"Traceback" not in process.communicate()[1]
                done += 1
                check_whole(folder / "run")
                yield "random kill -9"
            finish(program, folder)
            assert fingerprint(folder / "run") == expected


def removed_midway(program: str) -> Iterator[str]:
    """Delete or replace the run's folder during the command: it must print one line and exit with 2."""
    for replacement in ("nothing", "a file", "a read-only folder"):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)

            def entry(arguments: list[str], folder: Path = folder, replacement: str = replacement) -> int:
                from numpy_cnn.common.training.display import _Lines

                os.chdir(folder)
                shown = _Lines.epoch

                def epoch(self: _Lines, row: dict[str, float]) -> None:
                    shown(self, row)
                    shutil.rmtree("run", ignore_errors=True)
                    if replacement == "a file":
                        Path("run").write_text("not a folder", encoding="utf-8")
                    if replacement == "a read-only folder":
                        Path("run").mkdir(mode=0o500)

                _Lines.epoch = epoch  # type: ignore[method-assign]  # called after the first epoch
                return main(PROGRAMS[program], arguments)

            outcome = run(entry, [*SMALL, "--epochs", str(EPOCHS), "--out", "run"], Fault("none"))
            assert "Traceback" not in outcome.output, outcome
            if replacement != "a read-only folder" or os.geteuid() != 0:  # root may write there
                assert outcome.code == 2, outcome
                assert "cannot be written" in outcome.output or "folder" in outcome.output, outcome
        yield f"folder replaced by {replacement}"


def warm_up(program: str, picture: Path) -> None:
    """Import everything that the commands need, so that it is loaded in the forked children."""
    with (
        tempfile.TemporaryDirectory() as temporary,
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        assert main(PROGRAMS[program], [*SMALL, "--epochs", "1", "--out", f"{temporary}/run"]) == 0
        assert main(PROGRAMS[program], ["predict", f"{temporary}/run", str(picture)]) == 0


def campaign(programs: tuple[str, ...], step: int, kills: int) -> Counter[str]:
    """Run all faults; return the number of times each outcome occurred."""
    seen: Counter[str] = Counter()

    def note(name: str, events: Iterator[str]) -> None:
        began = time.perf_counter()
        for event in events:
            seen[f"{name}: {event}"] += 1
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)

    for program in programs:
        with tempfile.TemporaryDirectory() as temporary:
            home = Path(temporary)
            train = (*SMALL, "--epochs", str(EPOCHS), "--out", "run")
            Image.fromarray(np.pad(np.zeros((30, 8), np.uint8), 20, constant_values=255)).save(home / "one.png")
            warm_up(program, home / "one.png")
            (home / "whole").mkdir()
            succeed(program, *train, folder=home / "whole")
            expected = fingerprint(home / "whole" / "run")
            (home / "begun").mkdir()
            succeed(
                program,
                *train[:-4],
                "--schedule",
                "constant",
                "--epochs",
                "1",
                "--out",
                "run",
                folder=home / "begun",
            )
            (home / "constant").mkdir()
            succeed(program, *train, "--schedule", "constant", folder=home / "constant")
            constant = fingerprint(home / "constant" / "run")
            kinds = ("kill", "torn", "full", "read-only")
            note(f"{program} train", enumerated(program, train, None, expected, kinds, step))
            resume = ("--resume", "run", "--epochs", str(EPOCHS))
            note(f"{program} resume", enumerated(program, resume, home / "begun", constant, kinds, step))
            note(f"{program} plot", enumerated(program, ("plot", "run"), home / "whole", expected, kinds, step))
            shutil.copy(home / "one.png", home / "whole" / "one.png")
            predict = ("predict", "run", "one.png", "--show-input", "seen.png")
            note(f"{program} predict", enumerated(program, predict, home / "whole", expected, kinds, step))
            evaluate = ("evaluate", "run", "--json", "result.json")
            note(f"{program} evaluate", enumerated(program, evaluate, home / "whole", expected, kinds, step))
            note(f"{program}", removed_midway(program))
            (home / "clock").mkdir()
            succeed(program, *train, folder=home / "clock", clock=5.0)
            assert fingerprint(home / "clock" / "run") == expected
            assert all(row["seconds"] >= 0 for row in RunFolder(home / "clock" / "run").history())
            seen[f"{program}: clocks that go back"] += 1
            note(f"{program}", killed_at_random(program, expected, kills))
    return seen


if __name__ == "__main__":
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument(
        "--short", action="store_true", help="numpy_cnn only, every fourth operation, no random kills"
    )
    flags.add_argument("--kills", type=int, default=60, help="random kills of each program")
    typed = flags.parse_args()
    total = campaign(
        ("numpy_cnn",) if typed.short else (*PROGRAMS,), 4 if typed.short else 1, 0 if typed.short else typed.kills
    )
    for event, count in total.items():
        print(f"{count:6d}  {event}")
    print(f"{total.total():6d}  in all; nothing was lost")
