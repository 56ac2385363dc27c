"""`walkthrough`: one picture of the user's own through the network and back, every number shown."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from numpy_cnn.common.exhibits.walkthrough.kernels import Kernel
from numpy_cnn.common.spec.errors import UserError

if TYPE_CHECKING:
    from numpy_cnn.common.cli.program import Program
    from numpy_cnn.common.exhibits.walkthrough.lesson import Lesson
    from numpy_cnn.common.exhibits.walkthrough.trace import Trace


@dataclass(frozen=True)
class Walkthrough:
    """Follow one picture through convolution, ReLU, pooling, dense layer and softmax, and the loss back to it."""

    image: Annotated[Path, tyro.conf.Positional]
    """Any PNG or JPEG; it is made grey and 28x28."""
    kernel: Kernel = "vertical-edge"
    """What slides over the picture; learned takes a trained network, named by --checkpoint."""
    checkpoint: Path | None = None
    """For --kernel learned: a best.safetensors or last.safetensors of either backend."""
    label: int | None = None
    """The right class; 1 if left out, and what the network itself says for --kernel learned."""
    classes: int | None = None
    """Classes to choose from; 2 if left out, and those of the network for --kernel learned."""
    epochs: int = 5
    """Steps of gradient descent on this one picture; a fixed kernel stays, the dense layer learns."""
    lr: float = 0.1
    """Learning rate of these steps."""
    seed: int = 42
    """Of the dense layer's first weights, where they are not learned ones."""
    out: Path = Path("walkthrough.png")
    """PNG for everything in one picture."""
    html: Path | None = None
    """HTML page to play with: a slider moves the kernel, forward and backward. It needs no network."""
    arrays: Path | None = None
    """NPZ for every number: each stage, each gradient, the losses. Nothing is drawn then, and nothing printed."""
    compare: bool = False
    """Walk with the other backend as well, and print the numbers of both side by side."""

    def run(self, program: "Program") -> int:
        """Print the stages, draw them, and write the page; the exit code."""
        from numpy_cnn.common.exhibits.walkthrough import comparing
        from numpy_cnn.common.exhibits.walkthrough.learning import learn
        from numpy_cnn.common.exhibits.walkthrough.telling import tell

        self._check_folders()
        lesson, traces = learn(program.tracer(), self._lesson(), self.epochs, self.lr)
        if self.arrays is not None:
            comparing.save_arrays(comparing.arrays_of(traces), self.arrays)
            return 0
        theirs = comparing.arrays_by(program.other, self._flags()) if self.compare else None
        self._draw(lesson, traces, program.name)

        print("\n".join(tell(lesson, traces)))
        if theirs is not None:
            names = (program.name, program.other)
            print(f"\n===== {names[0]} and {names[1]} =====")
            print("\n".join(comparing.side_by_side(comparing.arrays_of(traces), theirs, names)))
        if self.label is None and self.kernel == "learned":
            print(f"\nNo --label: the network's own answer, {lesson.label}, is taken for the right one.")
        print(f"\n{self.out}" if self.html is None else f"\n{self.out}\n{self.html}")
        return 0

    def _lesson(self) -> "Lesson":
        from numpy_cnn.common.exhibits.walkthrough import lesson

        if self.kernel == "learned":
            if self.checkpoint is None:
                raise UserError("--kernel learned: name the trained network by --checkpoint CKPT")
            if self.classes is not None:
                raise UserError(f"--classes {self.classes}: a learned network has its own")
            return lesson.learned(self.image, self.checkpoint, self.label)
        if self.checkpoint is not None:
            raise UserError(f"--checkpoint {self.checkpoint}: only --kernel learned reads one, not {self.kernel}")
        label = 1 if self.label is None else self.label
        return lesson.fixed(self.image, self.kernel, label, 2 if self.classes is None else self.classes, self.seed)

    def _check_folders(self) -> None:
        for flag, path in (("--out", self.out), ("--html", self.html), ("--arrays", self.arrays)):
            if path is not None and not path.parent.is_dir():
                raise UserError(f"{flag} {path}: there is no folder {path.parent}")
            if path is not None and path.is_dir():
                raise UserError(f"{flag} {path}: that is a folder, not a file")

    def _draw(self, lesson: "Lesson", traces: "list[Trace]", backend: str) -> None:
        from numpy_cnn.common.exhibits.walkthrough.drawing import draw
        from numpy_cnn.common.exhibits.walkthrough.page import write_page

        draw(lesson, traces, backend, self.image.name, self.out)
        if self.html is not None:
            write_page(lesson, traces, backend, self.image.name, self.html)

    def _flags(self) -> list[str]:
        """What the other program is to be told, so that it walks the same way."""
        given = {"checkpoint": self.checkpoint, "label": self.label, "classes": self.classes}
        always = {"kernel": self.kernel, "epochs": self.epochs, "lr": self.lr, "seed": self.seed}
        flags = {**always, **{name: value for name, value in given.items() if value is not None}}
        return [*(f"--{name}={value}" for name, value in flags.items()), str(self.image)]
