"""A network as the nodes and edges of the page's graph."""

from collections.abc import Iterator, Sequence
from typing import Any

from numpy_cnn.common.spec import layers as sized
from numpy_cnn.common.spec.architecture import Architecture

Node = dict[str, Any]


def nodes(architecture: Architecture) -> list[Node]:
    """The layers in the order in which they are computed, each with its inputs, sizes and code.

    A node is named as in a `Trace`. The last one is the loss, whose input is the scores.
    """
    shape = (architecture.in_channels, *architecture.image_size)
    result = [_node("input", "input", [], shape)]
    result += _chain(architecture.layers(), "input", shape)
    scores, loss = result[-1]["name"], architecture.loss
    kind = "softmax" if loss == "cross_entropy" else "mse"
    code = f"ops.{loss if kind == 'softmax' else 'mse_loss'}", f"F.{loss if kind == 'softmax' else 'mse_loss'}"
    arguments = "(scores, label)" if kind == "softmax" else "(scores, one_hot(label))"
    return [*result, _node(kind, kind, [scores], (architecture.classes,), code=[c + arguments for c in code])]


def _chain(layers: Sequence[sized.Layer], source: str, shape: sized.Shape, prefix: str = "") -> Iterator[Node]:
    for layer in layers:
        name = f"{prefix}{layer.name}"
        if isinstance(layer, sized.Residual):
            ends = []
            for lane, (branch, inner) in enumerate(layer.branches()):
                of_branch = list(_chain(inner, source, shape, f"{name}.{branch}."))
                yield from (node | {"lane": lane} for node in of_branch)
                ends.append(of_branch[-1]["name"] if of_branch else source)
            shape = layer.output(shape)
            code = ["ops: residual(x) + shortcut(x)", "self.residual(x) + self.shortcut(x)"]
            yield _node(name, "add", ends, shape, code=code)
        else:
            before, shape = shape, layer.output(shape)
            yield _node(name, *_described(layer, source, before, shape))
        source = name


def _described(layer: sized.Layer, source: str, before: sized.Shape, shape: sized.Shape) -> tuple[Any, ...]:
    """Kind, inputs, shape, options and both backends' code of one layer."""
    match layer:
        case sized.Conv2d():
            pads = [layer.padding] * 2 if isinstance(layer.padding, int) else list(layer.padding)
            padding = pads[0] if pads[0] == pads[1] else tuple(pads)
            sizes = f"stride={layer.stride}, padding={padding}"
            options = {"kernel": layer.kernel_size, "stride": layer.stride, "padding": pads}
            arrays = "x, weight, bias" if layer.bias else "x, weight"
            code = [
                f"ops.conv2d({arrays}, {sizes})",
                f"nn.Conv2d({before[0]}, {layer.filters}, kernel_size={layer.kernel_size}, {sizes}"
                f"{'' if layer.bias else ', bias=False'})",
            ]
            return "conv", [source], shape, options, code
        case sized.Pool2d():
            size = f"kernel_size={layer.kernel_size}"
            code = [f"ops.max_pool2d(x, {size})", f"nn.MaxPool2d({size})"]
            return "max_pool", [source], shape, {"kernel": layer.kernel_size, "stride": layer.kernel_size}, code
        case sized.GlobalPool2d():
            code = ["ops.adaptive_avg_pool2d(x, output_size=1)", "nn.AdaptiveAvgPool2d(1)"]
            return "avg_pool", [source], shape, {}, code
        case sized.BatchNorm2d():
            code = ["ops.batch_norm(x, running_mean, running_var, weight, bias)", f"nn.BatchNorm2d({shape[0]})"]
            return "batch_norm", [source], shape, {}, code
        case sized.Flatten():
            return "flatten", [source], shape, {}, ["ops.flatten(x, start_dim=1)", "nn.Flatten()"]
        case sized.Linear():
            code = ["ops.linear(x, weight, bias)", f"nn.Linear({before[0]}, {shape[0]})"]
            return "linear", [source], shape, {}, code
    op = layer.name.rstrip("0123456789")
    return "activation", [source], shape, {"op": op}, [f"ops.{op}(x)", f"F.{op}(x)"]


def _node(
    name: str,
    kind: str,
    inputs: list[str],
    shape: sized.Shape,
    options: dict[str, Any] | None = None,
    code: Sequence[str] = (),
) -> Node:
    own = {"name": name, "kind": kind, "inputs": inputs, "shape": list(shape), "lane": 0, "code": list(code)}
    return own | (options or {})
