"""Whole programs as a user runs them: an epoch on as many images as MNIST has, and the parity suite."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from tables import Row
from turns import OURS, Measured, environment


def write_images(folder: Path, train: int, test: int) -> None:
    """Write random images as the four files of MNIST; the time does not depend on their contents."""
    generator = np.random.default_rng(0)
    for name, count in (("train", train), ("t10k", test)):
        pictures = generator.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = generator.integers(0, 10, count, dtype=np.uint8)
        for kind, array in (("images-idx3", pictures), ("labels-idx1", labels)):
            header = [0x0800 + array.ndim, *array.shape]
            content = b"".join(number.to_bytes(4, "big") for number in header) + array.tobytes()
            (folder / f"{name}-{kind}-ubyte").write_bytes(content)


CLOCKS = {"wall": time.perf_counter, "processor": lambda: sum(os.times()[2:4])}  # user and system time of children


def epoch(threads: int, rounds: int, quick: bool, clock: str = "wall") -> dict[str, Measured]:
    """`python -m BACKEND train` for one epoch, from the start of the process to its end."""
    found = {OURS: Measured(), "torch": Measured()}
    alone = {"OPENBLAS_NUM_THREADS": "1"}  # the command's own default: its threads share the batch
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), *((256, 64) if quick else (60_000, 10_000)))
        for turn in range(rounds):
            for name, module in ((OURS, "numpy_cnn"), ("torch", "torch_cnn")):
                out = Path(folder) / f"{module}-{turn}"
                command = [sys.executable, "-m", module, "train", "--data", "mnist", "--data-dir", folder]
                command += ["--epochs", "1", "--batch-size", "64", "--threads", str(threads), "--out", str(out)]
                start = CLOCKS[clock]()
                subprocess.run(command, check=True, capture_output=True, env=environment(threads) | alone)
                found[name].seconds.append(CLOCKS[clock]() - start)
    return found


def parity(threads: int, quick: bool) -> list[Row]:
    """Cases per second of the parity suite over all lanes, per op."""
    script = (
        "import json, sys, time, parity\n"
        "parity.check('relu', examples=5)\n"  # the first call into torch takes a second
        "found = {}\n"
        "for name in ('conv2d', 'max_pool2d', 'linear', 'relu'):\n"
        "    start = time.perf_counter()\n"
        "    report = parity.check(name, examples=int(sys.argv[1]))\n"
        "    cases = sum(row['cases'] for row in report.to_json()['rows'])\n"
        "    found[name] = cases / (time.perf_counter() - start)\n"
        "print(json.dumps(found))"
    )
    command = [sys.executable, "-c", script, "10" if quick else "300"]
    finished = subprocess.run(command, check=True, capture_output=True, text=True, env=environment(threads))
    return [{"op": name, "cases a second": f"{rate:.0f}"} for name, rate in json.loads(finished.stdout).items()]
