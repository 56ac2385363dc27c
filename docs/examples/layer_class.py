"""A convolution as a class: sizes in the constructor, parameters and gradients as attributes."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


class Conv2D:
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0):
        self.stride, self.padding = stride, padding
        self.W = np.zeros((out_channels, in_channels, kernel_size, kernel_size))
        self.b = np.zeros(out_channels)

    def forward(self, x):
        p, s, k = self.padding, self.stride, self.W.shape[2]
        self.padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        self.windows = sliding_window_view(self.padded, (k, k), axis=(2, 3))[:, :, ::s, ::s]
        return np.einsum("nchwij,ocij->nohw", self.windows, self.W) + self.b[:, None, None]

    def backward(self, dy):
        p, s, k = self.padding, self.stride, self.W.shape[2]
        self.dW = np.einsum("nohw,nchwij->ocij", dy, self.windows)
        self.db = dy.sum(axis=(0, 2, 3))
        dx = np.zeros_like(self.padded)
        rows, columns = dy.shape[2] * s, dy.shape[3] * s
        for i in range(k):
            for j in range(k):
                tap = np.einsum("nohw,oc->nchw", dy, self.tap(i, j))
                dx[:, :, i : i + rows : s, j : j + columns : s] += tap
        return dx[:, :, p : dx.shape[2] - p, p : dx.shape[3] - p]

    def tap(self, i, j):
        return self.W[:, :, i, j]


class FlippedConv2D(Conv2D):
    def tap(self, i, j):
        return self.W[:, :, -1 - i, -1 - j]  # rotated by 180 degrees, although the scatter above already does this
