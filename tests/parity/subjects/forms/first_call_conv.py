"""A convolution of NHWC images that creates its weights and its bias (1, 1, 1, F) at the first call."""

import numpy as np


class Conv2D:
    def __init__(self, filters, kernel_size, stride=1, padding=0):
        self.filters, self.size, self.stride, self.padding = filters, kernel_size, stride, padding
        self.weights = None

    def forward(self, images):
        size, step = self.size, self.stride
        if self.weights is None:
            self.weights = np.random.randn(size, size, images.shape[3], self.filters) * 0.1
            self.bias = np.zeros((1, 1, 1, self.filters))
        p = self.padding
        self.padded = np.pad(images, ((0, 0), (p, p), (p, p), (0, 0)))
        height, width = (1 + (side - size) // step for side in self.padded.shape[1:3])
        y = np.zeros((len(images), height, width, self.filters))
        for i in range(height):
            for j in range(width):
                patch = self.padded[:, i * step : i * step + size, j * step : j * step + size]
                y[:, i, j] = np.tensordot(patch, self.weights, axes=3)
        return y + self.bias

    def backward(self, dout):
        size, step, p = self.size, self.stride, self.padding
        dpadded, self.dweights = np.zeros_like(self.padded), np.zeros_like(self.weights)
        for i in range(dout.shape[1]):
            for j in range(dout.shape[2]):
                at = np.s_[:, i * step : i * step + size, j * step : j * step + size]
                self.dweights += np.tensordot(self.padded[at], dout[:, i, j], axes=([0], [0]))
                dpadded[at] += np.tensordot(dout[:, i, j], self.weights, axes=([1], [3]))
        self.dbias = dout.sum(axis=(0, 1, 2), keepdims=True)
        return dpadded[:, p : dpadded.shape[1] - p, p : dpadded.shape[2] - p]
