"""What `--help` shows for a value."""

from typing import Any

import tyro


def named(placeholder: str | None, default: str | None = "") -> Any:
    """A flag's value by this name instead of its type's.

    Args:
        placeholder: such as FILE.py:NAME.
        default: the text after the help; none if omitted, the default itself if None.
    """
    return tyro.conf.arg(metavar=placeholder, help_behavior_hint=default)
