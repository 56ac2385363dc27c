"""Load what a flag names: an implementation in a file or a module, or an oracle in torch."""

import ast
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from numpy_cnn.common.spec.errors import UserError
from parity.cases.limits import TIME_LIMIT
from parity.running.sandbox import sandboxed
from parity.subjects import Declined, Implementation, ImplementationError, adapt
from parity.subjects.attribute_errors import Attributed

RENAMED = {"parity.adapters": "parity.subjects"}
FORMS = "FILE.py:NAME, PACKAGE.MODULE:NAME, or FILE.py:FORWARD,BACKWARD"


@dataclass(frozen=True)
class Source:
    """The source of an implementation: a module, the folder it is imported from, and names in it."""

    place: str  # as typed
    module: str  # dotted if it belongs to a package
    file: Path | None  # None if it is found only by Python's import system
    root: Path  # on sys.path while the implementation is in use
    names: tuple[str, ...]

    @property
    def home(self) -> str:
        """The file as typed, or the module."""
        return self.place.rpartition(":")[0]


@dataclass(frozen=True)
class Loaded:
    """An implementation and the user's files it was loaded from."""

    implementation: Implementation
    files: frozenset[Path]


def source_of(place: str) -> Source:
    """Parse FILE.py:NAME or PACKAGE.MODULE:NAME; a pair has two names separated by a comma.

    Raises:
        UserError: the form is wrong, or there is no such file.
    """
    flag = f"--impl {place}"
    home, _, name = place.rpartition(":")
    names = tuple(name.split(","))
    well_formed = home and len(names) <= 2 and all(all(p.isidentifier() for p in n.split(".")) for n in names)
    if not well_formed:
        file = home or name  # FILE.py, or FILE.py: without a name
        own = [*_lines(Path(file), defined=True)] if Path(file).is_file() else []
        such_as = f"{file}:{own[-1]}" if own else "my_layers.py:my_conv2d"
        raise UserError(f"--impl {place!r}: expected {FORMS}, as in {such_as}")
    path = Path(home)
    if path.suffix == ".py" or path.exists() or not all(part.isidentifier() for part in home.split(".")):
        _require_file(flag, home)
        root, module = _package_of(path.resolve())
        return Source(place, module, path, root, names)
    return Source(place, home, None, Path.cwd(), names)


@contextmanager
def loaded(place: str) -> Iterator[Loaded]:
    """The implementation that `place` names, imported afresh and removed from sys.modules at the end.

    Its folder is on sys.path meanwhile, so that its own imports find their neighbours, relative ones in a package.

    Raises:
        UserError: no such file or name, the file raises, or it defines no implementation; the message has the file
            and the line.
    """
    source = source_of(place)
    before, writes = {*sys.modules}, sys.dont_write_bytecode
    sys.path.insert(0, str(source.root))
    sys.dont_write_bytecode = (
        True  # otherwise Python reuses the bytecode of a file saved in the same second with the same size
    )
    importlib.invalidate_caches()
    try:
        module = _import(f"--impl {place}", source)
        parts = [_attribute(f"--impl {place}", module, name, source.home) for name in source.names]
        yield Loaded(_adapted(source, parts), frozenset(_own_files(before, source)))
    finally:
        sys.path.remove(str(source.root))
        sys.dont_write_bytecode = writes
        for name in [name for name in sys.modules.keys() - before if _own_file(name, source) is not None]:
            del sys.modules[name]


def _adapted(source: Source, parts: list[Any]) -> Implementation:
    name = ",".join(source.names)
    if any(part is None for part in parts):
        raise UserError(f"--impl {source.place}: {name} is None in {source.home}, not a layer")
    try:
        return adapt(parts[0] if len(parts) == 1 else tuple(parts))
    except TypeError as error:
        line = None if source.file is None else _lines(source.file).get(source.names[0])
        where = f"{source.home}:{line}" if line else source.home
        raise UserError(f"--impl {source.place}: {where}: {name} is not a layer: {error}") from error


def oracle_from(place: str) -> Callable[..., Any]:
    """Return the function of tensors that `--like` names: torch.nn.functional.gelu, or FILE.py:NAME.

    Raises:
        UserError: there is none of that name, or it cannot be called.
    """
    flag = f"--like {place}"
    home, _, name = place.rpartition(":")
    if home:
        _require_file(flag, home)
        root, dotted = _package_of(Path(home).resolve())
        source = Source(place, dotted, Path(home), root, (name,))
        found = _attribute(flag, _import(flag, source), name, home)
    else:
        home, _, name = place.rpartition(".")
        if home != "torch" and not home.startswith("torch."):
            raise UserError(f"{flag}: expected a torch function, as in torch.nn.functional.gelu, or FILE.py:NAME")
        try:
            found = _attribute(flag, importlib.import_module(home), name, home)
        except ImportError:
            raise UserError(f"{flag}: there is no module {home}") from None
    if not callable(found):
        raise UserError(f"{flag}: {name} is a {type(found).__name__}, not a function")
    return found  # type: ignore[no-any-return]  # a callable found by name


def _require_file(flag: str, file: str) -> None:
    path = Path(file)
    if not path.is_file():
        what = f"{file} is a folder" if path.is_dir() else f"no such file {file}"
        near = [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise UserError(f"{flag}: {what}{_nearest(path.name, near)}")
    if path.suffix != ".py":
        raise UserError(f"{flag}: {file} is not a Python file")


def _package_of(path: Path) -> tuple[Path, str]:
    """The folder to import a file from, and its dotted name: with its packages, as far as __init__.py reaches."""
    parts, folder = [path.stem], path.parent
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts)


def _import(flag: str, source: Source) -> ModuleType:
    """Import or run the module and return it."""
    try:
        with sandboxed(), Attributed("file", TIME_LIMIT):
            if source.file is not None and "." not in source.module:
                return _run_file(source.module, source.file)
            return importlib.import_module(source.module)
    except (ImplementationError, Declined) as blamed:
        error = blamed.__cause__
        if error is None:  # the time limit
            raise UserError(f"{flag}: {blamed}") from None
        raise UserError(f"{flag}: {_where_and_what(source, error)}") from error


def _run_file(name: str, file: Path) -> ModuleType:
    """Run a file outside a package; its name must not shadow a library's module."""
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    if name not in sys.modules:  # dataclasses and pickle look it up there
        sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _where_and_what(source: Source, error: BaseException) -> str:
    """Return the user's line that raised, and the error."""
    own = source.file.resolve() if source.file else None
    if isinstance(error, SyntaxError):
        same = error.filename is not None and own is not None and Path(error.filename).resolve() == own
        text = f": {error.text.strip()}" if error.text else ""
        if error.filename is None:  # it is not text
            return f"{source.home}: {error.msg}"
        return f"{source.home if same else error.filename}:{error.lineno}: {error.msg}{text}"
    missing = error.name if isinstance(error, ModuleNotFoundError) else ""
    if missing and source.file is None and f"{source.module}.".startswith(f"{missing}."):
        return f"there is no module {missing} in {Path.cwd()} or on sys.path; expected {FORMS}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if own is not None and Path(frame.filename).resolve() == own]
    line = f":{lines[-1]}" if lines else ""
    moved = f"; it is {RENAMED[missing]} now" if missing in RENAMED else ""
    return f"{source.home}{line} raised {type(error).__name__}: {str(error) or 'no message'}{moved}"


def _own_files(before: set[str], source: Source) -> Iterator[Path]:
    """Return the files of the user's modules imported in the meantime."""
    if source.file is not None:
        yield source.file.resolve()
    for name in sys.modules.keys() - before:
        if (file := _own_file(name, source)) is not None:
            yield file


def _own_file(name: str, source: Source) -> Path | None:
    """The file of a module below the user's folder; None for libraries, even if installed there."""
    file = getattr(sys.modules[name], "__file__", None)
    if not file or "site-packages" in file:
        return None
    path = Path(file).resolve()
    return path if path.is_relative_to(source.root.resolve()) else None


def _attribute(flag: str, module: ModuleType, name: str, where: str) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            own = [known for known, value in vars(found).items() if callable(value) and not known.startswith("_")]
            raise UserError(f"{flag}: {where} defines no {name}{_nearest(part, own)}")
        found = getattr(found, part)
    return found


def _lines(path: Path, defined: bool = False) -> dict[str, int]:
    """The names assigned at the top level of a file, with the last line of each; only functions and classes if
    `defined`.
    """
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return {}
    found = {}
    for node in tree.body:
        if defined and not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            continue
        for target in getattr(node, "targets", [getattr(node, "target", node)]):
            name = getattr(target, "id", None) or getattr(target, "name", None)
            if isinstance(name, str):
                found[name] = node.lineno
    return found


def _nearest(typed: str, known: list[str]) -> str:
    near = get_close_matches(typed, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""
