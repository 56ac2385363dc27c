"""Parameters in objects, dicts and lists, and what a framework calls before the forward."""

import numpy as np


class Parameter:
    def __init__(self, data):
        self.data = np.asarray(data)
        self.grad = np.zeros_like(self.data)


class Module:
    def parameters(self):
        return [v for v in vars(self).values() if isinstance(v, Parameter)]

    def zero_grad(self):
        for p in self.parameters():
            p.grad = np.zeros_like(p.data)

    def __call__(self, *args):
        return self.forward(*args)


class Linear(Module):
    def __init__(self, in_features, out_features, bias=True):
        self.weight = Parameter(np.random.randn(out_features, in_features))
        self.bias = Parameter(np.zeros(out_features)) if bias else None

    def forward(self, x):
        self.x = x
        y = x @ self.weight.data.T
        return y + self.bias.data if self.bias is not None else y

    def backward(self, grad_output):
        self.weight.grad += grad_output.T @ self.x
        if self.bias is not None:
            self.bias.grad += grad_output.sum(axis=0)
        return grad_output @ self.weight.data


class SGD:
    """Steps over Parameter objects."""

    def __init__(self, params, lr=0.01, momentum=0.0):
        self.params, self.lr, self.momentum = list(params), lr, momentum
        self.velocity = [np.zeros_like(p.data) for p in self.params]

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    def step(self):
        for p, v in zip(self.params, self.velocity):
            v *= self.momentum
            v += p.grad
            p.data -= self.lr * v


class MatMulAffine:
    """dlfs2: lists params and grads, written in place."""

    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.x = None

    def forward(self, x):
        W, b = self.params
        self.x = x
        return np.dot(x, W) + b

    def backward(self, dout):
        W, b = self.params
        dx = np.dot(dout, W.T)
        self.grads[0][...] = np.dot(self.x.T, dout)
        self.grads[1][...] = np.sum(dout, axis=0)
        return dx


class FC:
    """{'val', 'grad'} dicts and underscored methods."""

    def __init__(self, D_in, D_out):
        self.cache = None
        self.W = {"val": np.random.normal(0.0, np.sqrt(2 / D_in), (D_in, D_out)), "grad": 0}
        self.b = {"val": np.random.randn(D_out), "grad": 0}

    def _forward(self, X):
        out = np.dot(X, self.W["val"]) + self.b["val"]
        self.cache = X
        return out

    def _backward(self, dout):
        X = self.cache
        dX = np.dot(dout, self.W["val"].T).reshape(X.shape)
        self.W["grad"] = np.dot(X.reshape(X.shape[0], np.prod(X.shape[1:])).T, dout)
        self.b["grad"] = np.sum(dout, axis=0)
        return dX


class DenseKeras:
    """build(input_shape) and call(inputs)."""

    def __init__(self, units, use_bias=True):
        self.units, self.use_bias = units, use_bias

    def build(self, input_shape):
        self.kernel = np.random.randn(input_shape[-1], self.units)
        self.bias = np.zeros((self.units,))

    def call(self, inputs):
        self.inputs = inputs
        out = inputs @ self.kernel
        return out + self.bias if self.use_bias else out

    def backward(self, grad):
        self.grad_kernel = self.inputs.T @ grad
        self.grad_bias = grad.sum(axis=0)
        return grad @ self.kernel.T


class TorchSeven:
    """updateOutput, updateGradInput, accGradParameters."""

    def __init__(self, n_in, n_out):
        self.W = np.random.uniform(-1, 1, size=(n_out, n_in))
        self.b = np.random.uniform(-1, 1, size=n_out)
        self.gradW = np.zeros_like(self.W)
        self.gradb = np.zeros_like(self.b)

    def forward(self, input):
        return self.updateOutput(input)

    def backward(self, input, gradOutput):
        self.updateGradInput(input, gradOutput)
        self.accGradParameters(input, gradOutput)
        return self.gradInput

    def updateOutput(self, input):
        self.output = input.dot(self.W.T) + self.b
        return self.output

    def updateGradInput(self, input, gradOutput):
        self.gradInput = np.dot(gradOutput, self.W)
        return self.gradInput

    def accGradParameters(self, input, gradOutput):
        self.gradW = np.dot(gradOutput.T, input)
        self.gradb = np.sum(gradOutput, axis=0)

    def zeroGradParameters(self):
        self.gradW.fill(0)
        self.gradb.fill(0)


class StateLayer:
    """params and grads in dicts, W and dW."""

    def __init__(self, input_dim, output_dim):
        self.params = {"W": np.random.randn(input_dim, output_dim), "b": np.zeros((1, output_dim))}
        self.grads = {}

    def forward(self, X):
        self.meta = X
        return X @ self.params["W"] + self.params["b"]

    def backward(self, dZ):
        self.grads["dW"] = self.meta.T @ dZ
        self.grads["db"] = dZ.sum(axis=0, keepdims=True)
        return dZ @ self.params["W"].T
