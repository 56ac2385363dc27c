"""`demo`: a page for drawing a digit, which shows what the network computes from it."""

import contextlib
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from numpy_cnn.common.cli.device import DeviceFlag
from numpy_cnn.common.data.pretrained import PRETRAINED
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from numpy_cnn.common.cli.program import Program


@dataclass(frozen=True)
class Demo(DeviceFlag):
    """Draw a digit in the browser and inspect every number inside the network."""

    checkpoint: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[CKPT]")] = None
    """A checkpoint of either backend (*.safetensors, or the folder of a run).
    Default: the network included in the package, trained on MNIST."""
    port: int = 8000
    """Port on 127.0.0.1; 0 for any free one."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise UserError(f"--port must be between 0 and 65535, got {self.port}")

    def run(self, program: "Program") -> int:
        """Serve the page until Ctrl-C, which is the normal way to stop it: the exit code is 0."""
        for library in ("starlette", "uvicorn"):
            if find_spec(library) is None:
                raise UserError(f"demo needs {library}: pip install starlette uvicorn")
        from numpy_cnn.common.exhibits.demo.drawing import check_fits
        from numpy_cnn.common.exhibits.demo.server import application, listen, serve
        from numpy_cnn.common.exhibits.demo.worker import Worker, WorkerEnded
        from numpy_cnn.common.exhibits.page.setup import LABELS

        if program.name == "torch_cnn":
            program.backend()  # reports that torch is missing
        with ExitStack() as stack:
            path = self.checkpoint or PRETRAINED
            checkpoint = load_checkpoint(path)
            check_fits(checkpoint, path)
            listening = stack.enter_context(listen(self.port))
            packages, note = [program.name, program.other], None
            if find_spec("torch") is None:
                packages.remove("torch_cnn")
                note = "PyTorch is not installed, so only NumPy is shown"
                print(note)
            workers = [stack.enter_context(Worker(package, path, self.device)) for package in packages]
            try:
                for worker in workers:
                    worker.wait()
            except WorkerEnded as ended:
                raise UserError(str(ended)) from ended
            port = listening.getsockname()[1]
            trained = f"trained by {LABELS.get(checkpoint.backend, checkpoint.backend)}"
            shown = self.checkpoint or "the network included in the package"
            name = f"{shown}, {trained} on {checkpoint.config.dataset.data}"
            app = application(checkpoint, workers, name, note, port)
            with contextlib.suppress(KeyboardInterrupt):
                print(f"draw a digit at http://127.0.0.1:{port}/ (Ctrl-C to stop)", flush=True)
                serve(app, listening)
        return 0
