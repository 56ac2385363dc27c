"""What the exhibits need from the PyTorch backend: traces, inspections, and a network without a convolution."""
