"""`walkthrough`: one picture of your own through the network and back, with every number."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from numpy_cnn.common.cli.device import DeviceFlag
from numpy_cnn.common.data.pretrained import PRETRAINED
from numpy_cnn.common.exhibits.walkthrough.kernels import Kernel
from numpy_cnn.common.spec.errors import UserError

if TYPE_CHECKING:
    from numpy_cnn.common.cli.program import Program
    from numpy_cnn.common.exhibits.walkthrough.lesson import Lesson
    from numpy_cnn.common.exhibits.walkthrough.trace import Array, Trace


@dataclass(frozen=True)
class Walkthrough(DeviceFlag):
    """Follow one picture through every layer of a network, and the loss back to it."""

    image: Annotated[Path, tyro.conf.Positional]
    """A picture; it is converted to grey and 28x28."""
    kernel: Kernel = "vertical-edge"
    """Kernel of the convolution; learned: the filters of a trained network, which classifies the digit."""
    checkpoint: Path | None = None
    """For --kernel learned: a checkpoint of either backend. Default: the network included in the package."""
    label: int | None = None
    """The right class. Default: 1; for --kernel learned, the network's own answer."""
    classes: int | None = None
    """Number of classes. Default: 2; for --kernel learned, those of the network."""
    epochs: int = 5
    """Steps of gradient descent on this one picture; a fixed kernel does not change, the dense layer learns."""
    lr: float = 0.1
    """Learning rate of these steps."""
    seed: int = 42
    """Seed of the dense layer's initial weights, unless they are learned."""
    out: Path = Path("walkthrough.png")
    """PNG to write: every stage and its gradient in one picture."""
    html: Path | None = None
    """HTML page to write: every layer and every number explained, forward and backward. It works offline."""
    arrays: Path | None = None
    """NPZ to write every number to: each stage, each gradient, the losses. Nothing is then drawn or printed."""
    compare: bool = False
    """Run the other backend as well, and print the numbers of both side by side."""

    def run(self, program: "Program") -> int:
        """Print the stages, draw them, and write the page; return the exit code."""
        from numpy_cnn.common.exhibits.walkthrough import comparing
        from numpy_cnn.common.exhibits.walkthrough.learning import learn
        from numpy_cnn.common.exhibits.walkthrough.printing import lines_of, stages_of

        self._check_folders()
        lesson, traces = learn(program.tracer(), self._lesson(), self.epochs, self.lr)
        if self.arrays is not None:
            comparing.save_arrays(comparing.arrays_of(traces), self.arrays)
            return 0
        theirs = comparing.arrays_by(program.other, self._flags()) if self.compare else None
        files = self._draw(lesson, traces, program.name, theirs)

        print("\n".join((lines_of if lesson.simple else stages_of)(lesson, traces)))
        if theirs is not None:
            names = (program.name, program.other)
            print(f"\n===== {names[0]} and {names[1]} =====")
            print("\n".join(comparing.side_by_side(comparing.arrays_of(traces), theirs, names)))
        if self.label is None and self.kernel == "learned":
            print(f"\nNo --label: the network's prediction, {lesson.label}, is used as the label.")
        print("", *files, sep="\n")
        return 0

    def _lesson(self) -> "Lesson":
        from numpy_cnn.common.exhibits.walkthrough import lesson

        if self.kernel == "learned":
            if self.classes is not None:
                raise UserError(f"--classes {self.classes}: a learned network has its own")
            path = self.checkpoint or PRETRAINED
            return lesson.learned(self.image, path, self.label)
        if self.checkpoint is not None:
            raise UserError(f"--checkpoint {self.checkpoint}: only --kernel learned reads one, not {self.kernel}")
        label = 1 if self.label is None else self.label
        return lesson.fixed(self.image, self.kernel, label, 2 if self.classes is None else self.classes, self.seed)

    def _check_folders(self) -> None:
        for flag, path in (("--out", self.out), ("--html", self.html), ("--arrays", self.arrays)):
            if path is not None and not path.parent.is_dir():
                raise UserError(f"{flag} {path}: no folder {path.parent}")
            if path is not None and path.is_dir():
                raise UserError(f"{flag} {path}: this is a folder, not a file")

    def _draw(
        self, lesson: "Lesson", traces: "list[Trace]", backend: str, other: "dict[str, Array] | None"
    ) -> list[Path]:
        """Write the picture and the page; return their paths."""
        from numpy_cnn.common.exhibits.walkthrough.drawing import draw
        from numpy_cnn.common.exhibits.walkthrough.saved import page, write_page

        draw(lesson, traces, backend, self.image.name, self.out)
        files = [self.out]
        if self.html is not None:
            write_page(self.html, page(lesson, traces, backend, self.image.name, self.lr, other))
            files.append(self.html)
        return files

    def _flags(self) -> list[str]:
        """The flags that make the other program do the same."""
        given = {"checkpoint": self.checkpoint, "label": self.label, "classes": self.classes}
        always = {"kernel": self.kernel, "epochs": self.epochs, "lr": self.lr, "seed": self.seed}
        flags = {**always, **{name: value for name, value in given.items() if value is not None}}
        return [*(f"--{name}={value}" for name, value in flags.items()), str(self.image)]
