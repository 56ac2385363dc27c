"""How a script imports and calls a user's implementation."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parity.cases.op import Op
from parity.diagnosis.literals import keywords


@dataclass(frozen=True)
class ImportableCallable:
    """Names that a script can import, and the objects behind them."""

    imports: tuple[str, ...]
    names: tuple[str, ...]
    parts: tuple[Any, ...]

    @property
    def scope(self) -> dict[str, Any]:
        """The names, for running the script's lines here."""
        return dict(zip(self.names, self.parts, strict=True))


@dataclass(frozen=True)
class CallForm:
    """One way to call it: the lines that set y, and the expression for the gradients."""

    forward: tuple[str, ...]
    backward: str
    alone: bool = False  # a single gradient may be returned without a tuple

    def gradients(self, place: int) -> list[str]:
        """Expressions for the gradient of the array at that position."""
        return [f"{self.backward}[{place}]", *([self.backward] if self.alone and place == 0 else [])]


def importable(op: Op, used: frozenset[str]) -> ImportableCallable | None:
    """Return what the script imports; None if it is not at the top level of a file.

    Args:
        op: the implementation, adapted or not.
        used: names that the script uses itself; one of these is imported under another.
    """
    written = getattr(op, "written", None) or op
    parts = tuple(written) if isinstance(written, (tuple, list)) else (written,)
    found = [_source(part) for part in parts]
    sources = [source for source in found if source is not None]
    if len(sources) < len(found):
        return None
    file = sources[0][0]
    names = tuple(f"my_{name}" if name in used else name for _, name in sources)
    imported = [name if name == own else f"{own} as {name}" for name, (_, own) in zip(names, sources, strict=True)]
    imports = (f"sys.path.insert(0, {str(file.parent)!r})", f"from {file.stem} import {', '.join(imported)}")
    return ImportableCallable(imports, names, parts)


def call_forms(written: ImportableCallable, arrays: list[str], options: dict[str, Any]) -> list[CallForm]:
    """The ways to call an op, a pair or a class with the named arrays and the supported options."""
    name, *rest = written.names
    given = f"{', '.join(arrays)}{keywords(taken(written.parts[0], options))}"
    if rest:
        return [CallForm((f"y, cache = {name}({given})",), f"{rest[0]}(dy, cache)", alone=True)]
    first, _, others = given.partition(", ")
    layer = CallForm(
        (f"layer = {name}({others})", f"y = layer.forward({first})"), "layer.backward(dy)", alone=True
    )
    return (
        [layer]
        if inspect.isclass(written.parts[0])
        else [CallForm((f"y, pullback = {name}({given})",), "pullback(dy)")]
    )


def taken(function: Any, options: dict[str, Any]) -> dict[str, Any]:
    """The options that the implementation has."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return options
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return options
    return {name: value for name, value in options.items() if name in parameters}


def _source(implementation: Any) -> tuple[Path, str] | None:
    """The file and the name under which a script can import it."""
    name = getattr(implementation, "__qualname__", "")
    # A class from a file that was run by its path has no file attribute, but its methods do.
    members = vars(implementation).values() if inspect.isclass(implementation) else ()
    methods = [member for member in members if inspect.isfunction(member)]
    try:
        file = inspect.getsourcefile(methods[0] if methods else implementation)
    except (TypeError, OSError):
        return None
    if file is None or not name.isidentifier() or not Path(file).stem.isidentifier():
        return None
    package = getattr(implementation, "__module__", "") or ""
    path = Path(file).resolve()
    for _ in range(package.count(".")):  # a module of a package is imported from the folder of the package
        path = path.parent
    if "." in package:
        return path.parent / f"{package}.py", name
    return path, name
