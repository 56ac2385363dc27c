"""From the start of the process to 98 % test accuracy on MNIST: everything counted.

    python benchmarks/race.py --data-dir DIR                    one and two cores, three rounds
    python benchmarks/race.py --data-dir DIR --arch lenet5 --threads 1

Every contender is a process of its own that imports its library, reads the files, trains with the same batches,
Adam and step size, and evaluates after every 100 steps. The clock starts before the process and stops when it has
reached the accuracy and ended: imports, compilation, reading and evaluation are included.
"""

import argparse
import importlib.util
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
GOAL, EVERY, BATCH, LR, MOST = 0.98, 100, 64, 0.002, 10  # accuracy, steps, images, step size, epochs


def contenders(arch: str) -> list[str]:
    """Those whose libraries are installed."""
    found = ["numpy_cnn"]
    if importlib.util.find_spec("torch"):
        found.append("torch, eager")
        if shutil.which("c++") or shutil.which("g++"):
            found.append("torch, compiled")
    if importlib.util.find_spec("jax") and arch == "hidden":
        found.append("jax, jit")
    return found


def environment(threads: int, name: str) -> dict[str, str]:
    """Each library restricted to `threads` cores."""
    count = str(threads)
    own = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), count)
    own["OPENBLAS_NUM_THREADS"] = "1" if name == "numpy_cnn" else count  # as the command sets it
    path = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, **own, "PYTHONPATH": path}


def cores(threads: int) -> Callable[[], None] | None:
    """Pin the process to the first `threads` cores, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    chosen = sorted(os.sched_getaffinity(0))[:threads]
    return lambda: os.sched_setaffinity(0, chosen)


def run(name: str, data_dir: Path, arch: str, threads: int, seed: int) -> dict[str, Any]:
    """One race of one contender: seconds on the wall, steps, and the accuracy it stopped at."""
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
    """Train until the goal and print the steps and the accuracy: what a contender's process does."""
    step, predict = prepare(name, arch, threads, seed)
    import numpy as np

    from numpy_cnn.common.data import mnist

    data = mnist.load(data_dir)
    images, labels, test = data.train.images, data.train.labels, data.test
    size = BATCH * (len(images) // BATCH)  # whole batches: another size would be compiled again
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


def prepare(name: str, arch: str, threads: int, seed: int) -> tuple[Callable[..., object], Callable[..., Any]]:
    """A function that takes a step, and one that gives the classes of images."""
    if name == "numpy_cnn":
        return _own(arch, threads, seed)
    if name.startswith("torch"):
        return _torch(arch, threads, seed, compiled="compiled" in name)
    return _jax(arch, seed)


def _own(arch: Any, threads: int, seed: int) -> tuple[Callable[..., object], Callable[..., Any]]:
    from numpy_cnn.backend import Backend
    from numpy_cnn.common.spec.architecture import preset
    from numpy_cnn.common.spec.config import OptimizerConfig
    from numpy_cnn.common.spec.initial import initial_parameters

    network = preset(arch)
    backend = Backend(network, initial_parameters(network, seed), OptimizerConfig(), threads=threads)
    return lambda x, y: backend.train_step(x, y, LR), lambda x: backend.logits(x).argmax(axis=1)


def _torch(arch: Any, threads: int, seed: int, compiled: bool) -> tuple[Callable[..., object], Callable[..., Any]]:
    import torch

    from torch_cnn.model import SimpleCNN

    torch.set_num_threads(threads)
    module = SimpleCNN(arch, seed=seed)
    optimizer = torch.optim.Adam(module.parameters(), lr=LR, fused=True)
    model = torch.compile(module) if compiled else module

    def step(x: Any, y: Any) -> None:
        loss = torch.nn.functional.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    @torch.inference_mode()
    def predict(x: Any) -> Any:
        return module(torch.from_numpy(x)).argmax(dim=1).numpy()  # eager: as fast, and not compiled again

    return step, predict


def _jax(arch: Any, seed: int) -> tuple[Callable[..., object], Callable[..., Any]]:
    import jax
    import jax.numpy as jnp
    import numpy as np

    from numpy_cnn.common.spec.architecture import preset
    from numpy_cnn.common.spec.initial import initial_parameters

    p = {name: jnp.asarray(array) for name, array in initial_parameters(preset(arch), seed).items()}

    def scores(p: Any, x: Any) -> Any:
        y = jax.lax.conv(x, p["conv1.weight"], (1, 1), "VALID") + p["conv1.bias"][:, None, None]
        y = jax.lax.reduce_window(jax.nn.relu(y), -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        y = jax.nn.relu(y.reshape(len(x), -1) @ p["fc1.weight"].T + p["fc1.bias"])
        return y @ p["fc2.weight"].T + p["fc2.bias"]

    def loss(p: Any, x: Any, y: Any) -> Any:
        return -jax.nn.log_softmax(scores(p, x))[jnp.arange(len(x)), y].mean()

    @jax.jit
    def update(state: Any, x: Any, y: Any) -> Any:
        p, m, v, t = state
        g = jax.grad(loss)(p, x, y)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        root, rate = jnp.sqrt(1 - 0.999**t), LR / (1 - 0.9**t)
        moved = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) / root + 1e-8), p, m, v)
        return moved, m, v, t + 1

    state = [(p, jax.tree.map(jnp.zeros_like, p), jax.tree.map(jnp.zeros_like, p), 1.0)]
    answer = jax.jit(lambda p, x: scores(p, x).argmax(axis=1))

    def step(x: Any, y: Any) -> None:
        state[0] = update(state[0], x, y)

    return step, lambda x: np.asarray(answer(state[0][0], x))


def main(arguments: list[str] | None = None) -> int:
    """Let all race in turn, and print the table; the exit code."""
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
            for name in contenders(typed.arch):
                result = run(name, typed.data_dir, typed.arch, threads, seed)
                found.setdefault(f"{name} | {threads}", []).append(result)
                print(f"{name}, {threads} cores, seed {seed}: {result}", file=sys.stderr, flush=True)
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
