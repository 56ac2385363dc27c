"""`summary`: the layers, their shapes and their parameters."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from numpy_cnn.common.cli.device import DeviceFlag
from numpy_cnn.common.data import IMAGE_SIZES
from numpy_cnn.common.spec.architecture import is_buffer
from numpy_cnn.common.spec.config import ArchitectureConfig

if TYPE_CHECKING:
    from numpy_cnn.common.cli.program import Program


@dataclass(frozen=True)
class Summary(DeviceFlag):
    """Print the layers of a network with shapes and numbers of parameters."""

    network: ArchitectureConfig = field(default_factory=ArchitectureConfig)
    data: Literal["digits", "mnist"] = "digits"
    """The data set: images of digits have 8x8 pixels, those of mnist 28x28."""

    def run(self, program: "Program") -> int:  # noqa: ARG002  # every command has this signature
        """Print the table; return the exit code."""
        from rich import box
        from rich.console import Console
        from rich.table import Table

        architecture = self.network.architecture(IMAGE_SIZES[self.data])
        parameters = {name: s for name, s in architecture.parameter_shapes().items() if not is_buffer(name)}
        table = Table("layer", "output (of one image)", "parameters", box=box.SIMPLE)
        table.columns[2].justify = "right"
        for layer, shape in architecture.stages():
            own = [math.prod(parameters[p]) for p in (f"{layer}.weight", f"{layer}.bias") if p in parameters]
            fixed = layer == "conv1" and architecture.fixed_edges
            count = f"{sum(own):,}{' (fixed)' if fixed else ''}" if own else ""
            table.add_row(layer, " x ".join(map(str, shape)), count)
        table.add_section()
        table.add_row("in all", "", f"{sum(map(math.prod, parameters.values())):,}")
        console = Console()
        with console.capture() as captured:  # rich would end the process itself if `| head` closes the pipe
            console.print(table)
        print(captured.get(), end="")
        return 0
