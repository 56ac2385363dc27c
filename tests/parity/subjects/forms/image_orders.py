"""Layers of images in other orders of axes."""

from numpy.lib.stride_tricks import as_strided
from scipy import signal
import numpy as np


class Convolutional:
    def __init__(self, input_shape, kernel_size, depth):
        channels, height, width = input_shape
        self.size = kernel_size
        self.kernels = np.random.randn(depth, channels, kernel_size, kernel_size)
        self.biases = np.zeros((depth, height - kernel_size + 1, width - kernel_size + 1))

    def forward(self, image):
        self.image = image
        maps = self.biases.copy()
        for f, kernel in enumerate(self.kernels):
            for plane, taps in zip(image, kernel):
                maps[f] += signal.correlate2d(plane, taps, "valid")
        return maps

    def backward(self, upstream, learning_rate):
        to_image, to_kernels = np.zeros(self.image.shape), np.zeros(self.kernels.shape)
        for f, dmap in enumerate(upstream):
            for c, plane in enumerate(self.image):
                to_kernels[f, c] = signal.correlate2d(plane, dmap, "valid")
                to_image[c] += signal.convolve2d(dmap, self.kernels[f, c], "full")
        self.kernels -= learning_rate * to_kernels
        self.biases -= learning_rate * upstream
        return to_image


class MaxPooling:
    def __init__(self, size=2, stride=2):
        self.size, self.stride = size, stride

    def propagate(self, X):
        self.X_shape = X.shape
        n, c, h, w = X.shape
        s, k = self.stride, self.size
        oh, ow = (h - k) // s + 1, (w - k) // s + 1
        cols = np.empty((n, c, k * k, oh, ow), dtype=X.dtype)
        for i in range(k):
            for j in range(k):
                cols[:, :, i * k + j] = X[:, :, i : i + s * oh : s, j : j + s * ow : s]
        self.winner = cols.argmax(axis=2)
        return cols.max(axis=2)

    def backpropagate(self, dY):
        dX = np.zeros(self.X_shape, dtype=dY.dtype)
        s, k = self.stride, self.size
        oh, ow = dY.shape[2:]
        for i in range(k):
            for j in range(k):
                dX[:, :, i : i + s * oh : s, j : j + s * ow : s] += dY * (self.winner == i * k + j)
        return dX


class GlobalAveragePooling2D:
    def forward(self, x):
        self.shape = x.shape
        return x.mean(axis=(2, 3))

    def backward(self, grad):
        n, c, h, w = self.shape
        return np.broadcast_to(grad[:, :, None, None] / (h * w), self.shape).copy()


class AveragePooling2D:
    def __init__(self, pool_size=(2, 2), strides=2):
        self.pool_size, self.strides = pool_size, strides

    def fprop(self, x):
        self.x_shape = x.shape
        n, h, w, c = x.shape
        ph, pw = self.pool_size
        s = self.strides
        view = np.lib.stride_tricks.sliding_window_view(x, (ph, pw), axis=(1, 2))[:, ::s, ::s]
        return view.mean(axis=(-2, -1))

    def bprop(self, err):
        dx = np.zeros(self.x_shape, err.dtype)
        ph, pw = self.pool_size
        for i in range(err.shape[1]):
            for j in range(err.shape[2]):
                a, b = i * self.strides, j * self.strides
                dx[:, a : a + ph, b : b + pw, :] += err[:, i : i + 1, j : j + 1, :] / (ph * pw)
        return dx


class Conv2D:
    def __init__(self, filters, kernel_size, strides=(1, 1), padding="valid", activation=None, use_bias=True):
        self.filters, self.kernel_size, self.strides, self.padding = filters, kernel_size, strides, padding
        self.built = False

    def build(self, input_shape):
        kh, kw = self.kernel_size
        self.kernel = np.random.normal(size=(kh, kw, input_shape[-1], self.filters))
        self.bias = np.zeros(self.filters)
        self.built = True

    def __call__(self, x):
        if not self.built:
            self.build(x.shape)
        kh, kw = self.kernel.shape[:2]
        sh, sw = self.strides
        if self.padding == "same":
            self.pads = ((kh - 1) // 2, kh // 2, (kw - 1) // 2, kw // 2)
        else:
            self.pads = (0, 0, 0, 0)
        t, b, l, r = self.pads
        self.xp = np.pad(x, ((0, 0), (t, b), (l, r), (0, 0)))
        n, H, W, c = self.xp.shape
        oh, ow = (H - kh) // sh + 1, (W - kw) // sw + 1
        st = self.xp.strides
        self.patches = as_strided(
            self.xp, (n, oh, ow, kh, kw, c), (st[0], st[1] * sh, st[2] * sw, *st[1:]), writeable=False
        )
        return np.tensordot(self.patches, self.kernel, axes=3) + self.bias

    def backward(self, grad):
        self.dkernel = np.tensordot(self.patches, grad, axes=([0, 1, 2], [0, 1, 2]))
        self.dbias = grad.sum(axis=(0, 1, 2))
        dxp = np.zeros_like(self.xp)
        kh, kw = self.kernel.shape[:2]
        sh, sw = self.strides
        for i in range(grad.shape[1]):
            for j in range(grad.shape[2]):
                dxp[:, i * sh : i * sh + kh, j * sw : j * sw + kw] += np.tensordot(
                    grad[:, i, j], self.kernel, axes=([1], [3])
                )
        t, b, l, r = self.pads
        return dxp[:, t : dxp.shape[1] - b, l : dxp.shape[2] - r]


def conv_fprop(x, w):
    """x (C, N, H, W); w (F, C, k, k) → (F, N, H', W')"""
    c, n, h, wd = x.shape
    k = w.shape[2]
    y = np.zeros((w.shape[0], n, h - k + 1, wd - k + 1), x.dtype)
    for i in range(k):
        for j in range(k):
            y += np.tensordot(w[:, :, i, j], x[:, :, i : i + y.shape[2], j : j + y.shape[3]], 1)
    return y


def conv_bprop(dy, x, w):
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(w.shape[2]):
        for j in range(w.shape[3]):
            xs = x[:, :, i : i + dy.shape[2], j : j + dy.shape[3]]
            dw[:, :, i, j] = np.tensordot(dy, xs, ([1, 2, 3], [1, 2, 3]))
            dx[:, :, i : i + dy.shape[2], j : j + dy.shape[3]] += np.tensordot(w[:, :, i, j].T, dy, 1)
    return dx, dw
