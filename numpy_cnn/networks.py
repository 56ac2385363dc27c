"""Deeper networks in NumPy. Compare torch_cnn/networks.py: the same layers with the same names."""

from collections.abc import Callable, Mapping
from functools import partial

from numpy_cnn import ops
from numpy_cnn.chain import Layer, Residual
from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.networks import lenet_padding


def lenet5(a: Architecture) -> list[Layer]:
    """LeNet-5: two convolutions and three dense layers.

    Args:
        a: the image size, channels and classes; the rest is fixed.

    Returns:
        The layers, for `chain`.

    Source: Y. LeCun et al., Gradient-based learning applied to document recognition (1998), with ReLU and max
    pooling.
    """
    return [
        ("conv1", partial(ops.conv2d, padding=lenet_padding(a.image_size))),
        ("relu1", ops.relu),
        ("pool1", partial(ops.max_pool2d, kernel_size=2)),
        ("conv2", ops.conv2d),
        ("relu2", ops.relu),
        ("pool2", partial(ops.max_pool2d, kernel_size=2)),
        ("flatten", partial(ops.flatten, start_dim=1)),
        ("fc1", ops.linear),
        ("relu3", ops.relu),
        ("fc2", ops.linear),
        ("relu4", ops.relu),
        ("fc3", ops.linear),
    ]


def vgg(a: Architecture) -> list[Layer]:  # noqa: ARG001  # one signature for all
    """A small VGG: 3x3 convolutions in pairs, each with batch norm.

    Args:
        a: unused here; `numpy_cnn.common.spec.networks` has the sizes.

    Returns:
        The layers, for `chain`.

    Source: K. Simonyan and A. Zisserman, Very deep convolutional networks for large-scale image
    recognition (2015).
    """
    return [
        ("conv1", partial(ops.conv2d, padding=1)),
        ("bn1", ops.batch_norm),
        ("relu1", ops.relu),
        ("conv2", partial(ops.conv2d, padding=1)),
        ("bn2", ops.batch_norm),
        ("relu2", ops.relu),
        ("pool1", partial(ops.max_pool2d, kernel_size=2)),
        ("conv3", partial(ops.conv2d, padding=1)),
        ("bn3", ops.batch_norm),
        ("relu3", ops.relu),
        ("conv4", partial(ops.conv2d, padding=1)),
        ("bn4", ops.batch_norm),
        ("relu4", ops.relu),
        ("pool2", partial(ops.max_pool2d, kernel_size=2)),
        ("flatten", partial(ops.flatten, start_dim=1)),
        ("fc1", ops.linear),
        ("relu5", ops.relu),
        ("fc2", ops.linear),
    ]


def resnet(a: Architecture) -> list[Layer]:  # noqa: ARG001  # one signature for all
    """A small residual network: three blocks, of which the last two halve height and width.

    Args:
        a: unused here; `numpy_cnn.common.spec.networks` has the sizes.

    Returns:
        The layers, for `chain`.

    Source: K. He, X. Zhang, S. Ren and J. Sun, Deep residual learning for image recognition (2016).
    """
    return [
        ("conv1", partial(ops.conv2d, padding=1)),
        ("bn1", ops.batch_norm),
        ("relu1", ops.relu),
        ("block1", Residual(_two_convolutions(stride=1))),
        ("relu2", ops.relu),
        ("block2", Residual(_two_convolutions(stride=2), shortcut=_one_convolution(stride=2))),
        ("relu3", ops.relu),
        ("block3", Residual(_two_convolutions(stride=2), shortcut=_one_convolution(stride=2))),
        ("relu4", ops.relu),
        ("pool1", partial(ops.adaptive_avg_pool2d, output_size=1)),
        ("flatten", partial(ops.flatten, start_dim=1)),
        ("fc1", ops.linear),
    ]


def _two_convolutions(stride: int) -> list[Layer]:
    return [
        ("conv1", partial(ops.conv2d, stride=stride, padding=1)),
        ("bn1", ops.batch_norm),
        ("relu1", ops.relu),
        ("conv2", partial(ops.conv2d, padding=1)),
        ("bn2", ops.batch_norm),
    ]


def _one_convolution(stride: int) -> list[Layer]:
    return [
        ("conv1", partial(ops.conv2d, stride=stride)),
        ("bn1", ops.batch_norm),
    ]


DEEPER: Mapping[str, Callable[[Architecture], list[Layer]]] = {"lenet5": lenet5, "vgg": vgg, "resnet": resnet}
