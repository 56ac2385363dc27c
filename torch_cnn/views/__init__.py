"""Views of the PyTorch backend for the exhibits: traces, and a network without a convolution."""
