"""The rooms of the README's map: each file belongs to one, and imports only from rooms below its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from programs import ROOT

# From the top down: a room may import from itself and from the rooms after it in its list.
ROOMS = {
    "parity": (
        "parity.__main__",
        "parity.commands",
        "parity",  # __init__.py: the public names
        "parity.plugin",
        "parity.api",
        "parity.exam",
        "parity.running",
        "parity.report",
        "parity.diagnosis",
        "parity.naming",
        "parity.lanes",
        "parity.subjects",
        "parity.rows",
        "parity.bounds",
        "parity.cases",
    ),
    "torch_cnn": (
        "torch_cnn.__main__",
        "torch_cnn",
        "torch_cnn.views",
        "torch_cnn.backend",
        "torch_cnn.distributed",
        "torch_cnn.device",
        "torch_cnn.data",
        "torch_cnn.weights",
        "torch_cnn.torchvision_import",
        "torch_cnn.model",
        "torch_cnn.networks",
    ),
    "numpy_cnn": (
        "numpy_cnn.__main__",
        "numpy_cnn",
        "numpy_cnn.views",
        "numpy_cnn.backend",
        "numpy_cnn.optim",
        "numpy_cnn.clipping",
        "numpy_cnn.model",
        "numpy_cnn.networks",
        "numpy_cnn.chain",
        "numpy_cnn.ops",
        "numpy_cnn.ops.fast",
        "numpy_cnn.arguments",
        "numpy_cnn.common.cli",
        "numpy_cnn.common.exhibits",
        "numpy_cnn.common.training",
        "numpy_cnn.common.photo",
        "numpy_cnn.common.data",
        "numpy_cnn.common.spec",
        "numpy_cnn.common",
    ),
}
PACKAGES = {"parity", "torch_cnn", "numpy_cnn", "numpy_cnn.common"}  # an __init__.py that is listed as a room


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for package in ROOMS for path in sorted((ROOT / package).rglob("*.py"))}


@dataclass(frozen=True)
class Import:
    """A module of the project that a file imports, with the imported name in `from … import name`."""

    module: str
    name: str | None = None


def imports(code: str, modules: Mapping[str, object]) -> Iterator[Import]:
    """All imports of the project's own modules, including those inside functions and for the type checker."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name) for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, f"relative import of {node.module}"
            for alias in node.names:
                if f"{node.module}.{alias.name}" in modules:
                    yield Import(f"{node.module}.{alias.name}")
                elif node.module in modules:
                    yield Import(node.module, alias.name)


def room_of(module: str) -> str:
    """The room that contains the module: the one with the longest matching name."""
    if module in PACKAGES:
        return module
    rooms = [r for r in ROOMS[module.partition(".")[0]] if r not in PACKAGES and f"{module}.".startswith(f"{r}.")]
    assert rooms, f"{module} lies in no room; rooms are listed in {Path(__file__).name}"
    return max(rooms, key=len)


IMPORTS = {module: [*imports(path.read_text(encoding="utf-8"), FILES)] for module, path in FILES.items()}


def test_the_reader_finds_every_kind_of_import() -> None:
    code = """
import a.b
from a import b, name
from a.b import other as o
def f():
    from c import g
    import unknown
"""
    modules = {"a": 0, "a.b": 0, "c": 0}
    found = [*imports(code, modules)]
    assert found == [Import("a.b"), Import("a.b"), Import("a", "name"), Import("a.b", "other"), Import("c", "g")]
    assert sum(map(len, IMPORTS.values())) > 500


def test_every_file_belongs_to_a_room() -> None:
    assert {room_of(module) for module in FILES} == {room for rooms in ROOMS.values() for room in rooms}


@pytest.mark.parametrize("package", ROOMS)
def test_imports_go_downwards(package: str) -> None:
    order = ROOMS[package]
    upwards = [
        f"{module} imports {found.module}"
        for module in FILES
        if module.partition(".")[0] == package
        for found in IMPORTS[module]
        if found.module.partition(".")[0] == package
        and order.index(room_of(found.module)) < order.index(room_of(module))
    ]
    assert upwards == []


def test_no_private_name_leaves_its_room() -> None:
    private = [
        f"{module} imports {found.name} from {found.module}"
        for module in FILES
        for found in IMPORTS[module]
        if found.name is not None
        and found.name.startswith("_")
        and not found.name.startswith("__")
        and room_of(found.module) != room_of(module)
    ]
    assert private == []


def test_no_files_import_each_other() -> None:
    """No cycle of any length: repeatedly remove the files that import none of the remaining ones."""
    left = {module: {found.module for found in IMPORTS[module]} - {module} for module in FILES}
    while ready := [module for module, needed in left.items() if not needed & left.keys()]:
        for module in ready:
            del left[module]
    assert left == {}, "these import each other, or a file that does"


def test_the_root_of_parity_contains_only_rooms() -> None:
    rooms = {room.split(".")[1] for room in ROOMS["parity"] if room.count(".") == 1}
    assert {path.stem for path in (ROOT / "parity").glob("*.py")} == {"__init__", "__main__", "plugin"}
    assert {path.parent.name for path in (ROOT / "parity").glob("*/*.py")} == rooms - {"__main__", "plugin"}
