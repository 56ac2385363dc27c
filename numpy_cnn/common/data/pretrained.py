"""The network included in this package, trained on MNIST."""

from pathlib import Path

PRETRAINED = Path(__file__).with_name("mnist.safetensors")
