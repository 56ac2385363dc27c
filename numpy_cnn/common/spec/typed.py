"""Dataclasses from untrusted JSON: every field must have its annotated type."""

from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from numpy_cnn.common.spec.errors import UserError

T = TypeVar("T")


def build(kind: type[T], values: object, name: str = "") -> T:
    """Build an instance of the dataclass `kind` from a JSON object.

    Args:
        kind: a dataclass whose fields are int, float, bool, str, Path, Literal, `X | None`, tuples of a fixed
            length (a list in JSON), or dataclasses of the same sort. A field with a default may be missing.
        values: the result of `json.loads`.
        name: of the object in error messages.

    Raises:
        UserError: a field is missing, unknown, or of another type; the message has the field and the value.
    """
    if not isinstance(values, dict):
        raise UserError(f"{name or kind.__name__}: expected a JSON object, got {_short(values)}")
    hints, prefix = get_type_hints(kind), f"{name}." if name else ""
    known = {field.name: field for field in fields(cast(Any, kind))}
    for unknown in values.keys() - known.keys():
        raise UserError(f"{prefix}{str(unknown)[:40]}: unknown")
    for field in known.values():
        required = field.default is MISSING and field.default_factory is MISSING
        if required and field.name not in values:
            raise UserError(f"{prefix}{field.name}: missing")
    return kind(**{key: _value(hints[key], value, f"{prefix}{key}") for key, value in values.items()})


def _value(hint: Any, value: object, name: str) -> Any:
    if is_dataclass(hint):
        return build(cast(type, hint), value, name)
    if get_origin(hint) in (Union, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        return None if value is None else _value(kinds[0], value, name)
    if get_origin(hint) is tuple:
        items = get_args(hint)
        if isinstance(value, list) and len(value) == len(items):
            return tuple(_value(kind, item, name) for kind, item in zip(items, value, strict=True))
    elif get_origin(hint) is Literal:
        if isinstance(value, str) and value in get_args(hint):
            return value
    elif hint is Path:
        if isinstance(value, str) and "\0" not in value:
            return Path(value)
    elif hint is float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError:
                pass
    elif type(value) is hint:
        return value
    raise UserError(f"{name}: expected {_describe(hint)}, got {_short(value)}")


def _describe(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, get_args(hint)))
    if get_origin(hint) is tuple:
        return f"a list of {len(get_args(hint))} numbers"
    return {int: "an integer", float: "a number", bool: "true or false", str: "text", Path: "a path"}[hint]


def _short(value: object) -> str:
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # ValueError: an integer of more than 4,300 digits
        return type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."
