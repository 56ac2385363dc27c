"""`--device`: where a command computes."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class DeviceFlag:
    """The flag that all commands have; `main` selects the device before a command runs."""

    device: Literal["cpu", "cuda", "mps", "auto"] = "cpu"
    """Device of torch_cnn; auto: a GPU if there is one. numpy_cnn always uses the CPU."""
