"""Parameters joined to long vectors: an optimizer passes over a few long arrays instead of many short ones."""

from itertools import accumulate, pairwise

import numpy as np

from numpy_cnn.arguments import Array
from numpy_cnn.ops.fast.matmul import aligned
from numpy_cnn.optim.base import State


class Group:
    """Parameters with the same dtype and step count: their state, joined to one vector of each kind.

    The arrays in `state` become views of these vectors.

    Args:
        names: of the parameters.
        state: the optimizer's.
    """

    def __init__(self, names: list[str], state: State) -> None:
        self.names = names
        self.vectors: dict[str, Array] = {}
        for key in state[names[0]]:
            arrays = [state[name][key] for name in names]
            self.vectors[key] = _joined(arrays)
            for name, part in zip(names, _parts(self.vectors[key], arrays), strict=True):
                state[name][key] = part
        self.scratch = aligned(self.vectors["exp_avg"].size, self.vectors["exp_avg"].dtype)
        self.parts = _parts(self.scratch, [state[name]["exp_avg"] for name in names])


def _joined(arrays: list[Array]) -> Array:
    """All numbers of these arrays, one after another."""
    vector = aligned(sum(array.size for array in arrays), arrays[0].dtype)
    return np.concatenate([array.reshape(-1) for array in arrays], out=vector)


def _parts(vector: Array, like: list[Array]) -> list[Array]:
    """Pieces of the vector, one after another, in the shapes of these arrays."""
    ends = [*accumulate((array.size for array in like), initial=0)]
    return [vector[a:b].reshape(array.shape) for (a, b), array in zip(pairwise(ends), like, strict=True)]
