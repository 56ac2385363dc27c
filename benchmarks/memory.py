"""This process's memory: its current size, and its peak for each case."""

import resource
import sys
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset() -> None:
    """Reset the peak on Linux; on other systems the peak is that of the process's lifetime."""
    if CLEAR.exists():
        CLEAR.write_text("5")


def peak_mb() -> float:
    """The largest resident size since `reset`, in MB."""
    if STATUS.exists():
        return _status("VmHWM")
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def now_mb() -> float:
    """The resident size in MB, or its peak if the system does not report the current size."""
    return _status("VmRSS") if STATUS.exists() else peak_mb()


def _status(name: str) -> float:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024
