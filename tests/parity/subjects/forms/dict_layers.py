"""`Conv2D(out_ch, kernel_shape, pad, stride)`, NHWC, weights (fr, fc, in, out), `.parameters` and `.gradients`;
the parameters are made at the first call, when the number of channels is known."""

import numpy as np


class Conv2D:
    def __init__(self, out_ch, kernel_shape, pad=0, stride=1):
        self.out_ch, self.kernel_shape, self.pad, self.stride = out_ch, kernel_shape, pad, stride
        self.in_ch = None
        self.gradients = {"W": None, "b": None}
        self.parameters = {"W": None, "b": None}
        self.is_initialized = False

    def _init_params(self):
        fr, fc = self.kernel_shape
        self.parameters = {
            "W": np.random.randn(fr, fc, self.in_ch, self.out_ch),
            "b": np.zeros((1, 1, 1, self.out_ch)),
        }
        self.gradients = {name: np.zeros_like(value) for name, value in self.parameters.items()}
        self.is_initialized = True

    def forward(self, X, retain_derived=True):
        if not self.is_initialized:
            self.in_ch = X.shape[3]
            self._init_params()
        W, b = self.parameters["W"], self.parameters["b"]
        p, s = self.pad, self.stride
        fr, fc = self.kernel_shape
        padded = np.pad(X, ((0, 0), (p, p), (p, p), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (fr, fc), axis=(1, 2))[:, ::s, ::s]
        if retain_derived:
            self.X, self.windows, self.padded = X, windows, padded
        return np.einsum("nhwcij,ijco->nhwo", windows, W) + b

    def backward(self, dLdy, retain_grads=True):
        p, s = self.pad, self.stride
        fr, fc = self.kernel_shape
        rows, columns = dLdy.shape[1:3]
        dX = np.zeros(self.padded.shape)
        for i in range(fr):
            for j in range(fc):
                part = dX[:, i : i + (rows - 1) * s + 1 : s, j : j + (columns - 1) * s + 1 : s]
                part += dLdy @ self.parameters["W"][i, j].T
        if retain_grads:
            self.gradients["W"] += np.einsum("nhwcij,nhwo->ijco", self.windows, dLdy)
            self.gradients["b"] += dLdy.sum(axis=(0, 1, 2), keepdims=True)
        return dX[:, p : dX.shape[1] - p, p : dX.shape[2] - p]

    def flush_gradients(self):
        for key in self.gradients:
            self.gradients[key] = np.zeros_like(self.gradients[key])


class FullyConnected:
    def __init__(self, n_out):
        self.n_out = n_out
        self.parameters, self.gradients = {"W": None, "b": None}, {"W": None, "b": None}
        self.is_initialized = False

    def forward(self, X):
        if not self.is_initialized:
            self.parameters = {"W": np.random.randn(X.shape[1], self.n_out), "b": np.zeros((1, self.n_out))}
            self.is_initialized = True
        self.X = X
        return X @ self.parameters["W"] + self.parameters["b"]

    def backward(self, dLdy):
        self.gradients = {"W": self.X.T @ dLdy, "b": dLdy.sum(axis=0, keepdims=True)}
        return dLdy @ self.parameters["W"].T
