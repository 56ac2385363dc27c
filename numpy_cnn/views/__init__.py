"""Views of the NumPy backend for the exhibits: traces, and a network without a convolution."""
