"""The command-line flags that repeat a check."""

import inspect
import json
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parity.cases.limits import TIME_LIMIT


@dataclass(frozen=True)
class RerunFlags:
    """The flags of `python -m parity check` that concern the implementation, not the run."""

    impl: str | None = None  # FILE.py:NAME; None for numpy_cnn's own
    supports: Mapping[str, Any] = field(default_factory=dict)
    accept: tuple[str, ...] = ()
    timeout: float | None = TIME_LIMIT
    like: str | None = None  # module.name, or FILE.py:NAME; None for the row's own oracle
    shapes: str | None = None
    strict: bool = False

    @property
    def flags(self) -> str:
        """The flags as typed on the command line, each with a leading space."""
        words: list[str] = []
        for name in ("impl", "like", "shapes"):
            if (value := getattr(self, name)) is not None:
                words += [f"--{name}", value]
        if self.supports:
            words += ["--supports", *(f"{name}={_typed(value)}" for name, value in self.supports.items())]
        if self.accept:
            words += ["--accept", *self.accept]
        if self.strict:
            words.append("--strict")
        if self.timeout not in (None, TIME_LIMIT):
            words += ["--timeout", f"{self.timeout:g}"]
        return "".join(f" {shlex.quote(word)}" for word in words)

    def to_json(self) -> dict[str, Any]:
        """Plain values that `from_json` takes; defaults are left out."""
        values: dict[str, Any] = {"impl": self.impl}
        if self.supports:
            values["supports"] = dict(self.supports)
        if self.accept:
            values["accept"] = list(self.accept)
        if self.strict:
            values["strict"] = True
        if self.timeout != TIME_LIMIT:
            values["timeout"] = self.timeout
        named = {name: getattr(self, name) for name in ("like", "shapes")}
        return values | {name: value for name, value in named.items() if value is not None}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "RerunFlags":
        """The inverse of `to_json`.

        Raises:
            ValueError: a value has the wrong type; the message names it.
        """
        supports, accept, timeout = values.get("supports", {}), values.get("accept", []), values.get("timeout")
        for name in ("impl", "like", "shapes"):
            if not isinstance(values.get(name), (str, type(None))):
                raise ValueError(f"{name} must be a string")
        if not isinstance(supports, dict) or not isinstance(accept, list):
            raise ValueError("supports must be an object, and accept a list")
        if not isinstance(timeout, (int, float, type(None))):
            raise ValueError("timeout must be a number")
        return cls(
            values.get("impl"),
            {name: _tuple(value) for name, value in supports.items()},
            tuple(map(str, accept)),
            timeout if "timeout" in values else TIME_LIMIT,
            values.get("like"),
            values.get("shapes"),
            values.get("strict") is True,
        )


def parsed_supports(pairs: Iterable[str]) -> dict[str, Any]:
    """Parse NAME=VALUE pairs; a value is JSON or a bare word.

    Raises:
        ValueError: an argument has no `=`.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise ValueError(f"supports {pair!r}: expected NAME=VALUE, as in groups=1 or square=true")
        try:
            value = json.loads({"true": "true", "false": "false", "none": "null"}.get(text.lower(), text))
        except ValueError:
            value = text
        found[name] = _tuple(value)
    return found


def rerun_flags_of(
    implementation: Any,
    supports: Any,
    accept: Iterable[str],
    timeout: float | None,
    like: Any = None,
    shapes: Any = None,
) -> RerunFlags | None:
    """Return the flags for the arguments of `parity.check`; None if no command can express them.

    A command can express: functions and classes at the top level of a file that belongs to no package, a dict as
    `supports`, one of torch's functions as `like`.
    """
    impl = None if implementation is None else _place(implementation)
    named = None if like is None else _torch_name(like)
    if (implementation is not None and impl is None) or (like is not None and named is None):
        return None
    if not isinstance(supports, (Mapping, type(None))) or not isinstance(shapes, (str, type(None))):
        return None
    return RerunFlags(impl, dict(supports or {}), tuple(accept), timeout, named, shapes)


def _place(implementation: Any) -> str | None:
    """FILE.py:NAME, or FILE.py:FORWARD,BACKWARD."""
    parts: Any = implementation if isinstance(implementation, (tuple, list)) else (implementation,)
    files, names = set(), []
    for part in parts:
        name = getattr(part, "__qualname__", "")
        module = sys.modules.get(getattr(part, "__module__", None) or "")
        importable = name.isidentifier() and module is not None and vars(module).get(name) is part
        if not importable:
            return None
        try:
            file = inspect.getsourcefile(part)
        except TypeError:  # written in C
            return None
        if file is None or getattr(module, "__package__", None) or not Path(file).is_file():
            return None
        files.add(file)
        names.append(name)
    if len(files) != 1:
        return None
    path = Path(files.pop()).resolve()
    here = Path.cwd()
    return f"{path.relative_to(here) if path.is_relative_to(here) else path}:{','.join(names)}"


def _torch_name(like: Any) -> str | None:
    """The dotted name of a torch function, such as torch.nn.functional.gelu."""
    import torch

    name = getattr(like, "__name__", "")
    for module in (torch.nn.functional, torch, torch.special, torch.linalg):
        if name and getattr(module, name, None) is like:
            return f"{module.__name__}.{name}"
    return None


def _typed(value: Any) -> str:
    """The inverse of `parsed_supports`, for one value."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _tuple(value: Any) -> Any:
    return tuple(_tuple(item) for item in value) if isinstance(value, list) else value
