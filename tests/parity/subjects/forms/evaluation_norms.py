"""Normalizations with an evaluation mode whose backward is only meaningful after training."""

import copy

import numpy as np


class BatchNorm1d:
    """`forward(Z, eval=False)`, parameters in rows, running statistics with a weight alpha of the old ones."""

    def __init__(self, num_features, alpha=0.9):
        self.alpha, self.eps = alpha, 1e-8
        self.BW, self.Bb = np.ones((1, num_features)), np.zeros((1, num_features))
        self.running_M, self.running_V = np.zeros((1, num_features)), np.ones((1, num_features))

    def forward(self, Z, eval=False):
        if eval:
            mean, var = self.running_M, self.running_V
        else:
            mean, var = self.M, self.V = Z.mean(axis=0, keepdims=True), Z.var(axis=0, keepdims=True)
            self.Z, self.N = Z, len(Z)
            self.running_M = self.alpha * self.running_M + (1 - self.alpha) * mean
            self.running_V = self.alpha * self.running_V + (1 - self.alpha) * var
        self.NZ = (Z - mean) / np.sqrt(var + self.eps)
        return self.BW * self.NZ + self.Bb

    def backward(self, dLdBZ):
        self.dLdBW = (dLdBZ * self.NZ).sum(axis=0, keepdims=True)
        self.dLdBb = dLdBZ.sum(axis=0, keepdims=True)
        dLdNZ, std, centred = dLdBZ * self.BW, np.sqrt(self.V + self.eps), self.Z - self.M
        dLdV = -0.5 * (dLdNZ * centred).sum(axis=0, keepdims=True) / std**3
        dLdM = -dLdNZ.sum(axis=0, keepdims=True) / std
        return dLdNZ / std + 2 / self.N * dLdV * centred + dLdM / self.N


class BatchNormalization:
    """`forward_pass(X, training=True)`, prepared by `initialize(optimizer)`, which updates it in backward_pass."""

    def __init__(self, momentum=0.99):
        self.momentum, self.eps = momentum, 0.01
        self.running_mean = self.running_var = None

    def set_input_shape(self, shape):
        self.input_shape = shape

    def initialize(self, optimizer):
        self.gamma, self.beta = np.ones(self.input_shape), np.zeros(self.input_shape)
        self.gamma_opt, self.beta_opt = copy.copy(optimizer), copy.copy(optimizer)

    def forward_pass(self, X, training=True):
        if self.running_mean is None:
            self.running_mean, self.running_var = X.mean(axis=0), X.var(axis=0)
        mean, var = self.running_mean, self.running_var
        if training:
            mean, var = X.mean(axis=0), X.var(axis=0)
            self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mean
            self.running_var = self.momentum * self.running_var + (1 - self.momentum) * var
        self.centred, self.inverse = X - mean, 1 / np.sqrt(var + self.eps)
        return self.gamma * self.centred * self.inverse + self.beta

    def backward_pass(self, accum_grad):
        gamma, normal = self.gamma, self.centred * self.inverse
        self.gamma = self.gamma_opt.update(self.gamma, np.sum(accum_grad * normal, axis=0))
        self.beta = self.beta_opt.update(self.beta, np.sum(accum_grad, axis=0))
        terms = accum_grad - np.mean(accum_grad, axis=0) - normal * np.mean(accum_grad * normal, axis=0)
        return gamma * self.inverse * terms
