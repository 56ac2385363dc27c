"""An implementation from a file of the user's."""

import importlib.util
import sys
import traceback
from pathlib import Path

from numpy_cnn.common.errors import UserError
from parity.adapters import adapt
from parity.oracle import Op


def implementation_from(place: str) -> Op:
    """What `FILE.py:NAME` names, as an op.

    Raises:
        UserError: no such file or name, the file does not run, or it is no implementation; the message carries
            the file and the line.
    """
    file, _, name = place.rpartition(":")
    if not file or not name.isidentifier():
        raise UserError(f"--impl {place!r}: expected FILE.py:NAME, as in my_layers.py:my_conv2d")
    path = Path(file)
    if not path.is_file():
        raise UserError(f"--impl {place}: no such file {file}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UserError(f"--impl {place}: {file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))  # its own imports are its neighbours
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise UserError(f"--impl {place}: {error.filename}:{error.lineno}: {error.msg}") from error
    except (Exception, SystemExit) as error:  # whatever the user's file raises is the user's to know
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        line = f":{lines[-1]}" if lines else ""
        raise UserError(f"--impl {place}: {file}{line} raised {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    if not hasattr(module, name):
        raise UserError(f"--impl {place}: {file} defines no {name}")
    try:
        return adapt(getattr(module, name))
    except TypeError as error:
        raise UserError(f"--impl {place}: {error}") from error
