"""Stubs for your own layers: signature, formula and shapes, without the two bodies."""

import inspect
import random
import textwrap
from collections.abc import Mapping

from parity.cases.primitives import draw_plainly
from parity.cases.state import BUFFERS
from parity.rows.registry import ROWS
from parity.rows.row import Row

WIDTH = 105
FORWARD, PULLBACK = "the forward is not written yet", "the pullback is not written yet"


def has_stub(row: Row) -> bool:
    """Whether the row is an op of numpy_cnn, not an optimizer or a network."""
    return row.kind == "op"


def stub(name: str) -> str:
    """Return Python source of a function with the row's signature and docstring, without the two bodies.

    Raises:
        KeyError: there is no op row with this name.
    """
    row = ROWS[name]
    if not has_stub(row):
        raise KeyError(name)
    parameters = inspect.signature(row.op).parameters
    case, _ = draw_plainly(row.strategy(lane=row.lanes[0]), random.Random(0))
    arrays = [spec for spec in case.arrays if not spec.keyword]
    names = [spec.name if spec.name in parameters else [*parameters][i] for i, spec in enumerate(arrays)]
    without = [n for n, spec in zip(names, arrays, strict=True) if spec.kind == "classes" or n in BUFFERS]
    gradients = ["None" if n in without else f"d{n}" for n in names]
    returned = f"{', '.join(gradients)}{',' if len(gradients) == 1 else ''}"
    optional = [n for n in names if parameters[n].default is None]
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


def {name}({_signature(names, parameters, len(f"def {name}():"))}):
{textwrap.indent(docstring, "    ")}
    # Forward: y, by the formula above, in the dtype of {names[0]}. Nothing is written to the arguments.
    raise NotImplementedError("{FORWARD}")

    def pullback(dy):
{textwrap.indent(textwrap.fill(backward, WIDTH), "        # ")}
        raise NotImplementedError("{PULLBACK}")
        return ({returned})

    return y, pullback
'''


def _signature(arrays: list[str], parameters: Mapping[str, inspect.Parameter], beside: int) -> str:
    """Format the signature, arrays first; on separate lines if it does not fit beside `beside` characters."""
    own, options = (
        [p for name, p in parameters.items() if (name in arrays) == is_array] for is_array in (True, False)
    )
    only_keywords = [p for p in options if p.kind is p.KEYWORD_ONLY or p.default is p.empty]
    others = [p for p in options if p not in only_keywords]
    star = ["*"] if only_keywords else []
    line = ", ".join([*map(_with_default, own + others), *star, *map(_with_default, only_keywords)])
    if len(line) + beside <= WIDTH:
        return line
    return "\n" + textwrap.indent(textwrap.fill(line, WIDTH), "    ") + "\n"


def _with_default(parameter: inspect.Parameter) -> str:
    return parameter.name if parameter.default is parameter.empty else f"{parameter.name}={parameter.default!r}"


def _docstring(row: Row) -> str:
    """The op's docstring without the options that a first version does not need."""
    text = inspect.getdoc(row.op) or ""
    lines = [line for line in text.splitlines() if "needs_input_grad" not in line]
    return '"""' + "\n".join(lines).replace("\\", "\\\\") + '\n"""'


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
