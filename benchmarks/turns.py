"""Contenders take turns, so that a drift of the machine's speed affects all of them equally."""

import contextlib
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast

from cases import Case

HERE = Path(__file__).resolve().parent

OURS = "numpy_cnn"
LIMIT = "limit"
# {name in the tables: (module, variant)}
EAGER = {
    "torch": ("by_torch", ""),
    "torch, fused Adam": ("by_torch", "fused"),
    "torch, channels-last, fused Adam": ("by_torch", "fused channels-last"),
}
LAYOUTS = {"torch": ("by_torch", ""), "torch, channels-last": ("by_torch", "channels-last")}


def contenders(workload: str, quick: bool) -> dict[str, tuple[str, str]]:
    """The contenders that are installed."""
    chosen = {OURS: ("by_numpy", "")}
    if workload.startswith("layer"):
        return chosen | {"torch": EAGER["torch"]}
    if workload == "network":
        return chosen | EAGER
    if workload in ("forward", "both"):
        chosen[f"{OURS}, batch innermost"] = ("by_numpy", "batch-innermost")
        return chosen | LAYOUTS | {LIMIT: ("by_limit", "")}
    chosen |= EAGER if workload == "step" else LAYOUTS
    if not quick and (shutil.which("c++") or shutil.which("g++")):
        chosen["torch, compiled"] = ("by_torch", "fused compiled")
    chosen["as_strided + einsum"] = ("by_einsum", "")
    chosen["as_strided + einsum, optimize=True"] = ("by_einsum", "optimized")
    if importlib.util.find_spec("jax"):
        chosen["jax, jit"] = ("by_jax", "")
    return chosen | {LIMIT: ("by_limit", "")}


@dataclass
class Measured:
    """The times and the peak memory of one contender on one case."""

    seconds: list[float] = field(default_factory=list)
    peak_mb: float = 0.0

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def ratios(self, other: "Measured") -> list[float]:
        """This contender's time divided by the other's for each turn, sorted."""
        return sorted(a / b for a, b in zip(self.seconds, other.seconds, strict=True))


def environment(threads: int) -> dict[str, str]:
    """This process's environment, with the same number of threads for every library."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    flags = (
        f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'} intra_op_parallelism_threads={threads}"
    )
    paths = [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    budget = {name: str(threads) for name in names} | {"XLA_FLAGS": flags}
    return os.environ | budget | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


class Field:
    """A context manager that runs the contenders' processes."""

    def __init__(self, chosen: dict[str, tuple[str, str]], threads: int, clock: str = "wall") -> None:
        self.processes = {
            name: subprocess.Popen(
                [sys.executable, str(HERE / "contender.py"), module, variant, str(threads), clock],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment(threads),
            )
            for name, (module, variant) in chosen.items()
        }

    def __enter__(self) -> "Field":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for name in list(self.processes):
            self._drop(name)

    def measure(self, workload: str, case: Case, rounds: int, seconds: float) -> dict[str, Measured]:
        """Measure each contender once per round. A contender that fails is dropped with a message."""
        found = {name: Measured() for name in self.processes}
        for _ in range(rounds):
            for name in list(found):
                answer = self._ask(name, {"workload": workload, "case": case, "seconds": seconds})
                if answer is None:
                    print(f"{name} failed on {workload} {case} and is dropped", file=sys.stderr)
                    self._drop(name)
                    del found[name]
                    continue
                found[name].seconds.append(answer["seconds"])
                found[name].peak_mb = max(found[name].peak_mb, answer["peak_mb"])
        return found

    def _ask(self, name: str, question: dict[str, Any]) -> dict[str, Any] | None:
        process = self.processes[name]
        into, out = cast(IO[str], process.stdin), cast(IO[str], process.stdout)
        try:
            into.write(json.dumps(question) + "\n")
            into.flush()
        except BrokenPipeError:
            return None
        line = out.readline()
        return dict(json.loads(line)) if line else None

    def _drop(self, name: str) -> None:
        process = self.processes.pop(name)
        with contextlib.suppress(BrokenPipeError):
            cast(IO[str], process.stdin).close()
        process.wait()
        cast(IO[str], process.stdout).close()
