"""The import law: the oracle and the code that it checks share only the neutral parts."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import ROOT, spawn

FILES = {
    package: sorted((ROOT / package).rglob("*.py")) for package in ("numpy_cnn", "torch_cnn", "parity", "tests")
}
PRODUCT = [*FILES["numpy_cnn"], *FILES["torch_cnn"], *FILES["parity"]]

# Libraries that the commands need and the network does not: only numpy_cnn.common may import them.
FOR_COMMANDS = {
    "filelock",
    "h11",
    "matplotlib",
    "mpi4py",
    "onnx",
    "PIL",
    "rich",
    "safetensors",
    "starlette",
    "tensorboardX",
    "tyro",
    "uvicorn",
}


def imports(tree: ast.AST, package: str) -> Iterator[str]:
    """The full names of all imported modules, also inside functions; relative imports are resolved."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = f"{package}.{node.module or ''}" if node.level else node.module or ""
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func).rpartition(".")[2]
            if called in ("import_module", "__import__"):
                yield str(node.args[0].value)


def imports_of(path: Path) -> set[str]:
    return set(imports(ast.parse(path.read_text(encoding="utf-8")), path.relative_to(ROOT).parts[0]))


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_the_reader_of_imports_finds_every_kind() -> None:
    code = """
import a.b, c as d
from e import f
from . import g
def h():
    import i
    from j.k import l
    importlib.import_module("m.n")
    __import__("o")
"""
    expected = {"a.b", "c", "e.f", "package..g", "i", "j.k.l", "m.n", "o"}
    assert set(imports(ast.parse(code), "package")) == expected
    assert all(len(files) > 3 for files in FILES.values())


@pytest.mark.parametrize("path", FILES["numpy_cnn"], ids=lambda path: str(path.relative_to(ROOT)))
def test_numpy_cnn_imports_neither_torch_nor_parity(path: Path) -> None:
    for name in imports_of(path):
        for other in ("torch", "torchvision", "hypothesis", "pytest", "parity", "torch_cnn"):
            assert not within(name, other), f"{path} imports {name}"
        if "common" not in path.parts:
            assert name.partition(".")[0] in {"numpy", "numpy_cnn", *sys.stdlib_module_names}, name
        elif name.partition(".")[0] not in {"numpy", "numpy_cnn", *sys.stdlib_module_names}:
            assert name.partition(".")[0] in FOR_COMMANDS, name


@pytest.mark.parametrize("path", FILES["torch_cnn"], ids=lambda path: str(path.relative_to(ROOT)))
def test_torch_cnn_imports_only_the_neutral_part_of_numpy_cnn(path: Path) -> None:
    for name in imports_of(path):
        assert not within(name, "parity")
        assert not within(name, "hypothesis")
        if within(name, "numpy_cnn"):
            assert within(name, "numpy_cnn.common"), f"{path} imports {name}"


def test_the_neutral_part_imports_no_backend() -> None:
    for path in FILES["numpy_cnn"]:
        if "common" in path.parts:
            for name in imports_of(path):
                assert not within(name, "numpy_cnn") or within(name, "numpy_cnn.common"), f"{path} imports {name}"


def test_nothing_imports_the_tests() -> None:
    modules = {path.stem for path in FILES["tests"]} | {"tests"}
    for path in PRODUCT:
        found = {name for name in imports_of(path) if name.partition(".")[0] in modules}
        assert not found, f"{path} imports {found}"


ONE_STEP = """
import sys

class Only:
    def find_spec(self, name, path=None, target=None):
        first = name.partition(".")[0]
        if first not in {"numpy", "numpy_cnn", *sys.stdlib_module_names}:
            raise ImportError(f"{name} is not for the path that trains")

sys.meta_path.insert(0, Only())
try:
    import rich
except ImportError:
    pass
else:
    sys.exit("nothing is blocked")

import numpy as np
from numpy_cnn import SimpleCNN, ops
from numpy_cnn.backend import Backend
from numpy_cnn.common.spec.architecture import PRESETS
from numpy_cnn.common.spec.config import OptimizerConfig
from numpy_cnn.common.spec.initial import initial_parameters

for name, architecture in PRESETS.items():
    for kind in ("adam", "sgd"):
        backend = Backend(architecture, initial_parameters(architecture, 0), OptimizerConfig(optimizer=kind))
        images = np.ones((2, 1, *architecture.image_size), np.float32)
        loss, scores = backend.train_step(images, np.array([0, 1]), 0.1)
        assert np.isfinite(loss) and scores.shape == (2, architecture.classes)
        assert not np.array_equal(backend.logits(images), scores), "nothing was learnt"
print("trained")
"""


def test_training_in_numpy_cnn_needs_only_numpy_and_the_standard_library(tmp_path: Path) -> None:
    result = spawn("-c", ONE_STEP, cwd=tmp_path)
    assert (result.code, result.out) == (0, "trained\n"), result.err


def test_the_oracle_does_not_load_the_code_that_it_checks(tmp_path: Path) -> None:
    modules = ", ".join(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES["torch_cnn"])
    assert "torch_cnn.backend" in modules
    reported = (
        f"import sys, {modules}; print(sorted(name for name in sys.modules if name.startswith('numpy_cnn')))"
    )
    loaded = ast.literal_eval(spawn("-c", reported, cwd=tmp_path).out)
    assert [name for name in loaded if name != "numpy_cnn" and not within(name, "numpy_cnn.common")] == []


@pytest.mark.parametrize("package", ["numpy_cnn", "torch_cnn"])
def test_a_package_loads_what_it_needs_on_demand(tmp_path: Path, package: str) -> None:
    reported = (
        f"import sys, {package}; print('torch' in sys.modules, 'numpy' in sys.modules);"
        f"print({package}.SimpleCNN.__module__)"
    )
    result = spawn("-c", reported, cwd=tmp_path)
    assert result.out == f"False False\n{package}.model\n", result.err
