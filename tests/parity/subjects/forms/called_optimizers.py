"""Optimizers that are called, or take pairs of gradients and parameters."""

import numpy as np


class SGD:
    def __init__(self, learning_rate=0.01, momentum=0.0):
        self.learning_rate, self.momentum = learning_rate, momentum
        self.v = {}

    def apply_gradients(self, grads_and_vars):
        for i, (g, p) in enumerate(grads_and_vars):
            v = self.momentum * self.v.get(i, 0) + g
            self.v[i] = v
            p -= self.learning_rate * v


class RMSProp:
    def __init__(self, lr=0.01, rho=0.99, eps=1e-8):
        self.lr, self.rho, self.eps = lr, rho, eps
        self.s = None

    def __call__(self, params, grads):
        if self.s is None:
            self.s = [np.zeros_like(p) for p in params]
        for p, g, s in zip(params, grads, self.s):
            s *= self.rho
            s += (1 - self.rho) * g**2
            p -= self.lr * g / (np.sqrt(s) + self.eps)


def momentum_sgd(params, lr, momentum=0.9):
    """A coroutine: opt = momentum_sgd(params, 0.1); next(opt); opt.send(grads)."""
    velocity = [np.zeros_like(p) for p in params]
    while True:
        grads = yield params
        for p, g, v in zip(params, grads, velocity):
            v *= momentum
            v += g
            p -= lr * v
