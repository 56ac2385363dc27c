"""The same convolutional network in PyTorch, its gradients by autograd."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch_cnn.model import SimpleCNN

__all__ = ["SimpleCNN"]


# Imported when first asked for: `python -m torch_cnn --help` answers without the second that torch takes.
def __getattr__(name: str) -> Any:
    if name == "SimpleCNN":
        from torch_cnn.model import SimpleCNN

        return SimpleCNN
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
