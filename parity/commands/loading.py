"""An implementation from a file of the user's."""

import importlib.util
import sys
import traceback
from pathlib import Path

from numpy_cnn.common.errors import UserError
from parity.adapters import TIME_LIMIT, Declined, Implementation, ImplementationError, adapt
from parity.adapters.blame import Blamed
from parity.containment import contained


def implementation_from(place: str) -> Implementation:
    """What `FILE.py:NAME` names, or the pair `FILE.py:FORWARD,BACKWARD`, as an op.

    Raises:
        UserError: no such file or name, the file does not run, or it is no implementation; the message carries
            the file and the line.
    """
    file, _, name = place.rpartition(":")
    names = name.split(",")
    if not file or len(names) > 2 or not all(part.isidentifier() for part in names):
        raise UserError(
            f"--impl {place!r}: expected FILE.py:NAME, as in my_layers.py:my_conv2d, or FILE.py:FORWARD,BACKWARD"
        )
    path = Path(file)
    if not path.is_file():
        raise UserError(f"--impl {place}: no such file {file}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UserError(f"--impl {place}: {file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))  # its own imports are its neighbours
    try:
        with contained(), Blamed("file", TIME_LIMIT):
            spec.loader.exec_module(module)
    except (ImplementationError, Declined) as blamed:
        error = blamed.__cause__
        if error is None:  # the time limit
            raise UserError(f"--impl {place}: {blamed}") from None
        if isinstance(error, SyntaxError):
            raise UserError(f"--impl {place}: {error.filename}:{error.lineno}: {error.msg}") from error
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        line = f":{lines[-1]}" if lines else ""
        raise UserError(f"--impl {place}: {file}{line} raised {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    for part in names:
        if not hasattr(module, part):
            raise UserError(f"--impl {place}: {file} defines no {part}")
    parts = [getattr(module, part) for part in names]
    try:
        return adapt(parts[0] if len(parts) == 1 else tuple(parts))
    except TypeError as error:
        raise UserError(f"--impl {place}: {error}") from error
