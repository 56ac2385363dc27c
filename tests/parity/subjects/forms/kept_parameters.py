"""Layers that keep their parameters in a tuple, a store, objects or lists."""

from collections import namedtuple
import numpy as np
import random


class ThetaDense:
    """Inputs are (features, batch)."""

    def __init__(self, n_in, n_out):
        self.theta = {"W": np.random.randn(n_out, n_in) * 0.01, "b": np.zeros((n_out, 1))}
        self.d_theta = {}

    def feed_forward(self, a):
        self.a = a
        return self.theta["W"] @ a + self.theta["b"]

    def back_propagate(self, delta):
        self.d_theta["W"] = delta @ self.a.T
        self.d_theta["b"] = np.sum(delta, axis=1, keepdims=True)
        return self.theta["W"].T @ delta


def init_dense(n_in, n_out, rng=np.random.default_rng(0)):
    return [rng.normal(size=(n_in, n_out)), np.zeros(n_out)]


def dense_forward(params, x):
    W, b = params
    return x @ W + b, x


def dense_backward(params, x, dout):
    W, b = params
    return dout @ W.T, [x.T @ dout, dout.sum(0)]


Params = namedtuple("Params", ["W", "b"])


class Linear:
    def __init__(self, in_dim, out_dim, seed=0):
        rng = np.random.RandomState(seed)
        self.params = Params(W=rng.randn(in_dim, out_dim), b=np.zeros(out_dim))
        self.grads = None

    def forward(self, x):
        self.x = x
        return x.dot(self.params.W) + self.params.b

    def backward(self, grad):
        self.grads = Params(W=self.x.T.dot(grad), b=grad.sum(axis=0))
        return grad.dot(self.params.W.T)


class ParameterStore:
    def __init__(self):
        self.values, self.grads = {}, {}

    def add(self, name, value):
        self.values[name] = value
        self.grads[name] = np.zeros_like(value)


class StoredLinear:
    def __init__(self, store, in_features, out_features, name="linear"):
        self.store, self.name = store, name
        store.add(name + ".weight", np.random.randn(out_features, in_features))
        store.add(name + ".bias", np.zeros(out_features))

    def forward(self, x):
        self.x = x
        return x @ self.store.values[self.name + ".weight"].T + self.store.values[self.name + ".bias"]

    def backward(self, dy):
        self.store.grads[self.name + ".weight"] = dy.T @ self.x
        self.store.grads[self.name + ".bias"] = dy.sum(0)
        return dy @ self.store.values[self.name + ".weight"]


class DenseLayer:
    def __init__(self, units_in, units_out):
        self._w = np.random.uniform(-1, 1, (units_in, units_out))
        self._b = np.zeros((1, units_out))
        self._dw, self._db = None, None
        self._x = None

    @property
    def weights(self):
        return self._w, self._b

    @property
    def gradients(self):
        return self._dw, self._db

    def forward_pass(self, a_prev, training):
        self._x = np.array(a_prev, copy=True)
        return np.dot(a_prev, self._w) + self._b

    def backward_pass(self, da_curr):
        self._dw = np.dot(self._x.T, da_curr)
        self._db = np.sum(da_curr, axis=0, keepdims=True)
        return np.dot(da_curr, self._w.T)


class Parameter:
    def __init__(self, value):
        self.value = value
        self.grad = np.zeros_like(value)

    def zero_grad(self):
        self.grad[:] = 0


class ClearedLinear:
    def __init__(self, n_in, n_out):
        self.W = Parameter(np.random.randn(n_in, n_out))
        self.b = Parameter(np.zeros(n_out))

    def params(self):
        return [self.W, self.b]

    def forward(self, X):
        self.X = X
        return X @ self.W.value + self.b.value

    def backward(self, dY):
        self.W.grad += self.X.T @ dY
        self.b.grad += dY.sum(axis=0)
        return dY @ self.W.value.T


class ListDense:
    """Without NumPy."""

    def __init__(self, n_inputs, n_outputs):
        self.weights = [[random.uniform(-1, 1) for _ in range(n_inputs)] for _ in range(n_outputs)]
        self.biases = [0.0] * n_outputs

    def forward(self, inputs):
        self.inputs = inputs
        return [
            [sum(w * x for w, x in zip(row, sample)) + b for row, b in zip(self.weights, self.biases)]
            for sample in inputs
        ]

    def backward(self, grads):
        n_out, n_in = len(self.weights), len(self.weights[0])
        self.d_weights = [
            [sum(g[o] * x[i] for g, x in zip(grads, self.inputs)) for i in range(n_in)] for o in range(n_out)
        ]
        self.d_biases = [sum(g[o] for g in grads) for o in range(n_out)]
        return [[sum(g[o] * self.weights[o][i] for o in range(n_out)) for i in range(n_in)] for g in grads]
