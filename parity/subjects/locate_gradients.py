"""Finds parameters and gradients: returned, nested in tuples or dicts, or stored in attributes."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from parity.subjects import names
from parity.subjects.attributes import Fields, has_attributes, space_of
from parity.subjects.names import gradient_names, plain

STEMS = (names.INPUTS, names.WEIGHT_ATTRIBUTES, names.BIAS_ATTRIBUTES)
STEMS_OF_ALL = frozenset().union(*STEMS)
LISTS = names.words("params parameters param getparams getparameters")
VALUES, GRADIENTS = (
    ("data", "value", "val"),
    ("grad", "gradient", "d"),
)  # of a parameter that is an object or a dict
DEPTH = 4  # levels of nested objects: a layer around a layer, and the dicts of torch's modules
_CONTAINERS = names.words("grads grad gradients gradient dparams gradparams paramgrads paramsgrad derivatives")
_CONTAINERS |= gradient_names(names.words("param params parameter parameters theta thetas weights"))
_CLEARS = frozenset(
    f"{verb}{what}" for verb in ("zero", "clear", "reset", "flush") for what in ("grad", "grads", "gradients")
)


def is_array(value: Any) -> bool:
    """Whether the value is a NumPy array or converts to one (JAX, DLPack); a list does not count."""
    return isinstance(value, (np.ndarray, np.generic)) or (
        (hasattr(value, "__array__") or hasattr(value, "__dlpack__")) and not isinstance(value, type)
    )


def is_numbers(value: Any) -> bool:
    """Whether the value is a list of numbers, or of such lists, as layers without NumPy return."""
    if not isinstance(value, list) or not value:
        return False
    return all(map(is_numbers, value)) or all(
        isinstance(v, (int, float, np.floating)) and not isinstance(v, bool) for v in value
    )


def as_numpy(value: Any) -> Any:
    """Convert an array of another library to NumPy."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value
    return np.asarray(value) if hasattr(value, "__array__") else np.from_dlpack(value)


def returned_gradients(returned: Any, count: int, called: Sequence[str] = ()) -> list[Any]:
    """The gradients that a backward returned, one per array, from (nested) tuples, a dict or one array.

    `called`: the forward's names of the arrays, such as g and b, by which a dict may name the gradients: dg, db.
    """
    found: list[Any] = [None] * count
    if isinstance(returned, Mapping):
        for place, value in _named(returned, count, of_gradients=True, called=called):
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


def gradients_of(layer: Any, found: list[Any], backward: str | None = None) -> list[Any]:
    """Replace each None by a gradient in the attributes of a layer: dW, weight_grad, grads["w"], …

    `backward` is its method that returned the others, which is not called again.
    """
    found = list(found)
    for owner in objects(layer):
        _fill(found, {name: value for name, value in _attributes(owner) if name != backward})
        _fill_from_pairs(found, owner)
        if all(value is not None for value in found):
            break
    return found


def output_of(layer: Any) -> Any:
    """The output of a layer whose forward returns None: an attribute named output, y, …"""
    return next((v for k, v in space_of(layer).items() if plain(k) in names.OUTPUTS and is_array(v)), None)


def clear_method(layer: Any) -> str | None:
    """The name of the method that clears accumulated gradients."""
    return next((n for n in dir(layer) if plain(n) in _CLEARS and callable(getattr(layer, n, None))), None)


def clear_methods(layer: Any) -> list[Callable[[], Any]]:
    """The methods that clear accumulated gradients: the layer's own, or those of its parameters."""
    own = clear_method(layer)
    if own is not None:
        return [getattr(layer, own)]
    found = ((owner, clear_method(owner)) for owner in objects(layer) if not isinstance(owner, torch.nn.Module))
    return [getattr(owner, name) for owner, name in found if name is not None]


def last_part(key: Any) -> str:
    """The plain name of an entry, without the name of its layer: "weight" for "dense1.weight"."""
    return plain(re.split(r"[./:]", str(key))[-1])


def parameter_holder(
    layer: Any, stems: frozenset[str], is_value: Callable[[Any], bool] = lambda v: is_array(v) or is_numbers(v)
) -> tuple[Any, Any] | None:
    """(mapping, key) of the parameter with one of these names: an attribute, in a dict or a list such as `params`,
    of an inner layer, or within an object such as `Parameter`. Dicts of gradients, which may have the same keys,
    are skipped.
    """
    place = 0 if "weight" in stems else 1 if "bias" in stems else None
    for owner in objects(layer):
        space = space_of(owner)
        candidates: list[tuple[str, tuple[Any, Any]]] = []
        own = [(k, v) for k, v in space.items() if plain(k) not in _CONTAINERS]
        dicts = [v for _, v in own if isinstance(v, dict)]
        fields = [Fields(space, k) for k, v in own if hasattr(type(v), "_fields")]
        for mapping in (space, *dicts, *fields):
            for key, value in mapping.items():
                if not (isinstance(key, str) and last_part(key) in stems):
                    continue
                entry = (mapping, key) if value is None or is_value(value) else _entry(value, VALUES, is_value)
                if entry is not None:
                    candidates.append((key, entry))
        if candidates:  # of several, such as BW and its alias weight, the one that the methods use
            used = (entry for key, entry in candidates if len(candidates) == 1 or mentions(owner, key))
            return next(used, candidates[0][1])
        for key, value in space.items() if place is not None else ():
            arrays = isinstance(value, (list, tuple)) and len(value) == 2 and all(map(is_value, value))
            if arrays and plain(key) in LISTS:
                return (value if isinstance(value, list) else Fields(space, key)), place
    return None


def _entry(value: Any, keys: tuple[str, ...], is_value: Callable[[Any], bool]) -> tuple[Any, Any] | None:
    """(mapping, key) of an array within a parameter that is an object or a dict: `.data`, `["val"]`, `.grad`."""
    if is_array(value) or not (isinstance(value, dict) or has_attributes(value)):
        return None
    space = value if isinstance(value, dict) else space_of(value)
    return next(((space, key) for key in keys if key in space and is_value(space[key])), None)


def mentions(layer: Any, key: Any) -> bool:
    """Whether a method besides the constructor uses the attribute or the entry; otherwise it is a placeholder."""
    methods = (
        (name, getattr(method, "__code__", None))
        for owner in objects(layer)
        for kind in type(owner).__mro__[:-1]
        for name, method in vars(kind).items()
    )
    return any(
        name != "__init__" and (key in code.co_names or key in code.co_consts)
        for name, code in methods
        if code is not None
    )


def objects(layer: Any) -> Iterator[Any]:
    """Yield the layer and the objects in its attributes, dicts and lists, nearest first."""
    level, seen = [layer], set()
    for _ in range(DEPTH):
        below = []
        for owner in level:
            if id(owner) in seen or not has_attributes(owner) or isinstance(owner, type) or callable_only(owner):
                continue
            seen.add(id(owner))
            yield owner
            for value in space_of(owner).values():
                inner = (
                    value.values() if isinstance(value, dict) else value if isinstance(value, list) else (value,)
                )
                below += [v for v in inner if has_attributes(v) and not is_array(v)]
        level = below


def callable_only(value: Any) -> bool:
    """Whether the value is a function or a module, not an object with parameters."""
    return (
        hasattr(value, "__code__") or hasattr(value, "__func__") or type(value).__name__ in ("module", "partial")
    )


def _fill(found: list[Any], attributes: dict[str, Any]) -> None:
    count = len(found)
    for place, value in _named(attributes, count, of_gradients=False):
        if found[place] is None:
            found[place] = value
    for name, value in attributes.items():
        # A parameter that is an object or a dict, also as an entry of a dict such as `params`.
        inner = value if isinstance(value, dict) and plain(name) not in STEMS_OF_ALL else {}
        for key, parameter in {name: value, **inner}.items():
            for place, stems in enumerate(STEMS[:count]):
                entry = _entry(parameter, GRADIENTS, is_array) if last_part(key) in stems else None
                if entry is not None and found[place] is None:
                    found[place] = entry[0][entry[1]]
        if plain(name) not in _CONTAINERS:
            continue
        if callable(value):
            if _requires(value):
                continue  # a method that computes gradients from arguments
            value = value()
        value = value._asdict() if hasattr(value, "_asdict") else value
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


def _fill_from_pairs(found: list[Any], owner: Any) -> None:
    """Fill the places of parameters from a method that yields the pairs (value, gradient)."""
    missing = [place for place in range(1, len(found)) if found[place] is None]
    for name in dir(owner) if missing else ():
        method = getattr(owner, name, None) if plain(name) in LISTS else None
        if not inspect.ismethod(method) or _requires(method):
            continue
        returned = method()  # or their number, in some libraries
        pairs = list(returned) if isinstance(returned, (list, tuple, Iterator)) else []
        if all(isinstance(pair, tuple) and len(pair) == 2 and all(map(is_array, pair)) for pair in pairs):
            for place, (_, gradient) in zip(missing, pairs, strict=False):
                found[place] = gradient


def _requires(method: Callable[..., Any]) -> bool:
    return any(p.default is p.empty for p in inspect.signature(method).parameters.values())


def _attributes(layer: Any) -> Iterator[tuple[str, Any]]:
    yield from space_of(layer).items()
    for kind in type(layer).__mro__[:-1]:
        for name, value in vars(kind).items():
            if isinstance(value, property) or (plain(name) in _CONTAINERS and callable(value)):
                try:
                    yield name, getattr(layer, name)
                except Exception:  # a property that raises
                    continue


def _named(
    mapping: Mapping[Any, Any], count: int, of_gradients: bool, called: Sequence[str] = ()
) -> Iterator[tuple[int, Any]]:
    """The entries whose names denote gradients; in a dict of gradients, "W" alone does."""
    for place, stems in enumerate(STEMS[:count]):
        stems = stems | {*map(plain, called[place : place + 1])}
        wanted = gradient_names(stems)
        for key, value in mapping.items():
            short = last_part(key)
            if (is_array(value) or is_numbers(value)) and (short in wanted or (of_gradients and short in stems)):
                yield place, value
                break


def _is_one(value: Any) -> bool:
    """Whether a list or tuple is one gradient: Python numbers, or a list of lists of numbers."""
    return bool(value) and (
        all(type(v) in (int, float) for v in value) or (is_numbers(value) and isinstance(value[0], list))
    )


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, (tuple, list)) and not _is_one(value):
        for item in value:
            yield from _flat(item)
    else:
        yield value
