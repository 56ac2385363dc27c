"""Starts the process from which those of `check --jobs` fork, before this one imports PyTorch itself."""

import multiprocessing
import os
from multiprocessing import forkserver
from typing import Any


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def context() -> Any:
    """The way in which multiprocessing starts processes: they fork where the system can."""
    forks = "forkserver" in multiprocessing.get_all_start_methods()
    found = multiprocessing.get_context("forkserver" if forks else "spawn")
    if forks:
        found.set_forkserver_preload(["parity.commands.before_fork"])
    return found


def preload() -> None:
    """Let the first process import its modules now, where processes fork."""
    if context().get_start_method() == "forkserver":
        forkserver.ensure_running()
