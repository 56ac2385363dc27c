"""A failure as a stand-alone script with NumPy, torch and the user's file, at most twenty lines."""

import inspect
from typing import Any

import numpy as np
import torch

from numpy_cnn.common.spec.architecture import Architecture
from parity.cases.op import Array, Op
from parity.cases.state import BUFFERS
from parity.diagnosis import torch_lines
from parity.diagnosis.breaches import breach_lines
from parity.diagnosis.call_forms import CallForm, ImportableCallable, call_forms, importable, taken
from parity.diagnosis.literals import keywords, literal
from parity.lanes.comparison import Quantities
from parity.lanes.facts import Difference, Layout, LayoutRefused, layout_of
from parity.lanes.reference import Expected
from parity.rows.row import Row

MOST_LINES = 20
MOST_NUMBERS = 64  # a script with more would not be readable
SHORT = {"input": "x", "weight": "w", "bias": "b"}
USED = frozenset({"x", "w", "b", "y", "dy", "p", "t", "h", "np", "torch", "F", "sys", "yours", "theirs", "before"})
# How a script creates the memory layouts of the structure lane.
LAID = {
    Layout.FORTRAN: "{} = (np.asfortranarray(a) for a in ({}))",
    Layout.REVERSED: "{} = (np.flip(np.flip(a).copy()) for a in ({}))",
    Layout.STRIDED: "{} = (np.repeat(a, 2, -1)[..., ::2] if a.ndim else a for a in ({}))",
    Layout.READ_ONLY: "for a in ({1}): a.flags.writeable = False",
}


def script(row: Row, op: Op, expected: Expected, difference: Difference, ours: Quantities) -> str | None:
    """Return a script that shows one difference of a case; None if it would be too long.

    An op, a pair of functions or a class at the top level of a file is imported and called; for other forms the
    script contains the returned values, if these show the difference.
    """
    inputs = expected.inputs
    drawn = [a for a in (*inputs.arrays, *inputs.options.values()) if isinstance(a, np.ndarray)]
    if sum(a.size for a in drawn) > MOST_NUMBERS:
        return None
    arrays = {SHORT.get(name, name): array for name, array in zip(inputs.names, inputs.arrays, strict=True)}
    written = importable(op, USED | set(arrays) | set(inputs.options))
    if row.kind == "optimizer":
        lines = _of_optimizer(row, written, expected, difference, ours)
    elif row.prefixes is not None:
        lines = None  # a generated network is not built from importable layers
    elif row.kind == "network":
        lines = _of_network(written, expected, difference, ours)
    elif difference.aspect in ("purity", "memory"):
        lines = None if written is None else _of_breach(written, expected, difference, arrays)
    else:
        lines = _of_values(row, written, expected, difference, ours, arrays)
    return None if lines is None or len(lines) > MOST_LINES else "\n".join(lines) + "\n"


def _of_values(
    row: Row,
    written: ImportableCallable | None,
    expected: Expected,
    difference: Difference,
    ours: Quantities,
    arrays: dict[str, Array | None],
) -> list[str] | None:
    options, quantity = expected.inputs.options, difference.quantity
    of = quantity.removeprefix("grad_")
    leaves = [
        n for name, n in zip(expected.inputs.names, arrays, strict=True) if f"grad_{name}" in expected.theirs
    ]
    torchs = torch_lines.of_function(row, arrays, leaves, options, quantity, SHORT.get(of, of))
    if torchs is None:
        return None
    literals = _literals(arrays | _arrays_of(options), expected)
    layout = layout_of(difference)
    comma = ", ".join([*(name for name, array in arrays.items() if array is not None), "dy"])
    # torch rejects negative strides, so its half comes before the change of layout.
    before = [*literals, *torchs, LAID[layout].format(comma, comma)] if layout else literals
    place = expected.inputs.names.index(of) if quantity != "output" else None
    kept = quantity in BUFFERS  # not a result of a call, and stored in an unknown place
    candidates = [] if written is None or kept else _yours(call_forms(written, [*arrays], options), place)
    refused = isinstance(difference.fact, LayoutRefused)  # it returned something for other layouts only
    got = None if refused else ours.get(quantity)
    return _whole(written, before, candidates, [] if layout else torchs, got, difference)


def _of_optimizer(
    row: Row, written: ImportableCallable | None, expected: Expected, difference: Difference, ours: Quantities
) -> list[str] | None:
    w, *gradients = expected.inputs.arrays
    settings = expected.inputs.options
    kept = f"[{', '.join(map(literal, gradients))}]"
    before = [f"w = {literal(w)}", f"gradients = {kept}", f"settings = {settings!r}"]
    torchs = [
        "t = torch.tensor(w, requires_grad=True)",
        f"optimizer = {row.torch_name}([t], **settings)",
        "theirs = []",
        "for g in gradients:",
        "    t.grad = None if g is None else torch.tensor(g)",
        "    optimizer.step()",
        "    theirs.append(t.detach().numpy().copy())",
        "theirs = np.array(theirs)",
    ]
    candidates = []
    if written is not None and inspect.isclass(written.parts[0]):
        steps = "yours = np.array([(mine.step({'w': g}), own['w'].copy())[1] for g in gradients])"
        has = taken(written.parts[0], settings)
        given = ", **settings" if len(has) == len(settings) else keywords(has)
        candidates = [["own = {'w': w.copy()}", f"mine = {written.names[0]}(own{given})", steps]]
    elif written is not None:
        candidates = [[f"yours, _ = {written.names[0]}(w, *gradients, **settings)"]]
    return _whole(written, before, candidates, torchs, ours.get("output"), difference)


def _of_network(
    written: ImportableCallable | None, expected: Expected, difference: Difference, ours: Quantities
) -> list[str] | None:
    inputs, quantity = expected.inputs, difference.quantity
    options = inputs.options
    x, *parameters = inputs.arrays
    place = 0 if quantity == "output" else inputs.names.index(quantity.removeprefix("grad_"))
    before = [
        f"x, target = {literal(x)}, {literal(options['target'])}",
        f"parameters = [{', '.join(map(literal, parameters))}]",
        f"dy = {literal(expected.dy)}",
    ]
    torchs = torch_lines.of_network(Architecture.from_json(options["architecture"]), quantity, place)
    candidates = []
    if written is not None:
        call = f"{written.names[0]}(x, *parameters, architecture=architecture, target=target)"
        before.append(f"architecture = {options['architecture']!r}")
        form = CallForm((f"y, pullback = {call}",), "pullback(dy)")
        candidates = _yours([form], None if quantity == "output" else place)
    lines = _whole(written, before, candidates, torchs, ours.get(quantity), difference)
    if lines is not None:
        lines.insert(lines.index("import torch") + 1, "import torch.nn.functional as F")
    return lines


def _of_breach(
    written: ImportableCallable, expected: Expected, difference: Difference, arrays: dict[str, Array | None]
) -> list[str] | None:
    options = expected.inputs.options
    of = difference.quantity.removeprefix("grad_")
    place = expected.inputs.names.index(of) if of in expected.inputs.names else 0
    short = dict(zip(expected.inputs.names, arrays, strict=True)) | {name: name for name in _arrays_of(options)}
    literals = _literals(arrays | _arrays_of(options), expected)
    for form in call_forms(written, [*arrays], options):
        for gradient in form.gradients(place):
            lines = breach_lines(difference.fact, form, gradient, short)
            if lines is not None and _shows(written, [*literals, *lines]):
                show = ['print("before:", before, "after:", after, sep="\\n")']
                return ["import sys", "import numpy as np", *written.imports, *literals, *lines, *show]
    return None


def _whole(
    written: ImportableCallable | None,
    before: list[str],
    candidates: list[list[str]],
    torchs: list[str],
    got: Array | None,
    difference: Difference,
) -> list[str] | None:
    """Return the script with the first candidate that reproduces the implementation's result."""
    show = f'print("{difference.quantity}, yours:", yours, "torch\'s:", theirs, sep="\\n")'
    if difference.aspect == "dtype":
        show = 'print("yours:", yours.dtype, "torch\'s:", theirs.dtype)'
    heads = ["import numpy as np", "import torch"]
    for lines in candidates:
        if written is not None and _gives(written, [*before, *lines], got):
            return ["import sys", *heads, *written.imports, *before, *lines, *torchs, show]
    if got is None:
        return None
    return [*heads, *before, f"yours = {literal(got)}  # the result of your implementation", *torchs, show]


def _yours(called: list[CallForm], place: int | None) -> list[list[str]]:
    """Lines that set `yours`, for each way to call it; `place` is the index of the gradient, None the output."""
    if place is None:
        return [[*form.forward, "yours = y"] for form in called]
    picked = [[*form.forward, f"yours = {gradient}"] for form in called for gradient in form.gradients(place)]
    return [*picked, *([*form.forward, f"yours = {form.backward}"] for form in called)]


def _gives(written: ImportableCallable, lines: list[str], got: Array | None) -> bool:
    """Whether the lines set `yours` to the given result; without one, whether they raise or give no array."""
    scope: dict[str, Any] = {"np": np, "torch": torch} | written.scope
    try:
        exec("\n".join(lines), scope)
    except (Exception, SystemExit):
        return got is None
    yours = scope["yours"]
    if got is None:
        return not isinstance(yours, (np.ndarray, np.generic))
    return isinstance(yours, (np.ndarray, np.generic)) and bool(
        np.array_equal(yours, got, equal_nan=yours.dtype.kind == "f")
    )


def _shows(written: ImportableCallable, lines: list[str]) -> bool:
    scope: dict[str, Any] = {"np": np} | written.scope
    try:
        exec("\n".join(lines), scope)
    except (Exception, SystemExit):
        return "before" in scope  # the second call raised
    return not np.array_equal(scope["before"], scope["after"])


def _literals(arrays: dict[str, Array | None], expected: Expected) -> list[str]:
    dy = [f"dy = {literal(expected.dy)}"] if len(expected.theirs) > 1 else []
    return [*(f"{name} = {literal(array)}" for name, array in arrays.items()), *dy]


def _arrays_of(options: dict[str, Any]) -> dict[str, Array | None]:
    return {name: value for name, value in options.items() if isinstance(value, np.ndarray)}
