"""SimpleCNN in NumPy. Compare torch_cnn/model.py: the same layers with the same names."""

from functools import partial

import numpy as np
import numpy.typing as npt

from numpy_cnn import ops
from numpy_cnn.arguments import Array, Pullback
from numpy_cnn.chain import Layer, chain
from numpy_cnn.common.spec.architecture import Architecture, Preset, preset
from numpy_cnn.common.spec.backend import NONE, Masks
from numpy_cnn.common.spec.initial import initial_parameters
from numpy_cnn.networks import DEEPER


class SimpleCNN:
    """A convolutional network: its parameters, its layers, and a call that returns scores and a pullback.

        scores, pullback = model(x)              # x (N, C, H, W), scores (N, classes)
        dx, gradients = pullback(dscores)        # gradients {"conv1.weight": …} in the parameters' shapes

    Args:
        architecture: the name of a preset, or the sizes.
        seed: of the initial parameters.
        parameters: {torch's name: array}, used instead of initial ones. They are not copied.
        dtype: of the initial parameters.

    Raises:
        UserError: the preset is unknown, or the parameters do not have the names and shapes of the architecture.

    Source: Y. LeCun et al., Gradient-based learning applied to document recognition (1998).

    Batch norm uses its running statistics, which are among the parameters. With `training=True` it uses those of
    the batch, and a dict passed as `statistics` receives the new running ones. Dropout then needs `masks`,
    drawn by `architecture.masks`.
    """

    def __init__(
        self,
        architecture: Architecture | Preset = "hidden",
        *,
        seed: int = 0,
        parameters: dict[str, Array] | None = None,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        a = preset(architecture) if isinstance(architecture, str) else architecture
        self.architecture = a
        self.parameters = initial_parameters(a, seed, dtype) if parameters is None else a.check(parameters)
        self.layers = (simple if a.network == "simple" else DEEPER[a.network])(a)

    def __call__(
        self,
        x: Array,
        *,
        training: bool = False,
        statistics: dict[str, Array] | None = None,
        masks: Masks = NONE,
    ) -> tuple[Array, Pullback]:
        return chain(self.layers, self.parameters, x, training=training, statistics=statistics, masks=masks)


def simple(a: Architecture) -> list[Layer]:
    """One convolution, and one or two dense layers."""
    activation = getattr(ops, a.activation)
    dropout: list[Layer] = [("dropout1", partial(ops.dropout, p=a.dropout))] if a.dropout else []
    return [
        ("conv1", partial(ops.conv2d, stride=a.stride, padding=a.padding)),
        *([("bn1", ops.batch_norm)] if a.batch_norm else []),
        (f"{a.activation}1", activation),
        ("pool1", partial(ops.max_pool2d, kernel_size=a.pool)),
        ("flatten", partial(ops.flatten, start_dim=1)),
        *([("fc1", ops.linear), (f"{a.activation}2", activation)] if a.hidden else []),
        *dropout,
        ("fc2" if a.hidden else "fc1", ops.linear),
    ]
