"""A convolutional network written by hand in NumPy, every gradient explicit."""

from typing import TYPE_CHECKING, Any

from numpy_cnn.common.spec.version import __version__

if TYPE_CHECKING:
    from numpy_cnn import ops
    from numpy_cnn.model import SimpleCNN

__all__ = ["SimpleCNN", "__version__", "ops"]


# Imported on first use: torch_cnn uses numpy_cnn.common, and must not load the ops that it is compared with.
def __getattr__(name: str) -> Any:
    if name == "SimpleCNN":
        from numpy_cnn.model import SimpleCNN

        return SimpleCNN
    if name == "ops":
        import importlib

        return importlib.import_module("numpy_cnn.ops")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
