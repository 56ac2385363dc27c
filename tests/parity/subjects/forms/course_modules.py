"""Modules in the forms of courses and small libraries."""

from dataclasses import dataclass, field

import numpy as np


class LinearModule:
    def __init__(self, in_features, out_features, input_layer=False):
        self.params = {
            "weight": np.random.randn(out_features, in_features) * np.sqrt(2 / in_features),
            "bias": np.zeros((1, out_features)),
        }
        self.grads = {"weight": None, "bias": None}

    def forward(self, x):
        self.x = x
        return x @ self.params["weight"].T + self.params["bias"]

    def backward(self, dout):
        self.grads["weight"] = dout.T @ self.x
        self.grads["bias"] = dout.sum(axis=0, keepdims=True)
        return dout @ self.params["weight"]

    def clear_cache(self):
        self.x = None


class CrossEntropyModule:
    def forward(self, x, y):
        z = np.exp(x - x.max(axis=1, keepdims=True))
        self.p = z / z.sum(axis=1, keepdims=True)
        return -np.log(self.p[np.arange(len(y)), y]).mean()

    def backward(self, x, y):
        dx = self.p.copy()
        dx[np.arange(len(y)), y] -= 1
        return dx / len(y)


class Sigmoid:
    def forward(self, x):
        outputs = 1 / (1 + np.exp(-x))
        return outputs, outputs

    def backward(self, dout, cache):
        return dout * cache * (1 - cache)


class FC:
    def __init__(self, n_in, n_out):
        self.W = np.random.randn(n_in, n_out) * 0.01
        self.b = np.zeros(n_out)
        self.dW = np.zeros_like(self.W)
        self.db = np.zeros_like(self.b)

    def __call__(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        self.dW = self.x.T @ dy
        self.db = dy.sum(0)
        return dy @ self.W.T

    def params(self):
        yield self.W, self.dW
        yield self.b, self.db


class Hidden:
    """Gradients only in the generator."""

    def __init__(self, n_in, n_out):
        self._w, self._b = np.random.randn(n_in, n_out), np.zeros(n_out)
        self._store = [None, None]

    def __call__(self, x):
        self._x = x
        return x @ self._w + self._b

    def backward(self, dy):
        self._store = [self._x.T @ dy, dy.sum(axis=0)]
        return dy @ self._w.T

    def params(self):
        for value, grad in zip((self._w, self._b), self._store):
            yield value, grad


@dataclass
class DataLinear:
    weight: np.ndarray
    bias: np.ndarray
    _x: np.ndarray = field(init=False, repr=False)
    grad_weight: np.ndarray = field(init=False, repr=False)
    grad_bias: np.ndarray = field(init=False, repr=False)

    def forward(self, x):
        self._x = x
        return x @ self.weight.T + self.bias

    def backward(self, grad):
        self.grad_weight = grad.T @ self._x
        self.grad_bias = grad.sum(axis=0)
        return grad @ self.weight


class WeightedDense:
    def __init__(self, input_dim, output_dim):
        self.kernel_ = np.random.randn(input_dim, output_dim)
        self.offset_ = np.zeros(output_dim)

    def set_weights(self, weights):
        self.kernel_, self.offset_ = weights

    def get_weights(self):
        return [self.kernel_, self.offset_]

    def forward(self, inputs):
        self.inputs = inputs
        return inputs.dot(self.kernel_) + self.offset_

    def backward(self, grad):
        self.gradients = [self.inputs.T.dot(grad), grad.sum(axis=0)]
        return grad.dot(self.kernel_.T)

    def get_gradients(self):
        return self.gradients


class FwdBwd:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def fwd(self, x):
        self.x = x
        return x @ self.W + self.b

    def bwd(self, dy):
        self.dW, self.db = self.x.T @ dy, dy.sum(axis=0)
        return dy @ self.W.T


class Rectlin:
    def __init__(self, slope=0):
        self.slope = slope

    def fprop(self, inputs, inference=False):
        self.inputs = inputs
        return np.maximum(inputs, 0) + self.slope * np.minimum(0, inputs)

    def bprop(self, error, alpha=1.0, beta=0.0):
        return alpha * error * ((self.inputs > 0) + self.slope * (self.inputs <= 0))


class MeanSquaredError:
    def __call__(self, y_pred, y_true):
        return np.mean((y_pred - y_true) ** 2)

    def gradient(self, y_pred, y_true):
        return 2 * (y_pred - y_true) / y_pred.size


class RetainingFC:
    def __init__(self, n_out, act_fn=None, init="glorot_uniform", optimizer=None):
        self.n_in, self.n_out = None, n_out
        self.parameters = {"W": None, "b": None}
        self.is_initialized = False
        self.X = []

    def _init_params(self):
        self.parameters = {"W": np.random.randn(self.n_in, self.n_out), "b": np.zeros((1, self.n_out))}
        self.gradients = {"W": np.zeros((self.n_in, self.n_out)), "b": np.zeros((1, self.n_out))}
        self.is_initialized = True

    def forward(self, X, retain_derived=True):
        if not self.is_initialized:
            self.n_in = X.shape[1]
            self._init_params()
        Y = X @ self.parameters["W"] + self.parameters["b"]
        if retain_derived:
            self.X.append(X)
        return Y

    def backward(self, dLdy, retain_grads=True):
        X = self.X[-1]
        if retain_grads:
            self.gradients["W"] = self.gradients["W"] + X.T @ dLdy
            self.gradients["b"] = self.gradients["b"] + dLdy.sum(axis=0, keepdims=True)
        return dLdy @ self.parameters["W"].T

    def flush_gradients(self):
        self.X = []
        for k in self.gradients:
            self.gradients[k] = np.zeros_like(self.gradients[k])


class Softplus:
    @classmethod
    def forward(cls, x):
        return np.logaddexp(0, x)

    @classmethod
    def backward(cls, dy, x):
        return dy / (1 + np.exp(-x))


class MaxPool:
    def __init__(self, size=2, stride=2):
        self.size, self.stride = size, stride

    def feedforward(self, a):
        n, c, h, w = a.shape
        oh, ow = (h - self.size) // self.stride + 1, (w - self.size) // self.stride + 1
        self.a, out = a, np.zeros((n, c, oh, ow), a.dtype)
        for i in range(oh):
            for j in range(ow):
                out[:, :, i, j] = self._window(a, i, j).max(axis=(2, 3))
        return out

    def _window(self, a, i, j):
        s, k = self.stride, self.size
        return a[:, :, i * s : i * s + k, j * s : j * s + k]

    def backprop(self, delta):
        dx = np.zeros_like(self.a)
        for i in range(delta.shape[2]):
            for j in range(delta.shape[3]):
                win = self._window(self.a, i, j)
                flat = win.reshape(*win.shape[:2], -1)
                first = flat.argmax(axis=2)
                mask = (np.arange(flat.shape[2]) == first[..., None]).reshape(win.shape)
                self._window(dx, i, j)[...] += mask * delta[:, :, i, j][:, :, None, None]
        return dx
