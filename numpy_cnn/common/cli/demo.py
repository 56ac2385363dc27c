"""`demo`: a page on which one draws a digit and sees what the network makes of it."""

import contextlib
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from numpy_cnn.common.cli.program import Program


@dataclass(frozen=True)
class Demo:
    """Draw a digit in the browser and watch both backends read it: probabilities, feature maps, gradients."""

    checkpoint: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[CKPT]")] = None
    """A best.safetensors or last.safetensors of either backend; without one, a network is trained on the
    embedded digits first, in a few seconds."""
    port: int = 8000
    """Port on 127.0.0.1; 0 for any that is free."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise UserError(f"--port must lie between 0 and 65535, got {self.port}")

    def run(self, program: "Program") -> int:
        """Serve the page until Ctrl-C, which is how it ends well: the exit code is 0 then."""
        for library in ("starlette", "uvicorn"):
            if find_spec(library) is None:
                raise UserError(f"demo needs {library}: pip install 'cnn-parity[demo]'")
        from numpy_cnn.common.exhibits.demo.drawing import check_fits
        from numpy_cnn.common.exhibits.demo.server import application, listen, serve
        from numpy_cnn.common.exhibits.demo.worker import LABELS, Worker, WorkerEnded

        if program.name == "torch_cnn":
            program.backend()  # tells that torch is missing
        with ExitStack() as stack:
            if self.checkpoint is not None:
                check_fits(load_checkpoint(self.checkpoint), self.checkpoint)
            listening = stack.enter_context(listen(self.port))
            packages, note = [program.name, program.other], None
            if find_spec("torch") is None:
                packages.remove("torch_cnn")
                note = "PyTorch is not installed, so only NumPy is shown: pip install 'cnn-parity[torch]'"
                print(note)
            path = stack.enter_context(self._network(program))  # a worker that is replaced loads it again
            checkpoint = load_checkpoint(path)
            workers = [stack.enter_context(Worker(package, path)) for package in packages]
            try:
                for worker in workers:
                    worker.wait()
            except WorkerEnded as ended:
                raise UserError(str(ended)) from ended
            port = listening.getsockname()[1]
            trained = f"trained by {LABELS.get(checkpoint.backend, checkpoint.backend)}"
            name = f"{self.checkpoint or 'a new one'}, {trained} on {checkpoint.config.dataset.data}"
            print(f"draw a digit at http://127.0.0.1:{port}/ (Ctrl-C ends)", flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                serve(application(checkpoint, workers, name, note, port), listening)
        return 0

    @contextlib.contextmanager
    def _network(self, program: "Program") -> Iterator[Path]:
        """The checkpoint named, or one that is trained now and forgotten afterwards."""
        if self.checkpoint is not None:
            yield self.checkpoint
            return
        from numpy_cnn.common.exhibits.demo.training import train_on_digits

        with tempfile.TemporaryDirectory() as folder:
            yield train_on_digits(program.name, program.backend(), Path(folder))
