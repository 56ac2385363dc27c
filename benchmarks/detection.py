"""The catalogue of planted bugs against three ways to test a layer, side by side.

    python benchmarks/detection.py [--json FILE] [--markdown]

allclose    three fixed cases per row, as in course tests (square images, stride 1 with padding 1, stride 2
            without; for other rows the first three of their strategy), the cotangent all ones: output and
            gradients against torch by `np.allclose` at its defaults
gradcheck   the same cases: `torch.autograd.gradcheck` at its defaults, which compares the gradient with central
            differences of the implementation's own output; an optimizer has no gradient
parity      this project's harness, 200 generated cases per lane, as `python -m parity self-test` runs it

The first two run in float64, where rounding raises no false alarm. For them a crash counts as found.
"""

import argparse
import dataclasses
import os
import random

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tables
import torch

from numpy_cnn.common.spec.architecture import Architecture
from parity.cases.inputs import inputs_of
from parity.cases.primitives import draw_plainly
from parity.cases.torch_op import oracle
from parity.exam import CORRECT, PLANTED, Correct, Planted
from parity.exam.exam import hold
from parity.rows import registry
from parity.rows.registry import ROWS
from parity.rows.row import Row
from parity.running.sandbox import sandboxed

Called = tuple[tuple[Any, ...], dict[str, Any]]  # arrays and options

FAMILIES = {
    module.__name__.rpartition(".")[2].replace("_", " "): [row.name for row in module.ROWS]
    for module in registry.FAMILIES
}
WAYS = ("allclose", "gradcheck", "parity")


def fixed_cases() -> dict[str, list[Called]]:
    """Three cases of normal numbers per row."""
    draw = np.random.default_rng(0).standard_normal
    classes = np.random.default_rng(1).integers

    def conv(images: tuple[int, ...], kernels: tuple[int, ...], stride: int, padding: int) -> Called:
        options = {"stride": stride, "padding": padding, "dilation": 1, "groups": 1}
        return (draw(images), draw(kernels), draw(kernels[0])), options

    def pool(kernel: int, stride: int, padding: int) -> Called:
        window = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": 1, "ceil_mode": False}
        return (draw((2, 2, 6, 6)),), window

    def scores(n: int, c: int, reduction: str) -> Called:
        return (draw((n, c)), classes(0, c, n)), {"weight": None, "reduction": reduction}

    def likelihoods(n: int, c: int, reduction: str) -> Called:
        (x, target), options = scores(n, c, reduction)
        return (x - np.log(np.exp(x).sum(axis=1, keepdims=True)), target), options

    def norm(shape: tuple[int, ...], training: bool) -> Called:
        c = shape[1]
        options = {"training": training, "momentum": 0.1, "eps": 1e-5}
        return (draw(shape), draw(c), draw(c) ** 2 + 0.5, draw(c), draw(c)), options

    def steps(**settings: Any) -> Called:
        return tuple(draw((4, 3)) for _ in range(6)), settings

    def sgd(momentum: float, decay: float) -> Called:
        return steps(lr=0.1, momentum=momentum, dampening=0.0, weight_decay=decay, nesterov=False)

    def adam(lr: float, decay: float) -> Called:
        return steps(lr=lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=decay, amsgrad=False)

    def network(**sizes: Any) -> Called:
        a = Architecture(image_size=(8, 8), filters=2, classes=3, **sizes)
        arrays = draw((2, 1, 8, 8)), *(draw(shape) for shape in a.parameter_shapes().values())
        return arrays, {"architecture": a.to_json(), "target": classes(0, 3, 2)}

    def drawn(row: Row) -> list[Called]:
        generator, found = random.Random(0), []
        while len(found) < 3:
            case, _ = draw_plainly(row.strategy(lane="bound"), generator)
            inputs = inputs_of(dataclasses.replace(case, dtype="float64"), "bound", integer=False)
            found.append((inputs.arrays, inputs.options))
        return found

    adams = [adam(1e-3, 0.0), adam(0.1, 0.0), adam(1e-3, 0.01)]
    written = {
        "conv2d": [
            conv((2, 3, 5, 5), (4, 3, 3, 3), 1, 1), conv((2, 3, 7, 7), (4, 3, 3, 3), 2, 0),
            conv((1, 1, 5, 5), (1, 1, 3, 3), 1, 0),
        ],
        "max_pool2d": [pool(2, 2, 0), pool(3, 1, 1), pool(2, 1, 0)],
        "relu": [((draw(shape),), {}) for shape in [(2, 3, 4, 4), (4, 10), (7,)]],
        "linear": [((draw((n, i)), draw((o, i)), draw(o)), {}) for n, i, o in [(4, 6, 3), (2, 5, 5), (1, 8, 2)]],
        "flatten": [((draw(s),), {"start_dim": 1, "end_dim": -1}) for s in [(2, 3, 4, 4), (4, 1, 5, 5), (2, 8)]],
        "batch_norm": [norm((8, 3), True), norm((4, 3, 5, 5), True), norm((4, 3, 5, 5), False)],
        "softmax": [((draw(shape),), {"dim": 1}) for shape in [(4, 10), (2, 5), (3, 3)]],
        "log_softmax": [((draw(shape),), {"dim": 1}) for shape in [(4, 10), (2, 5), (3, 3)]],
        "nll_loss": [likelihoods(4, 10, "mean"), likelihoods(8, 3, "mean"), likelihoods(2, 5, "sum")],
        "cross_entropy": [scores(4, 10, "mean"), scores(8, 3, "mean"), scores(2, 5, "sum")],
        "mse_loss": [
            ((draw(shape), draw(shape)), {"reduction": r})
            for shape, r in [((4, 3), "mean"), ((5,), "mean"), ((2, 3, 4), "sum")]
        ],
        "SGD": [sgd(0.0, 0.0), sgd(0.9, 0.0), sgd(0.9, 0.01)],
        "Adam": adams,
        "AdamW": adams,
        "SimpleCNN": [network(padding=1), network(hidden=6), network(stride=2, pool=1)],
    }  # fmt: skip
    return written | {name: drawn(row) for name, row in ROWS.items() if name not in written}


def copies(called: Called) -> Called:
    """Copies for an implementation that may write to them."""
    arrays, options = called
    return tuple(None if a is None else a.copy() for a in arrays), {
        n: v.copy() if isinstance(v, np.ndarray) else v for n, v in options.items()
    }


def by_allclose(row: Row, entry: Planted | Correct, case: Called) -> bool:
    """Whether output or a gradient is not close to torch's."""
    found = []
    for op in (entry.op, oracle(row.like)):
        arrays, options = copies(case)
        y, pullback = op(*arrays, **options)
        y = np.array(y)
        gradients = () if pullback is None else pullback(np.ones_like(y))
        found.append([y, *(None if g is None else np.array(g) for g in gradients)])
    ours, theirs = found
    if ours[0].shape != theirs[0].shape:
        return True
    pairs = [(a, b) for a, b in zip(ours[1:], theirs[1:], strict=False) if b is not None]
    return any(a is None or a.shape != b.shape or not np.allclose(a, b) for a, b in [(ours[0], theirs[0]), *pairs])


def by_gradcheck(row: Row, entry: Planted | Correct, case: Called) -> bool:  # noqa: ARG001  # the signature of by_allclose
    """Whether `torch.autograd.gradcheck` rejects it."""
    arrays, options = copies(case)
    if ROWS[entry.row].kind == "optimizer":
        return False
    floats = [a is not None and a.dtype.kind == "f" for a in arrays]

    class Wrapped(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: torch.Tensor) -> torch.Tensor:  # type: ignore[override]  # torch's (*args)
            given = iter(t.detach().numpy().copy() for t in tensors)
            y, ctx.pullback = entry.op(
                *(next(given) if is_float else a for a, is_float in zip(arrays, floats, strict=True)),
                **copies(((), options))[1],
            )
            return torch.from_numpy(np.array(y))

        @staticmethod
        def backward(ctx: Any, dy: torch.Tensor) -> Any:  # type: ignore[override]  # torch's (*grad_outputs)
            gradients = [
                g for g, is_float in zip(ctx.pullback(dy.numpy().copy()), floats, strict=True) if is_float
            ]
            return tuple(None if g is None else torch.from_numpy(np.array(g)) for g in gradients)

    floating = [torch.from_numpy(a) for a, is_float in zip(arrays, floats, strict=True) if is_float]
    running = (1, 2) if entry.row == "batch_norm" else ()  # the running statistics have no gradient
    inputs = [t.requires_grad_(place not in running) for place, t in enumerate(floating)]
    return not torch.autograd.gradcheck(Wrapped.apply, inputs, raise_exception=False)


def rejected(way: Callable[[Row, Planted | Correct, Called], bool], entry: Planted | Correct, cases: Any) -> bool:
    """Whether one of the cases fails or raises."""
    for case in cases[entry.row]:
        try:
            with sandboxed():
                if way(ROWS[entry.row], entry, case):
                    return True
        except Exception:  # any exception makes a test fail
            return True
    return False


def measured() -> list[dict[str, Any]]:
    """One object per implementation, with the tests that reject it."""
    cases = fixed_cases()
    caught = {outcome.name: outcome.caught for outcome in hold([*ROWS], 200, 0, naming=False)}
    return [
        {
            "row": entry.row,
            "name": entry.name,
            "description": entry.description,
            "wrong": isinstance(entry, Planted),
            "allclose": rejected(by_allclose, entry, cases),
            "gradcheck": rejected(by_gradcheck, entry, cases),
            "parity": caught[entry.name],
        }
        for entry in (*PLANTED, *CORRECT)
    ]


def tabled(found: list[dict[str, Any]]) -> list[tables.Row]:
    """One row per family, then one for all bugs and one for rejected correct implementations."""

    def counted(title: str, some: list[dict[str, Any]]) -> tables.Row:
        return {
            "family": title,
            "implementations": str(len(some)),
            **{way: str(sum(o[way] for o in some)) for way in WAYS},
            "allclose or gradcheck": str(sum(o["allclose"] or o["gradcheck"] for o in some)),
        }

    bugs = [o for o in found if o["wrong"]]
    return [
        *(counted(family, [o for o in bugs if o["row"] in rows]) for family, rows in FAMILIES.items()),
        counted("all bugs", bugs),
        counted("correct ones, rejected", [o for o in found if not o["wrong"]]),
    ]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file for which tests reject what")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    typed = parser.parse_args()
    warnings.simplefilter("ignore")
    found = measured()
    title = "Planted bugs found"
    if typed.markdown:
        print(tables.markdown(title, tabled(found)))
    else:
        tables.show(title, tabled(found))
    if typed.json is not None:
        typed.json.write_text(
            json.dumps({"schema": 1, "implementations": found}, indent=2) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
