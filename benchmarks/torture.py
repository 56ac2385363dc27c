"""make torture: a crash or a full disk at every file operation of every command that writes files.

    python benchmarks/torture.py [PROGRAM …] [--only COMMAND …] [--step N] [--kills N]

After each fault, every file in the folder is complete, in its old or new state, and the same command can be run
again. A training run can be resumed, or started again if it has no checkpoint yet; and the finished run equals an
undisturbed one bit for bit. A command is repeated once for each state of the folder that the faults leave: most of
them leave a state that another one left before.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from faults import Fault, Outcome, affected, run
from file_commands import EPOCHS, FORGET, PROGRAMS, SMALL, TRAIN, prepare, shorten
from whole import check_whole, contents

import numpy_cnn.common.cli.train
from numpy_cnn.common.training.checkpoint import load_checkpoint
from numpy_cnn.common.training.run_folder import RunFolder

KINDS = ("kill", "torn", "full", "read-only")


def command(program: str, *typed: str, folder: Path, fault: Fault | None = None, clock: float = 0.0) -> Outcome:
    """Run a command in `folder`."""

    def entry(arguments: list[str]) -> int:
        os.chdir(folder)
        return PROGRAMS[program](arguments)

    return run(entry, [*typed], fault or Fault("none"), clock)


def succeed(program: str, *typed: str, folder: Path, clock: float = 0.0, pictures: bool = True) -> Outcome:
    """Run a command that must succeed; without plots, which take ten times as long as the training here."""

    def entry(arguments: list[str]) -> int:
        os.chdir(folder)
        if not pictures:
            numpy_cnn.common.cli.train.draw_pictures = lambda *_: []
        return PROGRAMS[program](arguments)

    outcome = run(entry, [*typed], Fault("none"), clock)
    assert outcome.code == 0 or (program, outcome.code) == ("parity", 1), outcome  # 1: the bug in layer.py
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


def finish(program: str, folder: Path) -> None:
    """Resume the run, or start it again if it has no checkpoint yet."""
    if (folder / "run" / "last.safetensors").exists():
        outcome = succeed(program, "--resume", "run", "--epochs", str(EPOCHS), folder=folder, pictures=False)
    else:
        outcome = succeed(program, *TRAIN, folder=folder, pictures=False)
    assert f"of {EPOCHS}," in outcome.output
    assert {*os.listdir(folder / "run")} >= {"best.safetensors", "last.safetensors", "history.csv"}


def finished_as(program: str, expected: dict[str, object], folder: Path) -> str:
    """Finish the run and compare it with the undisturbed one."""
    finish(program, folder)
    assert fingerprint(folder / "run") == expected
    return "then finished with the same bits"


def repeated(program: str, typed: tuple[str, ...], whole: Path, folder: Path) -> str:
    """Run the command again; the folder then has the same files as after an undisturbed one."""
    succeed(program, *typed, folder=folder)
    names = [{path.relative_to(root) for path in root.rglob("*")} for root in (whole, folder)]
    assert names[0] == {name for name in names[1] if name.suffix != ".partial"}, names
    return "then run again"


def forgotten(folder: Path) -> str:
    """Delete the remaining files of fixed failures; there may be none."""
    outcome = command("parity", *FORGET, folder=folder)
    assert outcome.code == 0 or "no saved failure" in outcome.output, outcome
    assert not [*(folder / "kept").glob("*.json")], outcome
    return "then run again"


def enumerated(
    program: str,
    typed: tuple[str, ...],
    start: Path | None,
    after: Callable[[Path], str],
    kinds: tuple[str, ...],
    step: int,
) -> Iterator[str]:
    """Inject each kind of fault at every `step`-th file operation that it affects; return the outcomes as text."""
    with _copy(start) as folder:
        undisturbed = command(program, *typed, folder=folder)
        assert undisturbed.code in (0, 1), undisturbed
    followed = set[frozenset[tuple[str, bytes]]]()
    for kind in kinds:
        for at in affected(kind, undisturbed.operations)[::step]:
            with _copy(start) as folder:
                outcome = command(program, *typed, folder=folder, fault=Fault(kind, at))
                assert "Traceback" not in outcome.output, outcome
                assert outcome.code in (-signal.SIGKILL, 0, 1 if program == "parity" else 0, 2), outcome
                check_whole(folder)
                left, end = contents(folder), "survived" if outcome.code in (0, 1) else "ended"
                if left in followed:
                    yield f"{kind}: {end}, in a state seen before"
                else:
                    followed.add(left)
                    yield f"{kind}: {end}, {after(folder)}"


@contextlib.contextmanager
def _copy(start: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as temporary:
        if start is not None:
            shutil.copytree(start, temporary, dirs_exist_ok=True)
        yield Path(temporary)


def killed_at_random(program: str, expected: dict[str, object], kills: int, seed: int = 0) -> Iterator[str]:
    """Kill processes at random moments, three times each, and then finish the run."""
    rng, done = random.Random(seed), 0
    while done < kills:
        with _copy(None) as folder:
            for _ in range(3):
                resume = (folder / "run" / "last.safetensors").exists()
                typed = ("--resume", "run") if resume else TRAIN
                outcome = command(
                    program, *typed, folder=folder, fault=Fault("none", seconds=rng.uniform(0.02, 0.6))
                )
                assert "Traceback" not in outcome.output, outcome
                check_whole(folder)
                done += outcome.code == -signal.SIGPROF
                yield f"at a random moment: {'killed' if outcome.code else 'it was faster'}"
            finished_as(program, expected, folder)


def removed_midway(program: str) -> Iterator[str]:
    """Delete or replace the run's folder during the command: it must print one line and exit with 2."""
    for replacement in ("nothing", "a file", "a read-only folder"):
        with _copy(None) as folder:

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
                return PROGRAMS[program](arguments)

            outcome = run(entry, [*TRAIN], Fault("none"))
            assert "Traceback" not in outcome.output, outcome
            if replacement != "a read-only folder" or os.geteuid() != 0:  # root may write there
                assert outcome.code == 2, outcome
                assert "cannot be written" in outcome.output or "folder" in outcome.output, outcome
        yield f"folder replaced by {replacement}"


def tortures(program: str, home: Path, step: int, kills: int) -> Iterator[tuple[str, Iterator[str]]]:
    """The name of each part with its events."""
    whole = home / "whole"
    whole.mkdir()
    commands = prepare(program, whole)
    if program != "parity":
        expected = fingerprint(whole / "run")
        same = partial(finished_as, program, expected)
        yield "train", enumerated(program, TRAIN, None, same, KINDS, step)
        constant = {}
        for name, epochs in (("constant", str(EPOCHS)), ("begun", "1")):
            (home / name).mkdir()
            typed = (*SMALL, "--schedule", "constant", "--epochs", epochs, "--out", "run")
            succeed(program, *typed, folder=home / name)
            constant[name] = fingerprint(home / name / "run")
        resume = ("--resume", "run", "--epochs", str(EPOCHS))
        after = partial(finished_as, program, constant["constant"])
        yield "resume", enumerated(program, resume, home / "begun", after, KINDS, step)
        yield "folder", removed_midway(program)
        yield "random", killed_at_random(program, expected, kills)
        yield "clock", clock_goes_back(program, expected)
    for name, typed in commands.items():
        if typed is not TRAIN:
            again = partial(repeated, program, typed, whole)
            yield name, enumerated(program, typed, whole, again, KINDS, step)
    if program == "parity":
        yield "replay --forget", enumerated(program, FORGET, whole, forgotten, KINDS, step)


def clock_goes_back(program: str, expected: dict[str, object]) -> Iterator[str]:
    """Set all clocks back by 5 seconds at each reading."""
    with _copy(None) as folder:
        succeed(program, *TRAIN, folder=folder, clock=5.0)
        assert fingerprint(folder / "run") == expected
        assert all(row["seconds"] >= 0 for row in RunFolder(folder / "run").history())
    yield "clocks that go back"


def torture(program: str, only: list[str], step: int, kills: int) -> int:
    """Run all parts for one program; return the number of faults."""
    total = 0
    with tempfile.TemporaryDirectory() as temporary:
        for name, events in tortures(program, Path(temporary), step, kills):
            if not only or name in only:
                began, seen = sum(os.times()[:4]), Counter[str]()
                try:
                    for event in events:
                        seen[event] += 1
                finally:  # also after Ctrl-C
                    for event, count in seen.items():
                        print(f"{count:6d}  {program} {name}: {event}", flush=True)
                    print(
                        f"{program} {name}: {sum(os.times()[:4]) - began:.0f} s of processor time",
                        file=sys.stderr,
                        flush=True,
                    )
                total += seen.total()
    return total


if __name__ == "__main__":
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("programs", nargs="*", choices=[*PROGRAMS, []], help="all if omitted")
    flags.add_argument("--only", nargs="+", default=[], help="parts, such as train, resume, plot, check")
    flags.add_argument("--step", type=int, default=1, help="of the file operations: 4 for each fourth")
    flags.add_argument("--kills", type=int, default=60, help="random kills of each backend")
    typed = flags.parse_args()
    shorten()
    faults = sum(torture(one, typed.only, typed.step, typed.kills) for one in typed.programs or PROGRAMS)
    print(f"{faults:6d}  in all; nothing was lost")
