"""Functions in the forms of libraries: out=, model objects, lists of pairs."""

import numpy as np


def relu(x, out=None):
    return np.maximum(x, 0, out=out)


def relu_backward(grad, x, out=None):
    return np.multiply(grad, x > 0, out=out)


def forward(model, X, is_train):
    W, b = model.get_param("W"), model.get_param("b")
    Y = X @ W.T + b

    def backprop(dY):
        model.inc_grad("b", dY.sum(axis=0))
        model.inc_grad("W", dY.T @ X)
        return dY @ W

    return Y, backprop


def sigmoid(Z):
    A = 1 / (1 + np.exp(-Z))
    cache = Z
    return A, cache


def sigmoid_backward(dA, cache):
    Z = cache
    s = 1 / (1 + np.exp(-Z))
    dZ = dA * s * (1 - s)
    return dZ


class SGD:
    def __init__(self, params, lr=0.01, momentum=0.0):
        self.params = params  # list of (value, gradient)
        self.lr, self.momentum = lr, momentum
        self.v = [np.zeros_like(p) for p, _ in params]

    def step(self):
        for v, (p, g) in zip(self.v, self.params):
            v *= self.momentum
            v += g
            p -= self.lr * v


class LayerSGD:
    def __init__(self, lr=0.01):
        self.lr = lr

    def step(self, layers):
        for layer in layers:
            for value, grad in layer.params():
                value -= self.lr * grad


def layer_norm(x, w, b, eps=1e-5):
    mean = x.mean(-1, keepdims=True)
    rstd = (((x - mean) ** 2).mean(-1, keepdims=True) + eps) ** -0.5
    norm = (x - mean) * rstd
    return norm * w + b, (x, w, mean, rstd)


def layer_norm_backward(dout, cache):
    x, w, mean, rstd = cache
    norm = (x - mean) * rstd
    axes = tuple(range(x.ndim - 1))
    db = dout.sum(axes)
    dw = (dout * norm).sum(axes)
    dnorm = dout * w
    dx = dnorm - dnorm.mean(-1, keepdims=True) - norm * (dnorm * norm).mean(-1, keepdims=True)
    return dx * rstd, dw, db
