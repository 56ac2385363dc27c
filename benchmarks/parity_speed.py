"""Cases per second of the harness: conv2d in the exact lane, one thread.

    python benchmarks/parity_speed.py [--seconds 5] [--repeat 3]

Targets: 1,000 small cases per second in a soak run, 400 under Hypothesis, where a case includes the output, all
gradients and the trust check. Measured in wall time and in processor time, which depends less on other programs.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import time
from collections.abc import Callable

from parity.report import RowReport
from parity.rows.registry import ROWS
from parity.running.row import run_row
from parity.subjects import adapt


def main() -> None:
    """Print both figures, the best of `--repeat` repetitions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="of a soak")
    parser.add_argument("--repeat", type=int, default=3, help="repetitions, of which the best counts")
    typed = parser.parse_args()
    row = ROWS["conv2d"]
    op = adapt(row.op)
    run_row(row, op, examples=50, seed=0, lanes=["exact"])  # torch's first call takes a second
    examples = int(300 * typed.seconds)
    modes: dict[str, tuple[int, Callable[[int], RowReport]]] = {
        "soak": (1000, lambda s: run_row(row, op, examples=1, seed=s, lanes=["exact"], seconds=typed.seconds)),
        "Hypothesis": (400, lambda s: run_row(row, op, examples=examples, seed=s, lanes=["exact"])),
    }
    for name, (aim, run) in modes.items():
        by_clock = by_processor = 0.0
        for seed in range(typed.repeat):
            clock, processor = time.perf_counter(), time.process_time()
            report = run(seed)
            assert report.ok, report.failures
            by_clock = max(by_clock, report.cases / (time.perf_counter() - clock))
            by_processor = max(by_processor, report.cases / (time.process_time() - processor))
        print(f"{name:10} {by_clock:6.0f} cases/s by the clock, {by_processor:6.0f} of processor time (aim {aim})")


if __name__ == "__main__":
    main()
