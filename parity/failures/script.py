"""A failure as a script of its own: NumPy, torch and the user's file, twenty lines at most."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # the name the field uses

from parity.comparison import Quantities
from parity.expectation import Expected
from parity.oracle import Array, Op
from parity.registry import Row

MOST_NUMBERS = 64  # more would be no script to read
WIDTH = 110
SHORT = {"input": "x", "weight": "w", "bias": "b"}


def script(row: Row, op: Op, expected: Expected, quantity: str, ours: Quantities) -> str | None:
    """The script that shows one quantity of a case going wrong; None where it would not be short.

    An implementation that is a function of the op law, a pair of functions or a class, at the top level of a file,
    is called as it is; for others the script holds what they gave.
    """
    torchs = _torch_name(row.like)
    inputs = expected.inputs
    arrays = {SHORT.get(name, name): array for name, array in zip(inputs.names, inputs.arrays, strict=True)}
    options = dict(inputs.options)
    drawn = [a for a in (*arrays.values(), *options.values()) if isinstance(a, np.ndarray)]
    if torchs is None or sum(a.size for a in drawn) > MOST_NUMBERS:
        return None
    has_gradients = len(expected.theirs) > 1
    literals = [f"{name} = {_literal(array)}" for name, array in arrays.items()]
    for name, value in options.items():
        if isinstance(value, np.ndarray):
            literals.append(f"{name} = {_literal(value)}")
    if has_gradients:
        literals.append(f"dy = {_literal(expected.dy)}")
    taken = _taken(getattr(op, "written", None) or op, options)
    given = ", ".join([*arrays, *(_keyword(name, value) for name, value in taken.items())])
    differentiable = [
        short for name, short in zip(inputs.names, arrays, strict=True) if f"grad_{name}" in expected.theirs
    ]
    to_torch = ", ".join(
        [
            *(
                f"t_{name}" if name in differentiable else "None" if array is None else f"torch.tensor({name})"
                for name, array in arrays.items()
            ),
            *(
                f"{name}=torch.tensor({name})" if isinstance(value, np.ndarray) else _keyword(name, value)
                for name, value in options.items()
            ),
        ]
    )
    of = quantity.removeprefix("grad_")
    of = SHORT.get(of, of)
    yours = _yours(op, expected, quantity, given, ours)
    lines = ["import sys", "import numpy as np", "import torch", *yours[0], *literals, *yours[1]]
    lines += [f"t_{name} = torch.tensor({name}, requires_grad=True)" for name in differentiable]
    lines.append(f"y_torch = {torchs}({to_torch})")
    if quantity == "output":
        lines.append("theirs = y_torch.detach().numpy()")
    else:
        lines.append("y_torch.backward(torch.tensor(dy))")
        lines.append(f"theirs = t_{of}.grad.numpy()")
    lines.append(f'print("{quantity}, yours:", yours, "torch\'s:", theirs, sep="\\n")')
    if not yours[0]:
        lines.remove("import sys")
    if len(lines) > 20:
        return None
    return "\n".join(lines) + "\n"


def _yours(op: Op, expected: Expected, quantity: str, given: str, ours: Quantities) -> tuple[list[str], list[str]]:
    """Lines that import the implementation, and lines that set `yours`; those that really give what it gave."""
    written = getattr(op, "written", None) or op
    parts = written if isinstance(written, (tuple, list)) else (written,)
    sources = [_source(part) for part in parts]
    got = ours.get(quantity)
    if got is not None and sources[0] is not None and all(sources):
        names = [source[1] for source in sources if source is not None]
        file = sources[0][0]
        place = expected.inputs.names.index(quantity.removeprefix("grad_")) if quantity != "output" else 0
        for lines in _calls(names, given, None if quantity == "output" else place):
            if _gives(lines, dict(zip(names, parts, strict=True)), expected, got):
                imports = f"from {file.stem} import {', '.join(names)}"
                return [f"sys.path.insert(0, {str(file.parent)!r})", imports], lines
    if got is None and len(sources) == 1 and sources[0] is not None and inspect.isfunction(written):
        file, name = sources[0]  # it raised, and will again
        lines = [f"y, pullback = {name}({given})", "yours = y"]
        return [f"sys.path.insert(0, {str(file.parent)!r})", f"from {file.stem} import {name}"], lines
    recorded = "None" if got is None else _literal(got)
    return [], [f"yours = {recorded}  # as your implementation gave it"]


def _taken(written: Any, options: dict[str, Any]) -> dict[str, Any]:
    """The options that the implementation has."""
    first = written[0] if isinstance(written, (tuple, list)) else written
    try:
        parameters = inspect.signature(first).parameters
    except (TypeError, ValueError):
        return options
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return options
    return {name: value for name, value in options.items() if name in parameters}


def _calls(names: list[str], given: str, place: int | None) -> list[list[str]]:
    """How an op, a pair or a class may be called; `place` is the gradient's, None for the output."""
    name, *rest = names
    first, _, others = given.partition(", ")
    if rest:
        calls, backward = [f"y, cache = {name}({given})"], f"{rest[0]}(dy, cache)"
    else:
        calls, backward = [f"y, pullback = {name}({given})"], "pullback(dy)"
    layer = [f"layer = {name}({others})", f"y = layer.forward({first})"]
    if place is None:
        return [[*calls, "yours = y"], [*layer, "yours = y"]]
    ways = [[*calls, f"yours = {backward}[{place}]"], [*layer, f"yours = layer.backward(dy)[{place}]"]]
    return ways if place else [*ways, [*layer, "yours = layer.backward(dy)"]]


def _gives(lines: list[str], names: dict[str, Any], expected: Expected, got: Array) -> bool:
    own = expected.inputs.private()
    arrays = {SHORT.get(name, name): array for name, array in zip(own.names, own.arrays, strict=True)}
    keywords = {name: value for name, value in own.options.items() if isinstance(value, np.ndarray)}
    scope = names | arrays | keywords | {"dy": expected.dy.copy()}
    try:
        exec("\n".join(lines), scope)
    except Exception:
        return False
    yours = scope.get("yours")
    return isinstance(yours, np.ndarray) and np.array_equal(yours, got, equal_nan=yours.dtype.kind == "f")


def _source(implementation: Any) -> tuple[Path, str] | None:
    """The file and the name under which a script can import it."""
    name = getattr(implementation, "__qualname__", "")
    try:
        file = inspect.getsourcefile(implementation)
    except (TypeError, OSError):
        return None
    if file is None or not name.isidentifier() or not Path(file).stem.isidentifier():
        return None
    package = getattr(implementation, "__module__", "") or ""
    path = Path(file).resolve()
    for _ in range(package.count(".")):  # numpy_cnn.ops.convolution: imported from the folder of numpy_cnn
        path = path.parent
    if "." in package:
        return path.parent / f"{package}.py", name
    return path, name


def _torch_name(like: Any) -> str | None:
    name = getattr(like, "__name__", "")
    for module, prefix in ((F, "torch.nn.functional"), (torch, "torch")):
        if getattr(module, name, None) is like:
            return f"{prefix}.{name}"
    return None


def _keyword(name: str, value: Any) -> str:
    return f"{name}={name}" if isinstance(value, np.ndarray) else f"{name}={value!r}"


def _literal(array: Array | None) -> str:
    """NumPy code for an array; whole numbers without a point."""
    if array is None:
        return "None"
    if array.size and (array == array.ravel()[0]).all() and array.size > 3:
        return f'np.full({array.shape}, {_number(array.ravel()[0].item())}, "{array.dtype}")'
    body = _nested(array.tolist())
    if array.size == 0 or len(body) > WIDTH:
        flat = ", ".join(_number(value) for value in array.ravel().tolist())
        return f'np.array([{flat}], "{array.dtype}").reshape({array.shape})'
    return f'np.array({body}, "{array.dtype}")'


def _nested(value: Any) -> str:
    return f"[{', '.join(map(_nested, value))}]" if isinstance(value, list) else _number(value)


def _number(value: Any) -> str:
    if isinstance(value, int):
        return str(value)
    if np.isnan(value):
        return "np.nan"
    if np.isinf(value):
        return "np.inf" if value > 0 else "-np.inf"
    return str(int(value)) if value == int(value) and str(value) != "-0.0" else repr(value)
