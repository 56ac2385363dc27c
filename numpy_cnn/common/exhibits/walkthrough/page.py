"""The walkthrough as one self-contained HTML page: page.html, .css, .js and the numbers."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy_cnn.common.exhibits.walkthrough.focus import loudest
from numpy_cnn.common.exhibits.walkthrough.kernels import LOOKS_FOR
from numpy_cnn.common.exhibits.walkthrough.lesson import Lesson
from numpy_cnn.common.exhibits.walkthrough.trace import Array, Trace
from numpy_cnn.common.spec.errors import UserError

_PARTS = Path(__file__).parent
_DIGITS = 9  # significant digits: more than are displayed, so that the sums on the page are right


def write_page(lesson: Lesson, traces: Sequence[Trace], backend: str, name: str, path: Path) -> None:
    """Write the page.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        path.write_text(page(lesson, traces, backend, name), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write the page {path}: {error.strerror or error}") from error


def page(lesson: Lesson, traces: Sequence[Trace], backend: str, name: str) -> str:
    """The page's text. Its numbers are JSON, escaped so that nothing in it can close the element."""
    text = json.dumps(_numbers(lesson, traces, backend, name), allow_nan=False, separators=(",", ":"))
    safe = text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")
    parts = {"STYLE": _read("page.css"), "SCRIPT": _read("page.js"), "NUMBERS": safe}
    return re.sub("@(STYLE|SCRIPT|NUMBERS)@", lambda match: parts[match[1]], _read("page.html"))


def _numbers(lesson: Lesson, traces: Sequence[Trace], backend: str, name: str) -> dict[str, Any]:
    first, a = traces[0], lesson.architecture
    focus, kernels = loudest(lesson, first), lesson.parameters["conv1.weight"]
    biases = lesson.parameters.get("conv1.bias")
    planes = {"conv": first.values["conv1"], "relu": first.values["relu1"], "pool": first.values["pool1"]}
    planes |= {"routes": first.routes, "dpool": first.gradients["pool1"], "drelu": first.gradients["relu1"]}
    planes |= {"dconv": first.gradients["conv1"]}
    return {
        "name": name,
        "backend": backend,
        "kernel": lesson.kernel,
        "looksFor": LOOKS_FOR[lesson.kernel],
        "fixed": a.fixed_edges,
        "label": lesson.label,
        "stride": a.stride,
        "padding": a.padding,
        "poolSize": a.pool,
        "hidden": a.hidden,
        "start": [focus.filter, focus.row, focus.column],
        "pixels": _short(lesson.pixels),
        "inputs": _short(lesson.inputs[0, 0]),
        "dinputs": _short(first.gradients["input"][0, 0]),
        "filters": [
            {
                "kernel": _short(kernels[index, 0]),
                "dkernel": _short(first.parameters["conv1.weight"][index, 0]),
                "bias": 0 if biases is None else _short(biases[index]),
                **{what: _short(plane[0, index]) for what, plane in planes.items()},
            }
            for index in range(len(kernels))
        ],
        "scores": _short(first.values[first.scores][0]),
        "probabilities": _short(first.probabilities[0]),
        "dscores": _short(first.gradients[first.scores][0]),
        "loss": first.loss,
        "epochs": [[t.loss, float(t.probabilities[0, lesson.label or 0]), t.answer] for t in traces],
    }


def _short(array: Array) -> Any:
    """Nested lists with rounded numbers."""
    return _rounded(array.tolist())


def _rounded(values: Any) -> Any:
    if isinstance(values, list):
        return [_rounded(value) for value in values]
    short = float(f"{values:.{_DIGITS}g}")
    return int(short) if short.is_integer() else short


def _read(part: str) -> str:
    return (_PARTS / part).read_text(encoding="utf-8")
