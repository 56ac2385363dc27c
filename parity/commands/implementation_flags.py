"""The flags that say how an implementation is checked, the same for `check`, `replay` and `watch`."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from numpy_cnn.common.spec.errors import UserError
from parity.commands.placeholders import named

if TYPE_CHECKING:
    from parity.report.rerun import RerunFlags
    from parity.rows.row import Row
    from parity.subjects import Implementation


@dataclass(frozen=True, kw_only=True)
class ImplementationFlags:
    """What is known of the implementation."""

    supports: Annotated[tuple[str, ...], named("NAME=VALUE ...")] = ()
    """What it takes, so that nothing else is drawn, as in: groups=1 stride=1 square=true."""
    accept: Annotated[tuple[str, ...], named("NAME ...")] = ()
    """Conventions and bad manners that are no failures, by the names that failures give them."""
    timeout: Annotated[float | None, named("SECONDS", "(default: 30)")] = None
    """Seconds that one call of it may take."""

    def rerun_flags(self, before: "RerunFlags | None" = None) -> "RerunFlags":
        """What was typed, on top of what was said `before`.

        Raises:
            UserError: a flag has no sense; the message carries it.
        """
        from parity.report.rerun import RerunFlags, parsed_supports
        from parity.running.row import acceptable

        if self.timeout is not None and not self.timeout > 0:
            raise UserError(f"--timeout must be more than 0 seconds, got {self.timeout:g}")
        try:
            typed: dict[str, Any] = {"supports": parsed_supports(self.supports), "accept": self.accept}
            acceptable(self.accept)
        except ValueError as error:
            raise UserError(f"--{error}") from None
        typed |= {name: getattr(self, name, None) for name in ("impl", "like", "shapes", "timeout")}
        return replace(before or RerunFlags(), **{name: value for name, value in typed.items() if value})


def row_of(name: str, implementation: "Implementation", how: "RerunFlags") -> "Row":
    """The registry's row, or one that has `how.like` for its oracle.

    Raises:
        UserError: there is no such row, or no such function of torch's.
    """
    from parity.api.check import row_named

    if how.like is None:
        if how.shapes is not None:
            raise UserError(f"--shapes {how.shapes!r} belongs to --like; a row of the registry has its own")
        try:
            return row_named(name)
        except KeyError as error:
            raise UserError(
                f"{error.args[0]}; for another op, name its oracle: --like torch.nn.functional.…"
            ) from None
    from parity.api.adhoc import row_like
    from parity.commands.loading import oracle_from

    return row_like(name, implementation.written, oracle_from(how.like), shapes=how.shapes)


def check_flags(row: "Row", how: "RerunFlags") -> None:
    """Raise UserError where `--supports` names what cases of the row do not have."""
    from parity.running.row import check_words

    try:
        if how.supports:
            check_words(row, dict(how.supports))
    except ValueError as error:
        raise UserError(f"--{error}") from None
