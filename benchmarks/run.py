"""Times the NumPy backend beside PyTorch, the usual approach in NumPy, and the machine's limit.

    python benchmarks/run.py                     every workload; takes some minutes
    python benchmarks/run.py step ops            two of them
    python benchmarks/run.py step --quick        a small case in seconds, to test that it runs

Each contender runs in a separate process with the same number of threads, and they take turns. Times are medians
of the turns; a ratio is computed per turn and printed as its median, with the smallest and the largest in
brackets. Memory is the peak above that of the idle process.
"""

import argparse
import json
import math
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cases
import commands
import layers as every_layer
import numpy as np
import tables
import turns


@dataclass
class Settings:
    """The settings of a measurement."""

    threads: int
    rounds: int
    seconds: float
    quick: bool
    clock: str


Result = tuple[dict[str, list[tables.Row]], Any]  # {title: table}, and the data for JSON


def compared(title: str, workload: str, chosen: dict[str, cases.Case], settings: Settings) -> Result:
    """Measure all contenders on all cases of a workload."""
    table, raw = [], {}
    with turns.Field(turns.contenders(workload, settings.quick), settings.threads, settings.clock) as field:
        for name, case in chosen.items():
            print(f"{title}: {name}", file=sys.stderr)
            found = field.measure(workload, case, settings.rounds, settings.seconds)
            table += tables.rows(name, found)
            raw[name] = tables.as_json(found)
    return {title: table}, raw


def step(settings: Settings) -> Result:
    """A training step of the preset `hidden` on 28×28 images: forward, backward, Adam."""
    return compared("Training step", "step", cases.batches(settings.quick), settings)


def inference(settings: Settings) -> Result:
    """Inference: the scores of a batch."""
    return compared("Inference", "inference", cases.batches(settings.quick), settings)


def ops(settings: Settings) -> Result:
    """conv2d alone: forward, and forward with all three gradients."""
    chosen = cases.ops(settings.quick)
    forward, raw_forward = compared("conv2d forward", "forward", chosen, settings)
    both, raw_both = compared("conv2d forward + backward", "both", chosen, settings)
    return forward | both, {"forward": raw_forward, "both": raw_both}


def layers(settings: Settings) -> Result:
    """Every other op on a million numbers: forward, and forward with all gradients."""
    chosen = every_layer.cases(settings.quick)
    forward, raw_forward = compared("Layers forward", "layer forward", chosen, settings)
    both, raw_both = compared("Layers forward + backward", "layer both", chosen, settings)
    return forward | both, {"forward": raw_forward, "both": raw_both}


def networks(settings: Settings) -> Result:
    """A training step of lenet5, vgg and resnet on 28×28 images: forward, backward, Adam."""
    return compared("Training step of the deeper networks", "network", cases.networks(settings.quick), settings)


def growth(settings: Settings) -> Result:
    """The growth of conv2d's time and memory with each size: the exponent of the best-fitting power law."""
    exponents, each, raw = [], [], {}
    for what, series in cases.growth(settings.quick).items():
        print(f"Growth: {what}", file=sys.stderr)
        # New processes for each series: a process may keep the memory of an earlier, larger case.
        with turns.Field(turns.contenders("both", settings.quick), settings.threads, settings.clock) as field:
            found = {
                size: field.measure("both", case, settings.rounds, settings.seconds)
                for size, case in series.items()
            }
            raw[what] = {size: tables.as_json(measured) for size, measured in found.items()}
            for size, measured in found.items():
                each += tables.rows(f"{what} {size}", measured)
            for name in field.processes:
                sizes = [math.log(size) for size in found]
                times = [math.log(measured[name].median) for measured in found.values()]
                peaks = [math.log(measured[name].peak_mb) for measured in found.values()]
                exponents.append(
                    {
                        "case": what,
                        "contender": name,
                        "from … to": f"{min(found)} … {max(found)}",
                        "time ∝": f"n^{np.polyfit(sizes, times, 1)[0]:.2f}",
                        "peak memory ∝": f"n^{np.polyfit(sizes, peaks, 1)[0]:.2f}",
                    }
                )
    title = "Growth of conv2d forward + backward"
    return {title: exponents, f"{title}, size by size": each}, raw


def epoch(settings: Settings) -> Result:
    """An epoch on 60,000 images by `python -m`, from the start of the process to its end."""
    print("Epoch", file=sys.stderr)
    found = commands.epoch(settings.threads, min(settings.rounds, 3), settings.quick, settings.clock)
    table = [
        {k: v for k, v in row.items() if k not in ("of the limit", "peak MB")}
        for row in tables.rows("epoch", found)
    ]
    return {"An epoch by the command, data and evaluation included": table}, tables.as_json(found)


def parity(settings: Settings) -> Result:
    """Cases per second of the parity suite."""
    print("Parity", file=sys.stderr)
    table = commands.parity(settings.threads, settings.quick)
    return {"Parity cases a second": table}, table


WORKLOADS: dict[str, Callable[[Settings], Result]] = {
    run.__name__: run for run in (step, networks, inference, ops, layers, growth, epoch, parity)
}


def machine(settings: Settings) -> str:
    """One line about the machine and the measurement."""
    return (
        f"{settings.threads} of {os.cpu_count()} cores, {platform.machine()} {platform.system()}, "
        f"Python {platform.python_version()}, NumPy {np.__version__}, {settings.rounds} turns, "
        f"{settings.clock} clock"
    )


def main(arguments: list[str]) -> int:
    """Run the workloads and print their tables."""
    listed = "\n".join(f"  {name:10} {run.__doc__}" for name, run in WORKLOADS.items())
    parser = argparse.ArgumentParser(
        "benchmarks/run.py",
        None,
        f"{__doc__}\nworkloads:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help="the workloads to run; all if omitted")
    parser.add_argument("--threads", type=int, default=1, help="for every contender alike (1)")
    parser.add_argument("--rounds", type=int, help="turns of each contender on each case (9; 2 with --quick)")
    parser.add_argument("--seconds", type=float, help="of a turn, at least two calls (0.2; 0.01 with --quick)")
    parser.add_argument(
        "--clock",
        choices=("wall", "processor"),
        default="wall",
        help="processor: the process's own time, which minds other programs less; for one thread (wall)",
    )
    parser.add_argument("--quick", action="store_true", help="small cases, few turns: to see that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every turn")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables")
    typed = parser.parse_args(arguments)
    unknown = [name for name in typed.workloads if name not in WORKLOADS]
    if unknown:
        parser.error(f"no workload {unknown[0]!r} (there are {', '.join(WORKLOADS)})")
    if typed.clock == "processor" and typed.threads > 1:
        parser.error("--clock processor adds up what all threads take; it compares one thread alone")
    settings = Settings(
        typed.threads,
        typed.rounds or (2 if typed.quick else 9),
        typed.seconds or (0.01 if typed.quick else 0.2),
        typed.quick,
        typed.clock,
    )
    report: dict[str, Any] = {"schema": 1, "machine": machine(settings)}
    written = [machine(settings) + "\n"]
    for name in typed.workloads or WORKLOADS:
        found, report[name] = WORKLOADS[name](settings)
        for title, table in found.items():
            tables.show(title, table)
            written.append(tables.markdown(title, table))
    if typed.json:
        typed.json.write_text(json.dumps(report, indent=1) + "\n")
    if typed.markdown:
        typed.markdown.write_text("\n".join(written))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
