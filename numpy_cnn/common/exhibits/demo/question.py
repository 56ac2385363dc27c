"""A request of the page about a picture."""

from dataclasses import dataclass

import numpy as np

from numpy_cnn.common.spec.backend import Array

MOST_STEPS = 50  # training steps


@dataclass(frozen=True)
class Question:
    """A picture, its right class, and how often to train on it before the pass that is shown.

    Args:
        image: (1, C, H, W), the network's input.
        label: the right class; None for the one with the highest score.
        steps: of gradient descent on this picture.
        lr: their size.
        seed: of random initial parameters; None for those of the checkpoint.
    """

    image: Array
    label: int | None = None
    steps: int = 0
    lr: float = 0.1
    seed: int | None = None

    def arrays(self) -> dict[str, Array]:
        """For a pipe; -1 stands for None."""
        numbers = [-1 if number is None else number for number in (self.label, self.steps, self.seed)]
        return {"image": self.image, "numbers": np.array(numbers), "lr": np.array([self.lr])}

    @classmethod
    def of(cls, arrays: dict[str, Array]) -> "Question":
        """The inverse of `arrays`."""
        label, steps, seed = (None if number < 0 else int(number) for number in arrays["numbers"])
        return cls(arrays["image"], label, steps or 0, float(arrays["lr"][0]), seed)
