"""`Conv(stride_shape, convolution_shape, num_kernels)`: zero-padded to the size of the input, odd kernels,
`gradient_weights` and `gradient_bias`."""

import numpy as np


class Conv:
    def __init__(self, stride_shape, convolution_shape, num_kernels):
        self.stride_shape, self.convolution_shape, self.num_kernels = stride_shape, convolution_shape, num_kernels
        self.weights = np.random.uniform(0, 1, (num_kernels, *convolution_shape))
        self.bias = np.random.uniform(0, 1, num_kernels)

    def forward(self, input_tensor):
        _, m, n = self.convolution_shape
        sy, sx = self.stride_shape
        self.input_tensor = input_tensor
        self.padded = np.pad(input_tensor, ((0, 0), (0, 0), (m // 2, m // 2), (n // 2, n // 2)))
        self.windows = np.lib.stride_tricks.sliding_window_view(self.padded, (m, n), axis=(2, 3))[:, :, ::sy, ::sx]
        return np.einsum("bchwij,kcij->bkhw", self.windows, self.weights) + self.bias[:, None, None]

    def backward(self, error_tensor):
        _, m, n = self.convolution_shape
        sy, sx = self.stride_shape
        height, width = error_tensor.shape[2:]
        self._gradient_weights = np.einsum("bchwij,bkhw->kcij", self.windows, error_tensor)
        self._gradient_bias = np.sum(error_tensor, axis=(0, 2, 3))
        error = np.zeros_like(self.padded)
        for i in range(m):
            for j in range(n):
                part = error[:, :, i : i + (height - 1) * sy + 1 : sy, j : j + (width - 1) * sx + 1 : sx]
                part += np.einsum("bkhw,kc->bchw", error_tensor, self.weights[:, :, i, j])
        h, w = self.input_tensor.shape[2:]
        return error[:, :, m // 2 : m // 2 + h, n // 2 : n // 2 + w]

    @property
    def gradient_weights(self):
        return self._gradient_weights

    @property
    def gradient_bias(self):
        return self._gradient_bias
