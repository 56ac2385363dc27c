"""The deeper networks by their sizes. Their layers are written out in networks.py of both backends."""

from collections.abc import Callable, Mapping

from numpy_cnn.common.spec.layers import (
    BatchNorm2d,
    Conv2d,
    Elementwise,
    Flatten,
    GlobalPool2d,
    Layer,
    Linear,
    Pool2d,
    Residual,
)

LENET_SIDE = 32  # pixels; smaller images are padded to it, as MNIST's 28x28 are in the paper


def lenet5(image_size: tuple[int, int], classes: int) -> tuple[Layer, ...]:
    """LeNet-5 with ReLU and max-pooling.

    Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to document
    recognition (1998).
    """
    return (
        Conv2d("conv1", 6, kernel_size=5, padding=lenet_padding(image_size)),
        Elementwise("relu1"),
        Pool2d("pool1", 2),
        Conv2d("conv2", 16, kernel_size=5),
        Elementwise("relu2"),
        Pool2d("pool2", 2),
        Flatten("flatten"),
        Linear("fc1", 120),
        Elementwise("relu3"),
        Linear("fc2", 84),
        Elementwise("relu4"),
        Linear("fc3", classes),
    )


def lenet_padding(image_size: tuple[int, int]) -> tuple[int, int]:
    """The padding of conv1 that extends images to 32x32 pixels."""
    height, width = (max(0, LENET_SIDE - side) // 2 for side in image_size)
    return height, width


def vgg(image_size: tuple[int, int], classes: int) -> tuple[Layer, ...]:  # noqa: ARG001  # one signature for all
    """Two stages of two 3x3 convolutions, each with batch norm, and two dense layers.

    Source: K. Simonyan and A. Zisserman, Very deep convolutional networks for large-scale image recognition
    (2015); S. Ioffe and C. Szegedy, Batch normalization (2015).
    """
    return (
        *_conv_bn_relu(1, 16),
        *_conv_bn_relu(2, 16),
        Pool2d("pool1", 2),
        *_conv_bn_relu(3, 32),
        *_conv_bn_relu(4, 32),
        Pool2d("pool2", 2),
        Flatten("flatten"),
        Linear("fc1", 128),
        Elementwise("relu5"),
        Linear("fc2", classes),
    )


def resnet(image_size: tuple[int, int], classes: int) -> tuple[Layer, ...]:  # noqa: ARG001  # one signature for all
    """Three residual blocks of 16, 32 and 64 channels, the mean of each channel, and one dense layer.

    Source: K. He, X. Zhang, S. Ren and J. Sun, Deep residual learning for image recognition (2016).
    """
    return (
        *_conv_bn_relu(1, 16),
        _block("block1", 16, stride=1),
        Elementwise("relu2"),
        _block("block2", 32, stride=2),
        Elementwise("relu3"),
        _block("block3", 64, stride=2),
        Elementwise("relu4"),
        GlobalPool2d("pool1"),
        Flatten("flatten"),
        Linear("fc1", classes),
    )


def _conv_bn_relu(number: int, filters: int) -> tuple[Layer, ...]:
    conv = Conv2d(f"conv{number}", filters, kernel_size=3, padding=1, bias=False)
    return conv, BatchNorm2d(f"bn{number}"), Elementwise(f"relu{number}")


def _block(name: str, filters: int, stride: int) -> Residual:
    """Two convolutions with an identity shortcut, or a 1x1 convolution as the shortcut if the shapes differ."""
    residual = (
        Conv2d("conv1", filters, kernel_size=3, stride=stride, padding=1, bias=False),
        BatchNorm2d("bn1"),
        Elementwise("relu1"),
        Conv2d("conv2", filters, kernel_size=3, padding=1, bias=False),
        BatchNorm2d("bn2"),
    )
    same_shape = stride == 1
    if same_shape:
        return Residual(name, residual)
    return Residual(
        name,
        residual,
        shortcut=(Conv2d("conv1", filters, kernel_size=1, stride=stride, bias=False), BatchNorm2d("bn1")),
    )


DEEPER: Mapping[str, Callable[[tuple[int, int], int], tuple[Layer, ...]]] = {
    "lenet5": lenet5,
    "vgg": vgg,
    "resnet": resnet,
}
