"""`export`: the parameters of a checkpoint, or its whole network, for other programs."""

from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

from numpy_cnn.common.cli.device import DeviceFlag
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.files import replace_file
from numpy_cnn.common.training.checkpoint import BEST, LAST, Progress, load_checkpoint, to_bytes
from numpy_cnn.common.training.onnx_file import to_onnx

if TYPE_CHECKING:
    from numpy_cnn.common.cli.program import Program


@dataclass(frozen=True)
class Export(DeviceFlag):
    """Write a checkpoint's parameters under torch's names, or its network as ONNX."""

    checkpoint: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="CKPT")]
    """A checkpoint of either backend, or the folder of a run."""
    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """*.safetensors: a torch state_dict, which `evaluate` and `predict` also read. *.npz: NumPy arrays.
    *.onnx: the whole network, for other programs to run; needs the package onnx."""

    def run(self, program: "Program") -> int:  # noqa: ARG002  # every command has this signature
        """Write the file and print its name; return the exit code."""
        if self.file.name in (BEST, LAST) and self.file.exists():
            raise UserError(
                f"{self.file}: belongs to a run, which could not be resumed without it; choose another name"
            )
        checkpoint = load_checkpoint(self.checkpoint)
        if self.file.suffix == ".safetensors":
            content = to_bytes(replace(checkpoint, optimizer_state={}, progress=Progress(), history=None))
        elif self.file.suffix == ".npz":
            buffer = BytesIO()
            # NumPy 2.0 has no allow_pickle here; nothing is pickled anyway, since all arrays are of floats.
            np.savez(buffer, **checkpoint.parameters)  # type: ignore[arg-type]  # its stubs take the names for flags
            content = buffer.getvalue()
        elif self.file.suffix == ".onnx":
            content = to_onnx(checkpoint.architecture, checkpoint.parameters, checkpoint.pixel)
        else:
            raise UserError(f"{self.file}: the name must end in .safetensors, .npz or .onnx")
        replace_file(self.file, content)
        print(self.file)
        return 0
