"""What a flag names: an implementation in a file of the user's, an oracle in torch."""

import ast
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from numpy_cnn.common.spec.errors import UserError
from parity.running.sandbox import sandboxed
from parity.subjects import TIME_LIMIT, Declined, Implementation, ImplementationError, adapt
from parity.subjects.attribute_errors import Blamed


def implementation_from(place: str) -> Implementation:
    """What `FILE.py:NAME` names, or the pair `FILE.py:FORWARD,BACKWARD`, as an op.

    Raises:
        UserError: no such file or name, the file does not run, or it is no implementation; the message carries
            the file and the line.
    """
    file, _, name = place.rpartition(":")
    names = name.split(",")
    if not file or len(names) > 2 or not all(part.isidentifier() for part in names):
        own = [*_lines(Path(name))] if Path(name).is_file() else []
        such_as = f"{name}:{own[-1]}" if own else "my_layers.py:my_conv2d"
        raise UserError(f"--impl {place!r}: expected FILE.py:NAME, as in {such_as}, or FILE.py:FORWARD,BACKWARD")
    module = _module(f"--impl {place}", file)
    parts = [_attribute(f"--impl {place}", module, part, file) for part in names]
    try:
        return adapt(parts[0] if len(parts) == 1 else tuple(parts))
    except TypeError as error:
        line = _lines(Path(file)).get(names[0])
        where = f"{file}:{line}" if line else file
        raise UserError(f"--impl {place}: {where}: {name} is no layer: {error}") from error


def oracle_from(place: str) -> Callable[..., Any]:
    """The function of tensors that `--like` names: torch.nn.functional.gelu, or FILE.py:NAME.

    Raises:
        UserError: there is none of that name, or it is no function.
    """
    flag = f"--like {place}"
    file, _, name = place.rpartition(":")
    if file:
        found = _attribute(flag, _module(flag, file), name, file)
    else:
        home, _, name = place.rpartition(".")
        if home != "torch" and not home.startswith("torch."):
            raise UserError(
                f"{flag}: expected a function of torch's, as in torch.nn.functional.gelu, or FILE.py:NAME"
            )
        try:
            found = _attribute(flag, importlib.import_module(home), name, home)
        except ImportError:
            raise UserError(f"{flag}: there is no {home}") from None
    if not callable(found):
        raise UserError(f"{flag}: {name} is a {type(found).__name__}, and no function")
    return found  # type: ignore[no-any-return]


def _module(flag: str, file: str) -> ModuleType:
    """The file, run."""
    path = Path(file)
    if not path.is_file():
        what = f"{file} is a folder" if path.is_dir() else f"no such file {file}"
        near = [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise UserError(f"{flag}: {what}{_nearest(path.name, near)}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{flag}: {file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))  # its own imports are its neighbours
    try:
        with sandboxed(), Blamed("file", TIME_LIMIT):
            spec.loader.exec_module(module)
    except (ImplementationError, Declined) as blamed:
        error = blamed.__cause__
        if error is None:  # the time limit
            raise UserError(f"{flag}: {blamed}") from None
        own = path.resolve()
        if isinstance(error, SyntaxError):
            where = file if error.filename and Path(error.filename).resolve() == own else error.filename
            text = f": {error.text.strip()}" if error.text else ""
            raise UserError(f"{flag}: {where}:{error.lineno}: {error.msg}{text}") from error
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == own]
        line = f":{lines[-1]}" if lines else ""
        told = str(error) or "no message"
        raise UserError(f"{flag}: {file}{line} raised {type(error).__name__}: {told}") from error
    finally:
        sys.path.pop(0)
    return module


def _attribute(flag: str, module: ModuleType, name: str, where: str) -> Any:
    if hasattr(module, name):
        return getattr(module, name)
    own = [known for known, value in vars(module).items() if callable(value) and not known.startswith("_")]
    raise UserError(f"{flag}: {where} defines no {name}{_nearest(name, own)}")


def _lines(path: Path) -> dict[str, int]:
    """The names that a file gives a value to at its top level, and the line where each is given its last."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return {}
    found = {}
    for node in tree.body:
        for target in getattr(node, "targets", [getattr(node, "target", node)]):
            name = getattr(target, "id", None) or getattr(target, "name", None)
            if isinstance(name, str):
                found[name] = node.lineno
    return found


def _nearest(typed: str, known: list[str]) -> str:
    near = get_close_matches(typed, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""
