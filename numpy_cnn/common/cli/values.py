"""Parsing and printing the values of flags, without Python's type names."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, Union, get_args

from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    UnsupportedTypeAnnotationError,
)

Spec = PrimitiveConstructorSpec[Any]


def registry() -> ConstructorRegistry:
    """The rules for whole numbers, numbers, and values that may be omitted."""
    rules = ConstructorRegistry()
    rules.primitive_rule(_number(int, "INT", "a whole number"))
    rules.primitive_rule(_number(float, "FLOAT", "a number"))
    rules.primitive_rule(_optional)
    return rules


def _number(kind: type[int] | type[float], metavar: str, what: str) -> Callable[[PrimitiveTypeInfo], Spec | None]:
    def read(texts: list[str]) -> Any:
        try:
            return kind(texts[0])
        except ValueError:
            raise ValueError(f"expected {what}, got {texts[0]!r}") from None

    def rule(info: PrimitiveTypeInfo) -> Spec | None:
        if info.type is not kind:
            return None
        return PrimitiveConstructorSpec(
            1, metavar, read, lambda value: isinstance(value, kind), lambda value: [f"{value:g}"]
        )

    return rule


def _optional(info: PrimitiveTypeInfo) -> Spec | UnsupportedTypeAnnotationError | None:
    """`X | None` is parsed as X; None is the value of an omitted flag."""
    kinds = get_args(info.type)
    if info.type_origin not in (Union, types.UnionType) or len(kinds) != 2 or type(None) not in kinds:
        return None
    kind = kinds[0] if kinds[1] is type(None) else kinds[1]
    inner = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(kind, info.markers))
    if isinstance(inner, UnsupportedTypeAnnotationError):
        return inner
    return PrimitiveConstructorSpec(
        inner.nargs,
        inner.metavar,
        inner.instance_from_str,
        lambda value: value is None or inner.is_instance(value),
        lambda value: ["unset"] if value is None else inner.str_from_instance(value),
        inner.choices,
    )
