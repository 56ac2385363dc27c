"""Placeholders for values in `--help`."""

from typing import Any

import tyro


def named(placeholder: str | None, default: str | None = "") -> Any:
    """Show this placeholder for a flag's value instead of its type.

    Args:
        placeholder: such as FILE.py:NAME.
        default: the text after the help; none if omitted, the default itself if None.
    """
    return tyro.conf.arg(metavar=placeholder, help_behavior_hint=default)
