"""`Conv2d(in_channels, out_channels, kernel_size, stride, padding, weight_init_fn, bias_init_fn)`; forward(A),
backward(dLdZ), dLdW and dLdb; with stride and padding around an inner layer that holds the parameters."""

import numpy as np


class Conv2d_stride1:
    def __init__(self, in_channels, out_channels, kernel_size, weight_init_fn=None, bias_init_fn=None):
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        if weight_init_fn is None:
            self.W = np.random.normal(0, 1.0, (out_channels, in_channels, kernel_size, kernel_size))
        else:
            self.W = weight_init_fn(out_channels, in_channels, kernel_size, kernel_size)
        self.b = np.zeros(out_channels) if bias_init_fn is None else bias_init_fn(out_channels)
        self.dLdW, self.dLdb = np.zeros(self.W.shape), np.zeros(self.b.shape)

    def forward(self, A):
        self.A = A
        k = self.kernel_size
        windows = np.lib.stride_tricks.sliding_window_view(A, (k, k), axis=(2, 3))
        return np.einsum("nchwij,ocij->nohw", windows, self.W) + self.b[None, :, None, None]

    def backward(self, dLdZ):
        k = self.kernel_size
        height, width = dLdZ.shape[2:]
        windows = np.lib.stride_tricks.sliding_window_view(self.A, (k, k), axis=(2, 3))
        self.dLdW = np.einsum("nchwij,nohw->ocij", windows, dLdZ)
        self.dLdb = dLdZ.sum(axis=(0, 2, 3))
        dLdA = np.zeros(self.A.shape)
        for i in range(k):
            for j in range(k):
                dLdA[:, :, i : i + height, j : j + width] += np.einsum("nohw,oc->nchw", dLdZ, self.W[:, :, i, j])
        return dLdA


class Downsample2d:
    def __init__(self, downsampling_factor):
        self.downsampling_factor = downsampling_factor

    def forward(self, A):
        self.shape = A.shape
        return A[:, :, :: self.downsampling_factor, :: self.downsampling_factor]

    def backward(self, dLdZ):
        dLdA = np.zeros(self.shape)
        dLdA[:, :, :: self.downsampling_factor, :: self.downsampling_factor] = dLdZ
        return dLdA


class Conv2d:
    def __init__(
        self, in_channels, out_channels, kernel_size, stride, padding=0, weight_init_fn=None, bias_init_fn=None
    ):
        self.stride, self.pad = stride, padding
        self.conv2d_stride1 = Conv2d_stride1(in_channels, out_channels, kernel_size, weight_init_fn, bias_init_fn)
        self.downsample2d = Downsample2d(stride)

    def forward(self, A):
        A = np.pad(A, ((0, 0), (0, 0), (self.pad, self.pad), (self.pad, self.pad)))
        return self.downsample2d.forward(self.conv2d_stride1.forward(A))

    def backward(self, dLdZ):
        dLdA = self.conv2d_stride1.backward(self.downsample2d.backward(dLdZ))
        return dLdA[:, :, self.pad : dLdA.shape[2] - self.pad, self.pad : dLdA.shape[3] - self.pad]


class Linear:
    def __init__(self, in_features, out_features, debug=False):
        self.W, self.b = np.zeros((out_features, in_features)), np.zeros((out_features, 1))
        self.debug = debug

    def forward(self, A):
        self.A, self.N = A, A.shape[0]
        self.Ones = np.ones((self.N, 1))
        return A @ self.W.T + self.Ones @ self.b.T

    def backward(self, dLdZ):
        self.dLdW = dLdZ.T @ self.A
        self.dLdb = dLdZ.T @ self.Ones
        return dLdZ @ self.W
