"""cuDNN checked by the lanes, and training times on a GPU, in less than eight minutes.

    python benchmarks/gpu.py                 on the GPU
    python benchmarks/gpu.py --device cpu    on the CPU, to test the script

The first table has one line per convolution and choice of algorithm: deterministic or not, selected by cuDNN's
benchmark or not, and in float32, TF32 and bfloat16. `exact` counts the cases of small integers with bit-identical
output and gradients. `of the bound` is the largest error of normal numbers
as a fraction of the float32 bound γₙ·Σ|x||w|: TF32 and bfloat16, which round the factors themselves, exceed 1.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # the name the field uses
from tables import markdown

from numpy_cnn.common.spec.architecture import preset
from numpy_cnn.common.spec.config import OptimizerConfig
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.initial import initial_parameters
from torch_cnn import device as devices
from torch_cnn.backend import Backend

QUANTITIES = ("output", "grad_input", "grad_weight")


@dataclass(frozen=True)
class Shape:
    """A convolution of square images."""

    batch: int
    channels: int
    size: int
    kernels: int
    kernel: int
    stride: int = 1
    groups: int = 1

    def draw(self, generator: np.random.Generator, integers: bool) -> list[torch.Tensor]:
        """Input, weight and cotangent in float64."""
        side = (self.size + 2 * (self.kernel // 2) - self.kernel) // self.stride + 1
        shapes = (
            (self.batch, self.channels, self.size, self.size),
            (self.kernels, self.channels // self.groups, self.kernel, self.kernel),
            (self.batch, self.kernels, side, side),
        )
        drawn = [generator.integers(-3, 4, s) if integers else generator.standard_normal(s) for s in shapes]
        return [torch.from_numpy(array.astype(np.float64)) for array in drawn]

    def run(self, x: torch.Tensor, w: torch.Tensor, dy: torch.Tensor) -> list[torch.Tensor]:
        """The output and both gradients."""
        x, w = x.detach().requires_grad_(), w.detach().requires_grad_()
        y = F.conv2d(x, w, None, self.stride, self.kernel // 2, 1, self.groups)
        return [y.detach(), *torch.autograd.grad(y, (x, w), dy.to(y.dtype))]

    @property
    def terms(self) -> tuple[int, int, int]:
        """The largest number of products in one entry of the output and of each gradient."""
        taps = self.kernel**2
        side = self.size // self.stride
        return self.channels // self.groups * taps, self.kernels // self.groups * taps, self.batch * side**2


SHAPES = {
    "1→8 3×3, batch 64": Shape(64, 1, 28, 8, 3),
    "16→32 3×3": Shape(16, 16, 28, 32, 3),
    "64→64 3×3": Shape(16, 64, 28, 64, 3),
    "64→64 5×5": Shape(16, 64, 28, 64, 5),
    "64→128 3×3 stride 2": Shape(16, 64, 28, 128, 3, stride=2),
    "64→64 1×1": Shape(16, 64, 28, 64, 1),
    "32→32 3×3 depthwise": Shape(16, 32, 28, 32, 3, groups=32),
}
PRECISIONS = ("float32", "TF32", "bfloat16")


@contextmanager
def algorithms(deterministic: bool, searched: bool, tf32: bool) -> Iterator[None]:
    """Restrict cuDNN's algorithms; its choice depends on all three settings."""
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    with torch.backends.cudnn.flags(
        enabled=True, benchmark=searched, deterministic=deterministic, allow_tf32=tf32
    ):
        yield
    torch.use_deterministic_algorithms(False)


def compare(shape: Shape, device: torch.device, precision: str, cases: int) -> tuple[int, float]:
    """The number of exact integer cases, and the largest error of normal numbers divided by the float32 bound."""
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    exact, worst = 0, 0.0
    for seed in range(cases):
        generator = np.random.default_rng(seed)
        for integers in (True, False):
            x, w, dy = (a if integers else a.float().double() for a in shape.draw(generator, integers))
            right = shape.run(x, w, dy)
            found = [a.double().cpu() for a in shape.run(*(a.to(device, dtype) for a in (x, w, dy)))]
            if integers:
                # bfloat16 represents few integers: the expected result is rounded to it.
                wanted = [a.to(dtype).double() for a in right]
                exact += all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
                continue
            magnitude = shape.run(x.abs(), w.abs(), dy.abs())
            for a, b, scale, n in zip(found, right, magnitude, shape.terms, strict=True):
                u = 2.0**-24
                bound = n * u / (1 - n * u) * scale
                worst = max(worst, float(((a - b).abs() / bound.clamp_min(1e-300)).max()))
    return exact, worst


def precision_table(device: torch.device, shapes: dict[str, Shape], cases: int) -> list[dict[str, str]]:
    """One line per convolution and choice of algorithm."""
    rows, choices = [], (True, False) if device.type == "cuda" else (True,)  # the CPU has one algorithm
    for name, shape in shapes.items():
        for deterministic in choices:
            for searched in choices[::-1]:
                row = {"convolution": name, "algorithms": "deterministic" if deterministic else "any"}
                row["chosen by"] = "benchmark" if searched else "heuristic"
                for precision in PRECISIONS:
                    on = algorithms(deterministic, searched, precision == "TF32")
                    with on if device.type == "cuda" else nullcontext():
                        exact, worst = compare(shape, device, precision, cases)
                    row[f"exact, {precision}"] = f"{exact}/{cases}"
                    row[f"of the bound, {precision}"] = f"{worst:.2g}"
                rows.append(row)
                print(f"{name}: {row}", file=sys.stderr)
    return rows


def step_table(batches: tuple[int, ...], rounds: int) -> list[dict[str, str]]:
    """Milliseconds of a training step of `hidden`, including the copies to the device and back."""
    rows, network = [], preset("hidden")
    for batch in batches:
        generator = np.random.default_rng(0)
        images = generator.random((batch, 1, 28, 28), dtype=np.float32)
        labels = generator.integers(0, 10, batch)
        backend = Backend(network, initial_parameters(network, 0), OptimizerConfig())
        seconds = []
        for _ in range(rounds + 3):
            start = time.perf_counter()
            backend.train_step(images, labels, 1e-3)  # waits for the device, since the loss is a Python float
            seconds.append(time.perf_counter() - start)
        rows.append({"batch": str(batch), "step, ms": f"{1000 * statistics.median(seconds[3:]):.3g}"})
    return rows


def main(arguments: list[str] | None = None) -> int:
    """Print both tables; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--quick", action="store_true", help="two convolutions, two cases each")
    parser.add_argument("--json", type=Path, help="file for all numbers")
    typed = parser.parse_args(arguments)
    try:
        device = devices.select(typed.device)
    except UserError as error:
        print(f"gpu.py: error: {error}", file=sys.stderr)
        return 2
    shapes = dict([*SHAPES.items()][:2]) if typed.quick else SHAPES
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "CPU"
    cudnn = torch.backends.cudnn.version() if device.type == "cuda" else None
    print(f"{name}, PyTorch {torch.__version__}, cuDNN {cudnn}\n")
    precision = precision_table(device, shapes, 2 if typed.quick else 10)
    print(markdown("cuDNN against the lanes", precision))
    steps = step_table((16,) if typed.quick else (16, 64, 256, 1024, 4096), 3 if typed.quick else 50)
    print(markdown("A training step of hidden", steps))
    if typed.json is not None:
        report = {"device": name, "torch": torch.__version__, "cudnn": cudnn}
        typed.json.write_text(json.dumps(report | {"precision": precision, "steps": steps}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
