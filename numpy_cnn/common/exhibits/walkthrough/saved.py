"""The walkthrough as the page that `demo` serves, in one file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from numpy_cnn.common.exhibits.page.build import build
from numpy_cnn.common.exhibits.page.record import differences, record
from numpy_cnn.common.exhibits.page.setup import LABELS, describe
from numpy_cnn.common.exhibits.walkthrough.lesson import Lesson
from numpy_cnn.common.exhibits.walkthrough.trace import Array, Trace
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.files import replace_file


def write_page(path: Path, html: str) -> None:
    """Write the page.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        replace_file(path, html.encode())
    except OSError as error:
        raise UserError(f"cannot write the page {path}: {error.strerror or error}") from error


def page(
    lesson: Lesson, traces: Sequence[Trace], backend: str, name: str, lr: float, other: Mapping[str, Array] | None
) -> str:
    """The page's text.

    Args:
        lesson: the network and the picture.
        traces: the passes, before and after each step of training.
        backend: the package that computed them.
        name: of the picture.
        lr: the size of the steps.
        other: the arrays of the other backend's first pass, as `Trace.arrays` names them.
    """
    kernel = "" if lesson.kernel == "learned" else f", with the fixed kernel {lesson.kernel}"
    backends = sorted(LABELS, key=lambda package: package != backend)
    setup = describe(
        lesson.architecture,
        lesson.parameters,
        title="Look inside a convolutional network",
        name=f"{name}{kernel}",
        note=None,
        live=False,
        backends=[LABELS[package] for package in (backends if other is not None else backends[:1])],
        lr=lr,
        seed=None,
    )
    extra = {"picture": lesson.pixels[None], "label": np.array([lesson.label])}
    records = [record(trace) | extra for trace in traces]
    if other is not None:
        records[0] |= differences(records[0], _as_record(other))
    return build(setup, lesson.parameters, records).html


def _as_record(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The names of `Trace.arrays` as `record` has them."""
    prefix = "gradient of "
    named = {
        f"gradient.{name.removeprefix(prefix)}" if name.startswith(prefix) else f"value.{name}": array[0]
        for name, array in arrays.items()
        if array.ndim > 1
    }
    return named | {"loss": arrays["loss"][None]}
