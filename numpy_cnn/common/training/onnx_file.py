"""A network as an ONNX file, which other programs run."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from numpy_cnn.common.data.dataset import PixelScale
from numpy_cnn.common.spec import layers as sized
from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.backend import Array
from numpy_cnn.common.spec.errors import UserError

OPSET, IR = 20, 9  # the first operator set with Gelu, and the file format of its release

# torch's names → ONNX operators; `silu` is written as x · sigmoid(x).
ACTIVATIONS: dict[str, tuple[str, dict[str, float]]] = {
    "relu": ("Relu", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.01}),
    "elu": ("Elu", {"alpha": 1.0}),
    "gelu": ("Gelu", {}),
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
}


def to_onnx(architecture: Architecture, parameters: dict[str, Array], pixel: PixelScale) -> bytes:
    """The content of a file whose graph computes `scores` (N, classes) from `input` (N, C, H, W), both float32.

    Every layer's output has the layer's name, every initializer torch's name of the parameter. The metadata
    contain the `mean` and `std` by which pixels from 0 to 1 are scaled.

    Raises:
        UserError: the package onnx is not installed.

    Source: Open Neural Network Exchange, operator set 20.
    """
    if find_spec("onnx") is None:
        raise UserError("an ONNX file needs the package onnx: pip install 'onnx>=1.17'")
    from onnx import TensorProto, checker, helper, numpy_helper

    graph_nodes: list[Any] = []
    last = _chain(architecture.layers(), "input", "", graph_nodes, parameters)
    graph_nodes.append(helper.make_node("Identity", [last], ["scores"], name="scores"))
    shape: list[str | int | None] = ["N", architecture.in_channels, *architecture.image_size]
    graph = helper.make_graph(
        graph_nodes,
        architecture.network,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", architecture.classes])],
        [numpy_helper.from_array(np.ascontiguousarray(a, np.float32), name) for name, a in parameters.items()],
    )
    model = helper.make_model(
        graph, producer_name="cnn-parity", ir_version=IR, opset_imports=[helper.make_opsetid("", OPSET)]
    )
    helper.set_model_props(model, {"mean": str(pixel.mean), "std": str(pixel.std)})
    checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def _chain(
    layers: Sequence[sized.Layer], source: str, prefix: str, made: list[Any], parameters: dict[str, Array]
) -> str:
    """Append the layers' nodes to `made`; return the name of the last output."""
    from onnx import helper

    def node(op: str, inputs: list[str], name: str, **attributes: Any) -> None:
        made.append(helper.make_node(op, inputs, [name], name=name, **attributes))

    for layer in layers:
        name = f"{prefix}{layer.name}"
        own = [p for p in (f"{name}.weight", f"{name}.bias") if p in parameters]
        match layer:
            case sized.Residual():
                ends = [
                    _chain(inner, source, f"{name}.{branch}.", made, parameters)
                    for branch, inner in layer.branches()
                ]
                node("Add", ends, name)
            case sized.Conv2d():
                top, left = (layer.padding,) * 2 if isinstance(layer.padding, int) else layer.padding
                node("Conv", [source, *own], name, strides=[layer.stride] * 2, pads=[top, left, top, left])
            case sized.BatchNorm2d():
                statistics = [f"{name}.running_mean", f"{name}.running_var"]
                node("BatchNormalization", [source, *own, *statistics], name, epsilon=1e-5)
            case sized.Pool2d():
                node(
                    "MaxPool",
                    [source],
                    name,
                    kernel_shape=[layer.kernel_size] * 2,
                    strides=[layer.kernel_size] * 2,
                )
            case sized.GlobalPool2d():
                node("GlobalAveragePool", [source], name)
            case sized.Dropout():  # the identity outside of training
                continue
            case sized.Flatten():
                node("Flatten", [source], name)
            case sized.Linear():
                node("Gemm", [source, *own], name, transB=1)
            case _:
                kind = layer.name.rstrip("0123456789")
                if kind == "silu":
                    node("Sigmoid", [source], f"{name}.sigmoid")
                    node("Mul", [source, f"{name}.sigmoid"], name)
                else:
                    op, attributes = ACTIVATIONS[kind]
                    node(op, [source], name, **attributes)
        source = name
    return source
