"""`import`: convert weights from other programs to a checkpoint."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from numpy_cnn.common.cli.device import DeviceFlag
from numpy_cnn.common.data import IMAGE_SIZES, PIXELS
from numpy_cnn.common.data.foreign import describe
from numpy_cnn.common.spec.backend import Array
from numpy_cnn.common.spec.config import ArchitectureConfig, DataConfig, TrainConfig
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.checkpoint import BEST, LAST, Checkpoint, Progress, save_checkpoint
from numpy_cnn.common.training.tensors import check_parameters
from numpy_cnn.common.training.weights import load_npz, load_safetensors, plain_names

if TYPE_CHECKING:
    from numpy_cnn.common.cli.program import Program


@dataclass(frozen=True)
class ImportWeights(DeviceFlag):
    """Convert weights from another program, under torch's names, to a checkpoint."""

    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """*.safetensors (a torch state_dict), *.npz (NumPy arrays), or, with torch_cnn, *.pth or *.pt (torch.save)."""
    checkpoint: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="CKPT")]
    """The checkpoint to write, *.safetensors, for `evaluate`, `predict` and the other commands."""
    network: ArchitectureConfig = field(default_factory=ArchitectureConfig)
    data: Literal["digits", "mnist"] = "mnist"
    """The training data of the network, which determines the size and scaling of its inputs."""

    def run(self, program: "Program") -> int:
        """Write the checkpoint and print its name; return the exit code."""
        if self.checkpoint.suffix != ".safetensors":
            raise UserError(f"{self.checkpoint}: the name of a checkpoint ends in .safetensors")
        if not self.file.is_file():
            raise UserError(
                f"{self.file}: {'a folder; name a file of weights' if self.file.is_dir() else 'no such file'}"
            )
        if self.checkpoint.exists() and (
            self.checkpoint.name in (BEST, LAST) or self.checkpoint.samefile(self.file)
        ):
            raise UserError(f"{self.checkpoint}: would be overwritten; choose another name for the new checkpoint")
        size = IMAGE_SIZES[self.data]
        try:
            parameters = plain_names(self._read(program))
            network = _with_sizes_of(parameters, self.network)
            architecture = network.architecture(size)
            try:
                check_parameters(architecture, parameters)
            except UserError as error:
                raise UserError(f"{error}{self._hint(network, parameters)}") from error
        except UserError as error:
            named = str(error).startswith(f"{self.file}: ")
            raise error if named else UserError(f"{self.file}: {error}") from error
        config = TrainConfig(dataset=DataConfig(data=self.data), network=network)
        parameters = {name: parameters[name] for name in architecture.parameter_shapes()}
        save_checkpoint(
            self.checkpoint,
            Checkpoint(
                backend=program.name,
                architecture=architecture,
                data_size=size,
                pixel=PIXELS[self.data],
                config=config,
                progress=Progress(),
                parameters=parameters,
                optimizer_state={},
            ),
        )
        print(self.checkpoint)
        return 0

    def _hint(self, network: ArchitectureConfig, parameters: Mapping[str, Array]) -> str:
        """Name the data set whose images the parameters fit, if it is another one."""
        for data, size in IMAGE_SIZES.items():
            with contextlib.suppress(UserError):
                check_parameters(network.architecture(size), parameters)
                return f"; they fit the images of {data}: pass --data {data}"
        return ""

    def _read(self, program: "Program") -> Mapping[str, Array]:
        if self.file.suffix == ".safetensors":
            return load_safetensors(self.file)
        if self.file.suffix == ".npz":
            return load_npz(self.file)
        if self.file.suffix in (".pth", ".pt"):
            return program.load_pth(self.file)
        what = describe(self.file)
        raise UserError(
            f"the name must end in .safetensors, .npz, .pth or .pt{f'; this is {what}' if what else ''}"
        )


def _with_sizes_of(parameters: Mapping[str, Array], network: ArchitectureConfig) -> ArchitectureConfig:
    """Infer sizes from the shapes of a SimpleCNN if no flag sets them; other networks have fixed sizes."""
    shapes = {name: array.shape for name, array in parameters.items()}
    if network.arch not in ("simple", "hidden") or {*shapes} & {"conv2.weight", "fc3.weight"}:
        return network
    found: dict[str, int] = {}
    if len(shape := shapes.get("conv1.weight", ())) == 4:
        found |= {"filters": shape[0], "channels": shape[1], "kernel_size": shape[2]}
    dense = [shapes[name] for name in ("fc1.weight", "fc2.weight") if len(shapes.get(name, ())) == 2]
    if dense:
        found |= {"hidden": dense[0][0] if len(dense) == 2 else 0, "classes": dense[-1][0]}
    unset: dict[str, Any] = {name: size for name, size in found.items() if getattr(network, name) is None}
    return replace(network, **unset)
