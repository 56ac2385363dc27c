"""Read weights written by torch.save without executing code from the file."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch

from numpy_cnn.common.spec.backend import Array
from numpy_cnn.common.spec.errors import UserError

WRAPPERS = ("state_dict", "model_state_dict", "model")  # keys under which training scripts store a state_dict


def load(path: Path) -> dict[str, Array]:
    """Return the tensors of a state_dict by name.

    Raises:
        UserError: the file is damaged, or contains anything other than tensors and plain values.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: not loaded, because it contains more than tensors and plain values; "
            "save model.state_dict() instead of the model"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise UserError(f"{path}: a damaged file of torch.save ({' '.join(str(error).split())[:200]})") from error
    for name in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: expected a state_dict, found {type(content).__name__}")
    tensors = {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}
    try:
        return {name: tensor.to(torch.float32).numpy() for name, tensor in tensors.items()}
    except (RuntimeError, TypeError) as error:  # sparse or quantized
        raise UserError(f"{path}: has tensors that are not plain numbers ({str(error)[:200]})") from error
