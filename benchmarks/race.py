"""Time from the start of the process to 98 % test accuracy on MNIST, with everything included.

    python benchmarks/race.py --data-dir DIR                    one and two cores, three rounds
    python benchmarks/race.py --data-dir DIR --arch lenet5 --threads 1

Every contender is a separate process that imports its library, reads the files, trains with the same batches, Adam
and step size, and evaluates after every 100 steps. The clock runs from the start of the process until it ends with
the accuracy reached: imports, compilation, reading and evaluation are included.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import racers

HERE = Path(__file__).resolve().parent
GOAL, EVERY, BATCH, MOST = 0.98, 100, 64, 10  # accuracy, steps, images, epochs


def environment(threads: int, name: str) -> dict[str, str]:
    """An environment that restricts each library to `threads` cores."""
    count = str(threads)
    own = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), count)
    own["OPENBLAS_NUM_THREADS"] = "1" if name == "numpy_cnn" else count  # the command's own default
    path = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, **own, "PYTHONPATH": path}


def cores(threads: int) -> Callable[[], None] | None:
    """A function that pins the process to the first `threads` cores, if the system supports it."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    chosen = sorted(os.sched_getaffinity(0))[:threads]
    return lambda: os.sched_setaffinity(0, chosen)


def run(name: str, data_dir: Path, arch: str, threads: int, seed: int) -> dict[str, Any]:
    """One run of one contender: wall time in seconds, steps, and the final accuracy."""
    command = [sys.executable, str(HERE / "race.py"), "--contender", name, "--data-dir", str(data_dir)]
    command += ["--arch", arch, "--threads", str(threads), "--seed", str(seed)]
    start = time.perf_counter()
    finished = subprocess.run(
        command,
        env=environment(threads, name),
        preexec_fn=cores(threads),
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - start
    if finished.returncode:
        return {"error": (finished.stderr.strip().splitlines() or ["no output"])[-1][:200]}
    return {"seconds": seconds, **json.loads(finished.stdout.splitlines()[-1])}


def contend(name: str, data_dir: Path, arch: str, threads: int, seed: int) -> None:
    """Train up to the goal, then print the steps and the accuracy. Runs in the contender's process."""
    step, predict = racers.prepare(name, arch, threads, seed)
    import numpy as np

    from numpy_cnn.common.data import mnist

    data = mnist.load(data_dir)
    images, labels, test = data.train.images, data.train.labels, data.test
    size = BATCH * (len(images) // BATCH)  # full batches only: another size would be compiled again
    taken, accuracy = 0, 0.0
    for epoch in range(MOST):
        order = np.random.default_rng([seed, epoch]).permutation(len(images))[:size]
        for begin in range(0, size, BATCH):
            batch = order[begin : begin + BATCH]
            step(images[batch], labels[batch])
            taken += 1
            if taken % EVERY:
                continue
            parts = range(0, len(test), 1000)
            right = [(predict(test.images[i : i + 1000]) == test.labels[i : i + 1000]).sum() for i in parts]
            accuracy = float(sum(right)) / len(test)
            if accuracy >= GOAL:
                print(json.dumps({"steps": taken, "accuracy": accuracy}), flush=True)
                return
    raise SystemExit(f"{name}: {accuracy:.2%} after {MOST} epochs, not {GOAL:.0%}")


def main(arguments: list[str] | None = None) -> int:
    """Run all contenders in turn and print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of MNIST's four files")
    parser.add_argument("--arch", default="hidden", choices=("hidden", "lenet5"))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    typed = parser.parse_args(arguments)
    if typed.contender is not None:
        contend(typed.contender, typed.data_dir, typed.arch, typed.threads[0], typed.seed)
        return 0
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; {typed.arch}\n")
    print("| contender | cores | seconds (least–most) | steps |\n|---|---|---|---|")
    found: dict[str, list[dict[str, Any]]] = {}
    for threads in typed.threads:
        for seed in range(typed.seed, typed.seed + typed.rounds):
            for name in racers.installed():
                result = run(name, typed.data_dir, typed.arch, threads, seed)
                found.setdefault(f"{name} | {threads}", []).append(result)
                print(
                    f"{name}, {threads} {'core' if threads == 1 else 'cores'}, seed {seed}: {result}",
                    file=sys.stderr,
                    flush=True,
                )
    for key, results in found.items():
        times = sorted(result["seconds"] for result in results if "seconds" in result)
        steps = [str(result["steps"]) for result in results if "steps" in result]
        shown = (
            f"{statistics.median(times):.1f} ({times[0]:.1f}–{times[-1]:.1f})" if times else results[0]["error"]
        )
        print(f"| {key} | {shown} | {', '.join(steps)} |")
    if typed.json is not None:
        typed.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
