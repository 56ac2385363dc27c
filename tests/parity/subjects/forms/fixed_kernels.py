"""Layers with one size of the kernel, and layers of one image."""

import numpy as np


class Conv3x3:
    """One image (H, W), no stride, padding or bias; the first layer, which updates its filters."""

    def __init__(self, num_filters):
        self.num_filters = num_filters
        self.filters = np.random.randn(num_filters, 3, 3) / 9

    def regions(self, image):
        for i in range(image.shape[0] - 2):
            for j in range(image.shape[1] - 2):
                yield image[i : i + 3, j : j + 3], i, j

    def forward(self, input):
        self.last_input = input
        out = np.zeros((input.shape[0] - 2, input.shape[1] - 2, self.num_filters))
        for region, i, j in self.regions(input):
            out[i, j] = np.sum(region * self.filters, axis=(1, 2))
        return out

    def backprop(self, d_L_d_out, learn_rate):
        d_filters = np.zeros(self.filters.shape)
        for region, i, j in self.regions(self.last_input):
            for f in range(self.num_filters):
                d_filters[f] += d_L_d_out[i, j, f] * region
        self.filters -= learn_rate * d_filters
        return None


class MaxPool2:
    """One image (H, W, C), windows of 2×2."""

    def forward(self, input):
        self.last_input = input
        h, w, c = input.shape
        out = np.zeros((h // 2, w // 2, c))
        for i in range(h // 2):
            for j in range(w // 2):
                out[i, j] = input[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max(axis=(0, 1))
        return out

    def backprop(self, d_L_d_out):
        d_input = np.zeros(self.last_input.shape)
        for i in range(d_L_d_out.shape[0]):
            for j in range(d_L_d_out.shape[1]):
                for f in range(d_L_d_out.shape[2]):
                    region = self.last_input[2 * i : 2 * i + 2, 2 * j : 2 * j + 2, f]
                    a, b = np.unravel_index(np.argmax(region), region.shape)
                    d_input[2 * i + a, 2 * j + b, f] = d_L_d_out[i, j, f]
        return d_input


class Conv:
    """Batches of several channels with 3×3 kernels."""

    def __init__(self, in_channels, out_channels):
        self.weights = np.random.randn(out_channels, in_channels, 3, 3) / 9
        self.bias = np.zeros(out_channels)

    def forward(self, x):
        self.x = x
        h, w = x.shape[2] - 2, x.shape[3] - 2
        out = np.zeros((len(x), len(self.weights), h, w))
        for i in range(3):
            for j in range(3):
                out += np.einsum("nchw,oc->nohw", x[:, :, i : i + h, j : j + w], self.weights[:, :, i, j])
        return out + self.bias[:, None, None]

    def backward(self, dout):
        h, w = dout.shape[2:]
        self.dweights, dx = np.zeros_like(self.weights), np.zeros_like(self.x)
        for i in range(3):
            for j in range(3):
                self.dweights[:, :, i, j] = np.einsum("nohw,nchw->oc", dout, self.x[:, :, i : i + h, j : j + w])
                dx[:, :, i : i + h, j : j + w] += np.einsum("nohw,oc->nchw", dout, self.weights[:, :, i, j])
        self.dbias = dout.sum(axis=(0, 2, 3))
        return dx


def conv3x3(x, w, b):
    """A pair that asserts the size of its kernel."""
    assert w.shape[2:] == (3, 3)
    layer = Conv(w.shape[1], w.shape[0])
    layer.weights, layer.bias = w, b
    return layer.forward(x), layer


def conv3x3_backward(dout, cache):
    dx = cache.backward(dout)
    return dx, cache.dweights, cache.dbias


class Pool2D:
    """NHWC; the maximum of windows padded with NaN, whose search fails for a NaN in the image."""

    def __init__(self, kernel_shape, stride=1, pad=0, mode="max"):
        self.kernel_shape, self.stride, self.pad, self.mode = kernel_shape, stride, pad, mode

    def forward(self, X):
        self.X = X
        (fr, fc), s, p = self.kernel_shape, self.stride, self.pad
        padded = np.pad(X, ((0, 0), (p, p), (p, p), (0, 0)), constant_values=np.nan)
        rows, columns = (padded.shape[1] - fr) // s + 1, (padded.shape[2] - fc) // s + 1
        Y = np.zeros((len(X), rows, columns, X.shape[3]))
        for i in range(rows):
            for j in range(columns):
                Y[:, i, j] = np.nanmax(padded[:, i * s : i * s + fr, j * s : j * s + fc], axis=(1, 2))
        return Y

    def backward(self, dLdY):
        (fr, fc), s, p = self.kernel_shape, self.stride, self.pad
        padded = np.pad(self.X, ((0, 0), (p, p), (p, p), (0, 0)), constant_values=-np.inf)
        dX = np.zeros(padded.shape)
        for n, i, j, c in np.ndindex(*dLdY.shape):
            window = padded[n, i * s : i * s + fr, j * s : j * s + fc, c]
            a, b = np.argwhere(window == window.max())[0]
            dX[n, i * s + a, j * s + b, c] += dLdY[n, i, j, c]
        return dX[:, p : p + self.X.shape[1], p : p + self.X.shape[2]]
