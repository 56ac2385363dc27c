"""The same convolutional network in PyTorch, its gradients by autograd."""

from typing import TYPE_CHECKING, Any

from numpy_cnn.common.spec.version import __version__

if TYPE_CHECKING:
    from torch_cnn.model import SimpleCNN

__all__ = ["SimpleCNN", "__version__"]


# Imported on first use, so that `python -m torch_cnn --help` does not load torch.
def __getattr__(name: str) -> Any:
    if name == "SimpleCNN":
        from torch_cnn.model import SimpleCNN

        return SimpleCNN
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
