"""What the page needs from a backend, and the format in which the two processes exchange it."""

import struct
from typing import IO, Protocol

from safetensors.numpy import load, save

from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.backend import Array

_LENGTH = struct.Struct("<Q")


def maps_of(architecture: Architecture) -> tuple[str, ...]:
    """The layers whose outputs are feature maps; a residual block is one of them, the layers in it are not."""
    return tuple(name for name, shape in architecture.stages()[1:] if len(shape) == 3 and "." not in name)


class Inspector(Protocol):
    """A trained network whose activations can be inspected."""

    def __init__(self, architecture: Architecture, parameters: dict[str, Array]) -> None:
        """Build the network with these parameters, under torch's names."""

    def look(self, image: Array, digit: int | None = None) -> dict[str, Array]:
        """Run one image (1, C, H, W) forward, and one score backward.

        Args:
            image: the network's input, float32.
            digit: whose score; None for the one with the highest score.

        Returns:
            `scores` and `probabilities` (classes,); the layers of `maps_of` (filters, h, w); `digit` (1,);
            and `saliency` (C, H, W), the gradient of that digit's score with respect to the image.
        """


def send(stream: IO[bytes], arrays: dict[str, Array]) -> None:
    """Write named arrays: eight bytes of length, then safetensors' bytes."""
    content = save(arrays)
    stream.write(_LENGTH.pack(len(content)) + content)
    stream.flush()


def receive(stream: IO[bytes]) -> dict[str, Array] | None:
    """The arrays that the other side sent; None if it closed the stream or the message is incomplete."""
    header = stream.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(header)
    content = stream.read(length)
    return load(content) if len(content) == length else None
