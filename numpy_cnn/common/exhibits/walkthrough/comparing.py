"""Comparison with the same walkthrough by the other backend, number by number."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np

from numpy_cnn.common.exhibits.walkthrough.trace import Array, Trace
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.files import replace_file


def arrays_of(traces: Sequence[Trace]) -> dict[str, Array]:
    """The arrays that are compared: all of the first pass, then the loss and probabilities of each epoch."""
    epochs = {
        "losses by epoch": np.array([trace.loss for trace in traces]),
        "probabilities by epoch": np.stack([trace.probabilities[0] for trace in traces]),
    }
    return {**traces[0].arrays(), **epochs}


def save_arrays(arrays: Mapping[str, Array], path: Path) -> None:
    """Write them as .npz, under their names.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        content = BytesIO()  # given a name, savez would append .npz to it
        np.savez(content, **dict(arrays))  # type: ignore[arg-type]  # the stubs mistake names for flags
        replace_file(path, content.getvalue())
    except OSError as error:
        raise UserError(f"--arrays {path}: cannot be written ({error.strerror or error})") from error


def arrays_by(program: str, flags: Sequence[str]) -> dict[str, Array]:
    """Return the arrays of `python -m PROGRAM walkthrough FLAGS`, run in a separate process.

    The thread pools of two libraries in one process would compete for the cores, and the reference must not share
    a process with the code it is compared with.

    Raises:
        UserError: the other program fails; the message is its last line.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "arrays.npz"
        command = [sys.executable, "-m", program, "walkthrough", *flags, "--arrays", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not file.is_file():
            last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
            raise UserError(f"--compare: {last}")
        with np.load(file) as arrays:
            return dict(arrays)


def side_by_side(own: Mapping[str, Array], other: Mapping[str, Array], names: tuple[str, str]) -> Iterator[str]:
    """A table with one line per stage: the position of the largest difference, and both numbers."""
    width = max(map(len, own)) + 2
    yield f"{'':{width}}{'shape':>17}  {'at':<16}{names[0]:>20}{names[1]:>20}  largest difference"
    largest = 0.0
    for name, ours in own.items():
        theirs = other[name]
        apart = np.abs(ours - theirs)
        # If nothing differs, the largest number is the most informative.
        place = np.unravel_index(int((apart if apart.any() else np.abs(ours)).argmax()), ours.shape)
        at = ",".join(map(str, place)) or "-"
        shape = "x".join(map(str, ours.shape)) or "one number"
        difference = "none, bit for bit" if not apart.any() else f"{apart.max():.1e}"
        yield f"{name:{width}}{shape:>17}  {at:<16}{ours[place]:>20.12g}{theirs[place]:>20.12g}  {difference}"
        largest = max(largest, float(apart.max()))
    yield f"The largest difference of all is {largest:.1e}; neighbouring float64 numbers at 1 are 2.2e-16 apart."
