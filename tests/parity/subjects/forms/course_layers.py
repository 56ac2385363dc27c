"""Layers of several courses and small libraries."""

import numpy as np


class MSELoss:
    """11-785"""

    def forward(self, A, Y):
        self.A, self.Y = A, Y
        self.N, self.C = A.shape
        se = (A - Y) * (A - Y)
        sse = np.sum(se)
        return sse / (self.N * self.C)

    def backward(self):
        return 2 * (self.A - self.Y) / (self.N * self.C)


class CrossEntropyLoss:
    """11-785: one-hot"""

    def forward(self, A, Y):
        self.A, self.Y = A, Y
        N, C = A.shape
        Ones_C = np.ones((C, 1))
        Ones_N = np.ones((N, 1))
        e = np.exp(A - A.max(axis=1, keepdims=True))
        self.softmax = e / e.sum(axis=1, keepdims=True)
        crossentropy = (-Y * np.log(self.softmax)) @ Ones_C
        return (Ones_N.T @ crossentropy / N)[0, 0]

    def backward(self):
        return (self.softmax - self.Y) / self.A.shape[0]


def conv_forward(X, W, b, stride=1, padding=1):
    """hipsternet: biases (F, 1)."""
    n_filters, d_filter, h_filter, w_filter = W.shape
    n_x, d_x, h_x, w_x = X.shape
    h_out = (h_x - h_filter + 2 * padding) / stride + 1
    w_out = (w_x - w_filter + 2 * padding) / stride + 1
    if not h_out.is_integer() or not w_out.is_integer():
        raise Exception("Invalid output dimension!")
    h_out, w_out = int(h_out), int(w_out)
    P = np.pad(X, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    win = np.lib.stride_tricks.sliding_window_view(P, (h_filter, w_filter), (2, 3))[:, :, ::stride, ::stride]
    X_col = win.transpose(1, 4, 5, 2, 3, 0).reshape(d_filter * h_filter * w_filter, -1)
    W_col = W.reshape(n_filters, -1)
    out = (W_col @ X_col + b).reshape(n_filters, h_out, w_out, n_x).transpose(3, 0, 1, 2)
    return out, (X, W, b, stride, padding, X_col)


def conv_backward(dout, cache):
    X, W, b, stride, padding, X_col = cache
    n_filter, d_filter, h_filter, w_filter = W.shape
    db = np.sum(dout, axis=(0, 2, 3)).reshape(n_filter, -1)
    dout_reshaped = dout.transpose(1, 2, 3, 0).reshape(n_filter, -1)
    dW = (dout_reshaped @ X_col.T).reshape(W.shape)
    dX_col = W.reshape(n_filter, -1).T @ dout_reshaped
    d = dX_col.reshape(d_filter, h_filter, w_filter, dout.shape[2], dout.shape[3], -1)
    dP = np.zeros((X.shape[0], X.shape[1], X.shape[2] + 2 * padding, X.shape[3] + 2 * padding))
    for i in range(h_filter):
        for j in range(w_filter):
            dP[:, :, i : i + stride * dout.shape[2] : stride, j : j + stride * dout.shape[3] : stride] += d[
                :, i, j
            ].transpose(3, 0, 1, 2)
    return dP[:, :, padding : padding + X.shape[2], padding : padding + X.shape[3]], dW, db


class BatchNorm2D:
    """numpy-ml"""

    def __init__(self, momentum=0.9, epsilon=1e-5, optimizer=None):
        self.in_ch = None
        self.out_ch = None
        self.epsilon = epsilon
        self.momentum = momentum
        self.trainable = True
        self.is_initialized = False
        self.X = []
        self.gradients = {}
        self.parameters = {"scaler": None, "intercept": None, "running_var": None, "running_mean": None}

    def _init_params(self):
        self.parameters = {
            "scaler": np.random.rand(self.in_ch),
            "intercept": np.zeros(self.in_ch),
            "running_mean": np.zeros(self.in_ch),
            "running_var": np.ones(self.in_ch),
        }
        self.gradients = {"scaler": np.zeros(self.in_ch), "intercept": np.zeros(self.in_ch)}
        self.is_initialized = True

    def forward(self, X, retain_derived=True):
        if not self.is_initialized:
            self.in_ch = self.out_ch = X.shape[3]
            self._init_params()
        ep = self.epsilon
        mm = self.momentum
        rm, rv = self.parameters["running_mean"], self.parameters["running_var"]
        scaler, intercept = self.parameters["scaler"], self.parameters["intercept"]
        X_mean, X_var = self.parameters["running_mean"], self.parameters["running_var"]
        if self.trainable and retain_derived:
            X_mean, X_var = X.mean(axis=(0, 1, 2)), X.var(axis=(0, 1, 2))
            self.parameters["running_mean"] = mm * rm + (1.0 - mm) * X_mean
            self.parameters["running_var"] = mm * rv + (1.0 - mm) * X_var
        if retain_derived:
            self.X.append(X)
        N = (X - X_mean) / np.sqrt(X_var + ep)
        return scaler * N + intercept

    def backward(self, dLdy, retain_grads=True):
        if not isinstance(dLdy, list):
            dLdy = [dLdy]
        dX = []
        for dy, x in zip(dLdy, self.X):
            dx, dScaler, dIntercept = self._bwd(dy, x)
            dX.append(dx)
            if retain_grads:
                self.gradients["scaler"] += dScaler
                self.gradients["intercept"] += dIntercept
        return dX[0] if len(self.X) == 1 else dX

    def _bwd(self, dLdy, X):
        scaler = self.parameters["scaler"]
        shape = X.shape
        X, dLdy = X.reshape(-1, X.shape[3]), dLdy.reshape(-1, X.shape[3])
        n = len(X)
        v = X.var(axis=0) + self.epsilon
        N = (X - X.mean(axis=0)) / np.sqrt(v)
        dIntercept = dLdy.sum(axis=0)
        dScaler = np.sum(dLdy * N, axis=0)
        dN = dLdy * scaler
        dX = (n * dN - dN.sum(axis=0) - N * (dN * N).sum(axis=0)) / (n * np.sqrt(v))
        return dX.reshape(shape), dScaler, dIntercept

    def flush_gradients(self):
        self.X = []
        for k, v in self.gradients.items():
            self.gradients[k] = np.zeros_like(v)


class Function:
    """dezero-like: forward(x, W, b), backward(gy) of a stored call."""

    def __call__(self, *inputs):
        self.inputs = inputs
        return self.forward(*inputs)


class LinearFunction(Function):
    def forward(self, x, W, b):
        self.inputs = (x, W, b)
        y = x.dot(W)
        if b is not None:
            y += b
        return y

    def backward(self, gy):
        x, W, b = self.inputs
        gb = None if b is None else gy.sum(axis=0)
        return gy.dot(W.T), x.T.dot(gy), gb


def layernorm_forward(x, gamma, beta, eps=1e-5):
    mu = x.mean(-1, keepdims=True)
    rstd = 1 / np.sqrt(x.var(-1, keepdims=True) + eps)
    xhat = (x - mu) * rstd
    return gamma * xhat + beta, {"xhat": xhat, "rstd": rstd, "gamma": gamma}


def layernorm_backward(dout, cache):
    xhat, rstd, gamma = cache["xhat"], cache["rstd"], cache["gamma"]
    axes = tuple(range(dout.ndim - 1))
    d = dout * gamma
    dx = rstd * (d - d.mean(-1, keepdims=True) - xhat * (d * xhat).mean(-1, keepdims=True))
    return {"dx": dx, "dgamma": (dout * xhat).sum(axes), "dbeta": dout.sum(axes)}
