"""Arrays and options as Python source."""

from typing import Any

import numpy as np

from parity.cases.op import Array

WIDTH = 110


def literal(array: Array | None) -> str:
    """Return NumPy code for an array; integers without a point."""
    if array is None:
        return "None"
    if array.size and (array == array.ravel()[0]).all() and array.size > 3:
        return f'np.full({array.shape}, {_number(array.ravel()[0].item())}, "{array.dtype}")'
    body = _nested(array.tolist())
    if array.size == 0 or len(body) > WIDTH:
        flat = ", ".join(_number(value) for value in array.ravel().tolist())
        return f'np.array([{flat}], "{array.dtype}").reshape({array.shape})'
    return f'np.array({body}, "{array.dtype}")'


def keyword(name: str, value: Any) -> str:
    """Format an option as a keyword argument; an array by its name."""
    return f"{name}={name}" if isinstance(value, np.ndarray) else f"{name}={value!r}"


def keywords(options: dict[str, Any]) -> str:
    """Format all options, with a comma before each."""
    return "".join(f", {keyword(name, value)}" for name, value in options.items())


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
