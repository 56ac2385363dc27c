"""Functions of JAX arrays, which `jax.vjp` differentiates. JAX is imported only by the user's own file."""

import inspect
import sys
from typing import Any

import numpy as np

from parity.cases.op import Array
from parity.subjects.implementation import Implementation

JAX = "it takes JAX arrays, and jax.vjp differentiates it"


def uses_jax(written: Any) -> bool:
    """Whether a function is one of JAX's objects, such as a `custom_vjp`, or its file imports JAX."""
    if "jax" not in sys.modules or inspect.isclass(written) or isinstance(written, (tuple, list)):
        return False
    scope = getattr(inspect.unwrap(written), "__globals__", {})
    modules = {value.__name__.partition(".")[0] for value in scope.values() if inspect.ismodule(value)}
    return type(written).__module__.partition(".")[0] in ("jax", "jaxlib") or "jax" in modules


def of_jax(made: Implementation) -> Implementation:
    """Adapt a function of JAX arrays that returns its output alone."""
    jax: Any = sys.modules["jax"]

    def op(*arrays: Array | None, **options: Any) -> Any:
        wide = any(a is not None and a.dtype == np.float64 for a in arrays)
        places = [i for i, a in enumerate(arrays) if a is not None and a.dtype.kind == "f"]

        def function(*floats: Any) -> Any:
            given = [*arrays]
            for place, value in zip(places, floats, strict=True):
                given[place] = value
            return made.op(*given, **options)

        with jax.enable_x64(wide):
            y, vjp = jax.vjp(function, *(jax.numpy.asarray(arrays[i]) for i in places))

        def pullback(dy: Array) -> list[Array | None]:
            found: list[Array | None] = [None] * len(arrays)
            with jax.enable_x64(wide):
                for place, gradient in zip(places, vjp(jax.numpy.asarray(dy, y.dtype)), strict=True):
                    found[place] = np.array(gradient)
            return found

        return np.array(y), pullback

    return made.around(op, JAX)
