"""The settings of a training run as a TOML file: one line per flag, under the flag's name."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from numpy_cnn.common.cli.elsewhere import nearest
from numpy_cnn.common.data.foreign import TEXT, but
from numpy_cnn.common.spec.config import TrainConfig
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.typed import build

NAME = "run.toml"
LARGEST_FILE = 1_000_000  # bytes; a file with all settings has less than a thousand
GROUPS: dict[str, type] = {
    name: get_type_hints(TrainConfig)[name] for name in ("dataset", "network", "optimization", "augmentation")
}

# Flags of `train` that select files, actions or the device, but do not affect the result.
_NOT_SETTINGS = ("out", "resume", "json", "tensorboard", "dry_run", "config", "download", "device")
T = TypeVar("T", bound=TrainConfig)


def named_file(arguments: Sequence[str]) -> Path | None:
    """The file that `--config` names among these arguments, the last one if there are several."""
    found = None
    for argument, following in zip(arguments, [*arguments, None][1:], strict=True):
        if argument == "--config" and following is not None:
            found = Path(following)
        elif argument.startswith("--config="):
            found = Path(argument.partition("=")[2])
    return found


def read(path: Path, kind: type[T]) -> T:
    """Read the settings from a file; missing ones have the defaults of `kind`.

    Args:
        path: a TOML file with the names of flags as keys: `batch-size = 64`, `image-size = [8, 8]`.
        kind: TrainConfig, or a subclass whose further fields the file may have too.

    Raises:
        UserError: the file cannot be read, is not TOML, or has an unknown key or an invalid value.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise UserError(f"--config {path}: larger than {LARGEST_FILE} bytes, so it is not a settings file")
        values = {key.replace("-", "_"): value for key, value in tomllib.loads(content.decode()).items()}
    except OSError as error:
        raise UserError(f"--config {path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, or nested too deeply
        reason = but(path, TEXT) or f" ({error!s:.200})"
        raise UserError(f"--config {path}: not a TOML file{reason}") from error
    try:
        settings: dict[str, Any] = {group: build(part, _take(values, part)) for group, part in GROUPS.items()}
        known = [field.name for field in fields(kind) if field.name not in (*GROUPS, *_NOT_SETTINGS)]
        _check_known(values, known)
        return replace(build(kind, values), **settings)
    except UserError as error:
        raise UserError(f"--config {path}: {error}") from error


def to_toml(config: TrainConfig, head: str) -> bytes:
    """Write the settings as TOML below `head` as a comment; unset ones are omitted. `read` is the inverse."""
    lines = [f"# {line}" for line in head.splitlines()]
    for name in GROUPS:
        group = getattr(config, name)
        lines += _lines({field.name: getattr(group, field.name) for field in fields(group)})
    lines += _lines(
        {field.name: getattr(config, field.name) for field in fields(config) if field.name not in GROUPS}
    )
    return "\n".join([*lines, ""]).encode(errors="replace")


def _lines(values: Mapping[str, Any]) -> list[str]:
    kept = {name: value for name, value in values.items() if value is not None and name not in _NOT_SETTINGS}
    return [f"{name.replace('_', '-')} = {_literal(value)}" for name, value in kept.items()]


def _literal(value: Any) -> str:
    """Format a value for TOML, whose strings, numbers and lists have JSON's syntax."""
    if isinstance(value, Path):
        value = str(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _take(values: dict[str, Any], part: type) -> dict[str, Any]:
    """Remove and return the values that belong to a group of flags."""
    names = [field.name for field in fields(part) if field.name not in _NOT_SETTINGS]
    return {name: values.pop(name) for name in names if name in values}


def _check_known(values: Mapping[str, Any], known: Sequence[str]) -> None:
    every = [*known, *(field.name for part in GROUPS.values() for field in fields(part))]
    for name, value in values.items():
        if name not in known:
            if isinstance(value, dict):
                raise UserError(
                    f"[{name.replace('_', '-'):.40}]: there are no sections; write the settings without one"
                )
            if name in _NOT_SETTINGS:
                flag = name.replace("_", "-")
                raise UserError(f"{flag} does not belong in the file: type --{flag}")
            meant = nearest(name, [setting.replace("_", "-") for setting in every])
            raise UserError(f"unknown setting {name.replace('_', '-'):.40}{meant}")
