"""Layers, losses and optimizers whose first check failed."""

import numpy as np


def im2col(x, kh, kw, stride, pad):
    n, c, h, w = x.shape
    oh, ow = (h + 2 * pad - kh) // stride + 1, (w + 2 * pad - kw) // stride + 1
    xp = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    col = np.zeros((n, c, kh, kw, oh, ow), x.dtype)
    for i in range(kh):
        for j in range(kw):
            col[:, :, i, j] = xp[:, :, i : i + stride * oh : stride, j : j + stride * ow : stride]
    return col.transpose(1, 2, 3, 0, 4, 5).reshape(c * kh * kw, -1)


def col2im(col, shape, kh, kw, stride, pad):
    n, c, h, w = shape
    oh, ow = (h + 2 * pad - kh) // stride + 1, (w + 2 * pad - kw) // stride + 1
    col = col.reshape(c, kh, kw, n, oh, ow).transpose(3, 0, 1, 2, 4, 5)
    out = np.zeros((n, c, h + 2 * pad, w + 2 * pad), col.dtype)
    for i in range(kh):
        for j in range(kw):
            out[:, :, i : i + stride * oh : stride, j : j + stride * ow : stride] += col[:, :, i, j]
    return out[:, :, pad : pad + h, pad : pad + w]


class ConvLayer:
    def __init__(self, X_dim, n_filter, h_filter, w_filter, stride, padding):
        self.d_X, self.h_X, self.w_X = X_dim
        self.n_filter, self.h_filter, self.w_filter = n_filter, h_filter, w_filter
        self.stride, self.padding = stride, padding
        self.W = np.random.randn(n_filter, self.d_X, h_filter, w_filter)
        self.b = np.zeros((n_filter, 1))
        self.params = [self.W, self.b]

    def forward(self, X):
        self.X = X
        self.col = im2col(X, self.h_filter, self.w_filter, self.stride, self.padding)
        out = self.W.reshape(self.n_filter, -1) @ self.col + self.b
        oh = (X.shape[2] + 2 * self.padding - self.h_filter) // self.stride + 1
        ow = (X.shape[3] + 2 * self.padding - self.w_filter) // self.stride + 1
        return out.reshape(self.n_filter, len(X), oh, ow).transpose(1, 0, 2, 3)

    def backward(self, dout):
        flat = dout.transpose(1, 0, 2, 3).reshape(self.n_filter, -1)
        dW = (flat @ self.col.T).reshape(self.W.shape)
        db = dout.sum(axis=(0, 2, 3)).reshape(self.n_filter, -1)
        dX = col2im(
            self.W.reshape(self.n_filter, -1).T @ flat,
            self.X.shape,
            self.h_filter,
            self.w_filter,
            self.stride,
            self.padding,
        )
        return dX, [dW, db]


def huber(y_true, y_pred, delta=1.0):
    e = y_pred - y_true
    small = np.abs(e) <= delta
    return np.where(small, 0.5 * e**2, delta * (np.abs(e) - 0.5 * delta)).mean()


def huber_grad(y_true, y_pred, delta=1.0):
    e = y_pred - y_true
    return np.clip(e, -delta, delta) / e.size


class Adam:
    def __init__(self, alpha=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
        self.alpha, self.beta_1, self.beta_2, self.epsilon = alpha, beta_1, beta_2, epsilon
        self.cache = {}

    def update(self, layer_id, w, dw):
        m, v, t = self.cache.get(layer_id, (0, 0, 0))
        t += 1
        m = self.beta_1 * m + (1 - self.beta_1) * dw
        v = self.beta_2 * v + (1 - self.beta_2) * np.square(dw)
        self.cache[layer_id] = (m, v, t)
        return w - self.alpha * (m / (1 - self.beta_1**t)) / (np.sqrt(v / (1 - self.beta_2**t)) + self.epsilon)


class Optimizer:
    def __init__(self, net, lr=0.01, beta=0.9):
        self.net, self.lr, self.beta = net, lr, beta
        self.vel = None

    def step(self):
        if self.vel is None:
            self.vel = [{k: np.zeros_like(p) for k, p in layer.params.items()} for layer in self.net.layers]
        for layer, vel in zip(self.net.layers, self.vel):
            for k in layer.params:
                vel[k] = self.beta * vel[k] + layer.grads[k]
                layer.params[k] -= self.lr * vel[k]


class Conv1D:
    def __init__(self, n_in, n_out, width, stride=1):
        self.w = np.random.randn(n_out, n_in, width)
        self.b = np.zeros(n_out)
        self.stride = stride

    def forward(self, x):
        self.x = x
        k, s = self.w.shape[2], self.stride
        self.length = (x.shape[2] - k) // s + 1
        return (
            np.stack(
                [np.tensordot(x[:, :, t * s : t * s + k], self.w, ([1, 2], [1, 2])) for t in range(self.length)], 2
            )
            + self.b[:, None]
        )

    def backward(self, g):
        k, s = self.w.shape[2], self.stride
        self.gw, self.gb, gx = np.zeros_like(self.w), g.sum((0, 2)), np.zeros_like(self.x)
        for t in range(self.length):
            self.gw += np.tensordot(g[:, :, t], self.x[:, :, t * s : t * s + k], (0, 0))
            gx[:, :, t * s : t * s + k] += np.tensordot(g[:, :, t], self.w, (1, 0))
        return gx


def make_layer_norm(eps=1e-5):
    def forward(x, g, b):
        mu = np.mean(x, -1, keepdims=True)
        inv = 1 / np.sqrt(np.var(x, -1, keepdims=True) + eps)
        xhat = (x - mu) * inv
        return xhat * g + b, (xhat, inv, g)

    def backward(dy, cache):
        xhat, inv, g = cache
        axes = tuple(range(dy.ndim - 1))
        dx = inv * (dy * g - (dy * g).mean(-1, keepdims=True) - xhat * (dy * g * xhat).mean(-1, keepdims=True))
        return dx, (dy * xhat).sum(axes), dy.sum(axes)

    return forward, backward


layer_norm_forward, layer_norm_backward = make_layer_norm()


class Reflect:
    def __init__(self, pad_width):
        self.pad_width = pad_width

    def __call__(self, x):
        self.n, self.c, self.h, self.w = x.shape
        p = self.pad_width
        rows = np.pad(np.arange(self.h), p, mode="reflect")
        cols = np.pad(np.arange(self.w), p, mode="reflect")
        self.index = np.ix_(rows, cols)
        return x[:, :, rows][:, :, :, cols]

    def backward(self, dy):
        dx = np.zeros((self.n, self.c, self.h, self.w), dy.dtype)
        np.add.at(dx, (slice(None), slice(None), *self.index), dy)
        return dx
