"""Gradients, wherever an author has put them: returned, nested, in a dict, in attributes."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from parity.subjects import names
from parity.subjects.names import gradient_names, plain

STEMS = (names.INPUTS, names.WEIGHTS, names.BIASES)
_CONTAINERS = names.words("grads grad gradients gradient dparams gradparams paramgrads paramsgrad derivatives")


def is_array(value: Any) -> bool:
    """Whether the value is an array of NumPy's or can be seen as one, as JAX's can; a list is none."""
    return isinstance(value, (np.ndarray, np.generic)) or (
        hasattr(value, "__array__") and not isinstance(value, type)
    )


def returned_gradients(returned: Any, count: int) -> list[Any]:
    """What a backward returned, one place an array: flat or nested tuples, a dict, or one array alone."""
    found: list[Any] = [None] * count
    if isinstance(returned, Mapping):
        for place, value in _named(returned, count, of_gradients=True):
            found[place] = value
        return found
    flat = list(_flat(returned))
    if any(isinstance(item, Mapping) for item in flat):  # dx, {"dW": …, "db": …}
        for item in flat:
            if isinstance(item, Mapping):
                for place, value in _named(item, count, of_gradients=True):
                    found[place] = value
        flat = [item for item in flat if not isinstance(item, Mapping)]
        for place, item in zip((i for i, value in enumerate(found) if value is None), flat, strict=False):
            found[place] = item
        return found
    return flat + found[len(flat) :]


def gradients_of(layer: Any, found: list[Any]) -> list[Any]:
    """Fill the places that are None from the attributes of a layer: dW, weight_grad, grads["w"], …"""
    found = list(found)
    count = len(found)
    attributes = dict(_attributes(layer))
    for place, value in _named(attributes, count, of_gradients=False):
        if found[place] is None:
            found[place] = value
    for name, value in attributes.items():
        if plain(name) not in _CONTAINERS:
            continue
        value = value() if callable(value) else value
        if isinstance(value, Mapping):
            for place, item in _named(value, count, of_gradients=True):
                if found[place] is None:
                    found[place] = item
        elif isinstance(value, (tuple, list)):
            missing = [place for place in range(1, count) if found[place] is None]
            for place, item in zip(missing, _flat(value), strict=False):
                found[place] = item
        elif is_array(value) and count == 2 and found[1] is None:
            found[1] = value
    return found


def parameter_holder(layer: Any, stems: frozenset[str]) -> tuple[Any, Any] | None:
    """(mapping, key) of the parameter so called: among the attributes, or in a dict such as `params`."""
    spaces: list[Any] = [vars(layer)] if hasattr(layer, "__dict__") else []
    spaces += [value for value in (spaces[0].values() if spaces else ()) if isinstance(value, dict)]
    for space in spaces:
        for key, value in space.items():
            free = value is None or is_array(value)
            if isinstance(key, str) and plain(key) in stems and free:
                return space, key
    return None


def _attributes(layer: Any) -> Iterator[tuple[str, Any]]:
    yield from vars(layer).items() if hasattr(layer, "__dict__") else ()
    for kind in type(layer).__mro__[:-1]:
        for name, value in vars(kind).items():
            if isinstance(value, property) or (plain(name) in _CONTAINERS and callable(value)):
                yield name, getattr(layer, name)


def _named(mapping: Mapping[Any, Any], count: int, of_gradients: bool) -> Iterator[tuple[int, Any]]:
    """The entries whose names say what they are the gradient of; in a dict of gradients "W" is enough."""
    for place, stems in enumerate(STEMS[:count]):
        wanted = gradient_names(stems)
        for key, value in mapping.items():
            short = plain(str(key))
            if value is not None and (is_array(value)) and (short in wanted or (of_gradients and short in stems)):
                yield place, value
                break


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, (tuple, list)) and not (value and all(isinstance(v, (int, float)) for v in value)):
        for item in value:
            yield from _flat(item)
    else:
        yield value
