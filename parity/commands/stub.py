"""A file to start your own layer with: signature, formula and shapes, and two bodies to fill in."""

import inspect
import random
import textwrap

from parity.cases.primitives import draw_plainly
from parity.cases.torch_op import BUFFERS
from parity.rows.registry import ROWS
from parity.rows.row import Row

WIDTH = 105
FORWARD, PULLBACK = "the forward is not written yet", "the pullback is not written yet"


def has_stub(row: Row) -> bool:
    """Whether the row is an op of numpy_cnn, and neither an optimizer nor a whole network."""
    return row.kind == "op"


def stub(name: str) -> str:
    """Python source of a function with the row's signature and docstring, and without its two bodies.

    Raises:
        KeyError: no op row is called so.
    """
    row = ROWS[name]
    if not has_stub(row):
        raise KeyError(name)
    parameters = inspect.signature(row.op).parameters.values()
    case, _ = draw_plainly(row.strategy(lane=row.lanes[0]), random.Random(0))
    arrays = [spec for spec in case.arrays if not spec.keyword]
    names = [parameter.name for parameter in parameters][: len(arrays)]
    without = [n for n, spec in zip(names, arrays, strict=True) if spec.kind == "classes" or n in BUFFERS]
    gradients = ["None" if n in without else f"d{n}" for n in names]
    given = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters]
    returned = f"{', '.join(gradients)}{',' if len(gradients) == 1 else ''}"
    optional = [p.name for p in parameters if p.default is None and p.name in names]
    absent = "".join(f", None where {n} is None" for n in optional)
    of = _listed([n for n in names if n not in BUFFERS])
    backward = (
        "Backward: dy is the gradient of some loss with respect to y, in y's shape. Return that loss's gradients "
        f"with respect to {of}, each in the shape of its array{absent}."
    )
    docstring = _docstring(row)
    return f'''"""{name}, by hand. To check it:

    python -m parity check {name} --impl FILE.py:{name}
    python -m parity watch FILE.py:{name}
"""

import numpy as np


def {name}({_signature(given, len(f"def {name}():"))}):
{textwrap.indent(docstring, "    ")}
    # Forward: y, by the formula above, in the dtype of {names[0]}. Nothing is written to the arguments.
    raise NotImplementedError("{FORWARD}")

    def pullback(dy):
{textwrap.indent(textwrap.fill(backward, WIDTH), "        # ")}
        raise NotImplementedError("{PULLBACK}")
        return ({returned})

    return y, pullback
'''


def _signature(parameters: list[str], beside: int) -> str:
    """On the line of `def` beside `beside` other characters, or on one of their own."""
    line = ", ".join(parameters)
    return line if len(line) + beside <= WIDTH else f"\n    {line}\n"


def _docstring(row: Row) -> str:
    """The op's own, without the extras that a first version does not need."""
    text = inspect.getdoc(row.op) or ""
    lines = [line for line in text.splitlines() if "needs_input_grad" not in line]
    return '"""' + "\n".join(lines).replace("\\", "\\\\") + '\n"""'


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
