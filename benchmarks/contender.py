"""One contender in a separate process: reads cases as lines of JSON and prints the time and memory of each.

In one process, the thread pools of OpenBLAS and OpenMP would slow each other down many times, and memory that one
library leaves in the allocator would speed up another.
"""

import gc
import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable

import memory

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


def turn(run: Callable[[], object], seconds: float, clock: Callable[[], float]) -> float:
    """The median time of a call, from as many calls as fit into `seconds`, but at least two."""
    times: list[float] = []
    while len(times) < 2 or sum(times) < seconds:
        start = clock()
        run()
        times.append(clock() - start)
    return statistics.median(times)


def main(module: str, variant: str, threads: int, clock: str) -> None:
    """Measure one case per line until the input ends."""
    own: dict[str, int] = {}
    if module == "by_numpy":  # its threads share the batch; BLAS uses one, set before NumPy is loaded
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        own = {"threads": threads}
    prepare = importlib.import_module(module).prepare
    if module == "by_torch":
        importlib.import_module("torch").set_num_threads(threads)
    idle = memory.peak_mb()  # memory of the library itself
    ready, run = None, None
    for line in sys.stdin:
        request = json.loads(line)
        if ready != (request["workload"], request["case"]):
            ready, run = (request["workload"], request["case"]), None
            gc.collect()
            memory.reset()
            run = prepare(request["workload"], request["case"], *filter(None, [variant]), **own)
            for _ in range(3):  # compile, fill the caches, let the allocator settle
                run()
        seconds = turn(run, request["seconds"], CLOCKS[clock])
        print(json.dumps({"seconds": seconds, "peak_mb": max(0.1, memory.peak_mb() - idle)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
