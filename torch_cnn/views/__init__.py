"""What the exhibits show of the PyTorch backend: traces, inspections, a network without a convolution."""
