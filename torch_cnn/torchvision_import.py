"""The only place that imports torchvision, which also works if its compiled operators do not load.

A torchvision built for CUDA with a CPU-only torch, a common combination, fails at import with
``operator torchvision::nms does not exist``: its shared library does not load, and its Python code then
registers implementations for two operators that were never declared. Data sets and transforms use neither.
If the import fails in this way, declaring the two schemas makes it succeed; calling either operator still
raises an error.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import torch.library

from numpy_cnn.common.spec.errors import UserError

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

# torch forgets the schemas when the library that declared them is collected.
_declared: list[torch.library.Library] = []


def torchvision_module(name: str) -> ModuleType:
    """``torchvision.<name>``, such as ``datasets`` or ``transforms.v2``.

    Raises UserError if torchvision is not installed or does not match this torch.
    """
    try:
        return _import_declaring_missing_operators(f"torchvision.{name}")
    except (ImportError, RuntimeError) as error:
        raise UserError(
            f"cannot import torchvision ({error}): pip install torchvision installs the release that matches torch"
        ) from error


def _import_declaring_missing_operators(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if "operator torchvision::" not in str(error) or _declared:
            raise
    untyped: Any = torch.library.Library
    library = untyped("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    _declared.append(library)
    return importlib.import_module(name)
