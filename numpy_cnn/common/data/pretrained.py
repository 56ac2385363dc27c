"""The network that this package brings along: trained on MNIST, for those who have not trained one yet."""

from pathlib import Path

PRETRAINED = Path(__file__).with_name("mnist.safetensors")
