"""The data of the page's script other than arrays."""

from collections.abc import Mapping
from typing import Any

from numpy_cnn.common.exhibits.page.graph import nodes
from numpy_cnn.common.spec.architecture import Architecture, is_buffer
from numpy_cnn.common.spec.backend import Array

LABELS = {"numpy_cnn": "NumPy", "torch_cnn": "PyTorch"}


def describe(architecture: Architecture, parameters: Mapping[str, Array], **more: Any) -> dict[str, Any]:
    """The network, and `more`: title, name, note, live, backends, label, lr."""
    return {
        "nodes": nodes(architecture),
        "classes": architecture.classes,
        "trained": architecture.trained,
        "parameters": sum(array.size for name, array in parameters.items() if not is_buffer(name)),
        **more,
    }
