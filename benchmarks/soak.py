"""Runs many cases of each row without Hypothesis, and prints every difference from torch with its case.

    python benchmarks/soak.py [ROW …] [--cases 5000] [--seed 0] [--minutes M] [--json FILE]

Counts the cases by lane and precision, by fast path of numpy_cnn/ops/fast, and by kind of special value. `--cases`
is the number per row, divided evenly among its lanes. With `--minutes` the rows are repeated with further seeds
until the time is over. The process's memory is printed every minute.
"""

import argparse
import functools
import json
import os
import random
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import count
from pathlib import Path
from types import FunctionType
from typing import Any

import memory
import numpy as np

import numpy_cnn
from parity.cases.case import Lane
from parity.cases.primitives import draw_plainly
from parity.cases.torch_op import own_kernels
from parity.lanes.reference import Expected, expect
from parity.rows.registry import ROWS
from parity.rows.row import Row
from parity.running.compare import compare
from parity.running.sandbox import sandboxed

FAST = f"{numpy_cnn.__name__}.ops.fast."
KINDS: dict[str, Callable[[Any], Any]] = {
    "NaN": np.isnan,
    "+inf": np.isposinf,
    "-inf": np.isneginf,
    "-0": lambda a: (a == 0) & np.signbit(a),
}


@contextmanager
def counted(calls: set[str]) -> Iterator[None]:
    """Add the name of each public function of the fast paths to `calls` when it is called."""

    def counting(name: str, function: FunctionType) -> Callable[..., Any]:
        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            calls.add(name)
            return function(*args, **kwargs)

        return called

    modules = [m for n, m in sys.modules.items() if n.startswith(numpy_cnn.__name__)]
    wrapped: dict[FunctionType, Callable[..., Any]] = {}
    replaced = []
    for module in modules:
        for name, value in [*vars(module).items()]:
            is_fast = isinstance(value, FunctionType) and value.__module__.startswith(FAST)
            if is_fast and not value.__name__.startswith("_"):
                path = f"{value.__module__.removeprefix(FAST)}.{value.__name__}"
                replaced.append((module, name, value))
                setattr(module, name, wrapped.setdefault(value, counting(path, value)))
    try:
        yield
    finally:
        for module, name, value in replaced:
            setattr(module, name, value)


def special(expected: Expected) -> set[str]:
    """The kinds of special values in the case."""
    numbers = [a for a in (*expected.inputs.arrays, expected.dy) if a is not None and a.dtype.kind == "f"]
    return {kind for kind, has in KINDS.items() if any(has(a).any() for a in numbers)}


def soak(row: Row, lane: Lane, cases: int, seed: int, counts: Counter[str]) -> list[str]:
    """Run the cases of a row; return the differences as text with their cases."""
    generator, found = random.Random(f"{seed} {row.name} {lane}"), []
    calls: set[str] = set()
    with sandboxed(), nullcontext() if lane == "bound" else own_kernels(), counted(calls):
        for _ in range(cases):
            case, _choices = draw_plainly(row.strategy(lane=lane), generator)
            calls.clear()
            differences: object
            try:
                expected = expect(row, case, lane)
                differences = compare(row, row.op, lane, expected)[1]
            except Exception as error:  # a case that cannot be compared is a finding too
                expected, differences = None, repr(error)
            kinds = special(expected) if lane == "special" and expected else ()
            counts.update((lane, case.dtype, *calls, *kinds))
            if differences:
                found.append(f"{lane}: {json.dumps(case.to_json())}: {differences}")
    return found


def rounds(rows: list[Row], seed: int, minutes: float | None) -> Iterator[tuple[Row, int]]:
    """Each row with its seed: once, or repeatedly until the time is over."""
    began = printed = time.monotonic()
    for number in count(seed):
        for row in rows:
            yield row, number
            now = time.monotonic()
            if now - printed >= 60:
                printed = now
                print(f"minute {(now - began) / 60:.0f}: {memory.now_mb():.0f} MB", file=sys.stderr, flush=True)
            if minutes is not None and now - began >= minutes * 60:
                return
        if minutes is None:
            return


def main() -> int:
    """Run the rows; return 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], help="all if omitted")
    parser.add_argument("--cases", type=int, default=5000, help="for each row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, help="of the wall clock; one round if omitted")
    parser.add_argument("--json", type=Path, help="file for the counts")
    typed = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    for row, seed in rounds([ROWS[name] for name in typed.rows or ROWS], typed.seed, typed.minutes):
        counts: Counter[str] = Counter()
        start = time.process_time()
        share = -(-typed.cases // len(row.lanes))
        found = [difference for lane in row.lanes for difference in soak(row, lane, share, seed, counts)]
        shares = "  ".join(f"{name} {number}" for name, number in sorted(counts.items()))
        print(f"{row.name:20} {time.process_time() - start:6.0f} s  {len(found)} differ  {shares}", flush=True)
        for difference in found:
            print(f"    {difference}", flush=True)
        result = results.setdefault(row.name, {"counts": Counter(), "differences": []})
        result["counts"].update(counts)
        result["differences"] += found
        if typed.json is not None:
            typed.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    cases = sum(result["counts"][lane] for name, result in results.items() for lane in ROWS[name].lanes)
    differences = sum(len(result["differences"]) for result in results.values())
    print(f"{len(results)} rows, {cases} cases, {differences} differ; memory {memory.now_mb():.0f} MB")
    return int(differences > 0)


if __name__ == "__main__":
    sys.exit(main())
