"""Results as JSON, in a file or on standard output."""

import json
import math
import os
from pathlib import Path
from typing import Any

from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.files import replace_file

STDOUT = Path("-")


def check_writable(path: Path | None) -> None:
    """Check that `--json` can be written, before hours of training.

    Raises:
        UserError: its folder does not exist or is read-only, or the path is a folder itself.
    """
    if path is None or path == STDOUT:
        return
    if path.is_dir():
        raise UserError(f"--json {path}: that is a folder, not a file")
    if not path.parent.is_dir():
        raise UserError(f"--json {path}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UserError(f"--json {path}: no permission to write it")


def write_json(report: dict[str, Any], path: Path) -> None:
    """Write the report to a file, or to standard output for `-`. NaN and infinity become null."""
    text = json.dumps(_finite(report), indent=2, allow_nan=False)
    if path == STDOUT:
        print(text)
    else:
        replace_file(path, f"{text}\n".encode())


def _finite(value: Any) -> Any:
    """The value with None for NaN and infinity, which JSON cannot represent."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
