"""Flags that describe an implementation, shared by `check`, `replay` and `watch`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from numpy_cnn.common.spec.errors import UserError
from parity.commands.placeholders import named

if TYPE_CHECKING:
    from parity.report.rerun import RerunFlags


@dataclass(frozen=True, kw_only=True)
class ImplementationFlags:
    """What the implementation supports, and which findings are ignored."""

    supports: Annotated[tuple[str, ...], named("NAME=VALUE ...")] = ()
    """Generate only cases that it supports, for example: groups=1 stride=1 square=true."""
    accept: Annotated[tuple[str, ...], named("NAME ...")] = ()
    """Ignore these findings, by their names in reports: conventions, dtype, special, ..."""
    strict: Annotated[bool, named(None)] = False
    """Also fail if only NaN, infinities or -0 differ, or a contract is broken (dtype, memory layout, ...)."""
    timeout: Annotated[float | None, named("SECONDS", "(default: 30)")] = None
    """Time limit for one call of it, in seconds."""

    def rerun_flags(self, before: "RerunFlags | None" = None) -> "RerunFlags":
        """Merge the flags from the command line into those saved `before`.

        Raises:
            UserError: a flag has an invalid value; the message contains it.
        """
        from parity.report.rerun import RerunFlags, parsed_supports

        if self.timeout is not None and not self.timeout > 0:
            raise UserError(f"--timeout must be more than 0 seconds, got {self.timeout:g}")
        try:
            typed: dict[str, Any] = {"supports": parsed_supports(self.supports), "accept": self.accept}
        except ValueError as error:
            raise UserError(f"--{error}") from None
        typed |= {name: getattr(self, name, None) for name in ("impl", "like", "shapes", "timeout", "strict")}
        return replace(before or RerunFlags(), **{name: value for name, value in typed.items() if value})


def arguments_of(how: "RerunFlags") -> dict[str, Any]:
    """Return the keyword arguments of `parity.check` for the flags.

    Raises:
        UserError: `--shapes` without `--like`, either of them without an implementation, or no such oracle.
    """
    if how.like is None and how.shapes is not None:
        raise UserError(f"--shapes {how.shapes!r} needs --like; a row of the registry has its own shapes")
    if how.like is not None and how.impl is None:
        raise UserError(f"--like {how.like} needs --impl: an implementation to compare")
    like: Callable[..., Any] | None = None
    if how.like is not None:
        from parity.commands.loading import oracle_from

        like = oracle_from(how.like)
    return {
        "supports": how.supports or None,
        "accept": how.accept,
        "strict": how.strict or None,
        "timeout": how.timeout,
        "like": like,
        "shapes": how.shapes,
    }
