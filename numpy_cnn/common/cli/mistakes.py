"""Mistakes in typed arguments, each in one line with the value and what to type instead.

tyro finds them, too, but prints several lines with names of its own.
"""

import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from numpy_cnn.common.cli.elsewhere import meant, nearest
from numpy_cnn.common.spec.errors import UserError


@dataclass(frozen=True)
class _Argument:
    """A flag, or a positional argument, of a command."""

    name: str  # of the field
    shown: str  # as in --help
    aliases: tuple[str, ...]
    positional: bool
    required: bool
    kind: Any  # of one value; None for a switch
    count: int | None  # of values; None for any number

    def check(self, values: Sequence[str]) -> None:
        """Check the values, in the number that was typed."""
        choices = get_args(self.kind) if get_origin(self.kind) is Literal else ()
        if self.count is not None and len(values) != self.count:
            needed = "a value" if self.count == 1 else f"{self.count} values"
            got = f", got {len(values)}: {' '.join(values)}" if values else ""
            one_of = f", one of {', '.join(choices)}" if choices else ""
            raise UserError(f"{self.shown} needs {needed}{one_of}{got}")
        for value in values:
            if choices and value not in choices:
                expected = " or ".join([", ".join(choices[:-1])] * (len(choices) > 1) + [choices[-1]])
                raise UserError(f"{self.shown} {value}: expected {expected}{nearest(value, choices, others={})}")
            for number, what in ((int, "a whole number"), (float, "a number")):
                if self.kind is number and not _is(number, value):
                    raise UserError(f"{self.shown}: expected {what}, got {value!r}")


def check(name: str, command: Callable[..., Any], arguments: Sequence[str]) -> None:
    """Check the arguments of a command.

    Args:
        name: of the command.
        command: its dataclass.
        arguments: what was typed after the name.

    Raises:
        UserError: for the first mistake.
    """
    if {"-h", "--help"} & {*arguments}:
        return
    known = [*_arguments(command)]
    flags = {alias: one for one in known if not one.positional for alias in one.aliases}
    usage = " ".join([name, *(one.shown for one in known if one.positional)])
    positional, rest = list[str](), [*arguments]
    while rest:
        typed = rest.pop(0)
        if not _is_flag(typed):
            positional.append(typed)
            continue
        word, given, value = typed.partition("=")
        flag = flags.get(word.replace("_", "-"))
        if flag is None:
            raise UserError(f"unknown option {typed}{_instead(typed, known, usage)} ({name} --help lists all)")
        if flag.kind is None:
            if given:
                raise UserError(f"{word} takes no value, got {value!r}: type {word} alone, or omit it")
            continue
        values = [value] if given else []
        while rest and not _is_flag(rest[0]) and (flag.count is None or len(values) < flag.count):
            values.append(rest.pop(0))
        flag.check(values)
    for one in known:
        if one.positional:
            values = [*positional] if one.count is None else positional[: one.count]
            positional = positional[len(values) :]
            if one.required and one.count and not values:
                raise UserError(f"{one.shown} is missing: type {usage}")
            if values:
                one.check(values)
    if positional:
        raise UserError(f"unknown argument {positional[0]} ({name} --help lists all)")


def _instead(typed: str, known: Sequence[_Argument], usage: str) -> str:
    """What to type for an unknown option."""
    near = meant(typed, [one.name for one in known])
    found = next((one for one in known if one.name == near), None)
    if found is not None and found.positional:
        return f": type the value alone, as in {usage}"
    return f": did you mean --{near}?" if found is not None else ""


def _arguments(command: Any) -> Iterator[_Argument]:
    """The arguments of a command, with those of its groups."""
    import tyro

    hints = get_type_hints(command, include_extras=True)
    for field in fields(command):
        if is_dataclass(field.default_factory):
            yield from _arguments(field.default_factory)
            continue
        hint, notes = hints[field.name], list[Any]()
        if get_origin(hint) is Annotated:
            hint, *notes = get_args(hint)
        if get_origin(hint) in (Union, types.UnionType):
            (hint,) = (kind for kind in get_args(hint) if kind is not type(None))
        several = get_args(hint) if get_origin(hint) is tuple else None
        name = field.name.replace("_", "-")
        positional = tyro.conf.Positional in notes
        placeholder = next((text for note in notes if (text := getattr(note, "metavar", None))), name.upper())
        yield _Argument(
            name,
            placeholder if positional else f"--{name}",
            (f"--{name}", *(alias for note in notes for alias in getattr(note, "aliases", None) or ())),
            positional,
            field.default is MISSING,
            None if hint is bool else several[0] if several else hint,
            1 if several is None else None if Ellipsis in several else len(several),
        )


def _is_flag(typed: str) -> bool:
    """Whether an argument is an option, not a value such as -1, or - for a standard stream."""
    return typed.startswith("-") and typed != "-" and not _is(float, typed)


def _is(kind: type[int] | type[float], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True
