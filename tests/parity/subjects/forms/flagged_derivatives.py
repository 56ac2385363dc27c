"""Functions that return their derivative by a flag, and other small forms."""

import numpy as np


def sigmoid(x, deriv=False):
    if deriv:
        return x * (1 - x)
    return 1 / (1 + np.exp(-x))


def leaky_relu(x, derivative=False, alpha=0.01):
    if derivative:
        return np.where(x > 0, 1.0, alpha).astype(x.dtype)
    return np.where(x > 0, x, alpha * x)


class CrossEntropyFromLogits:
    def __init__(self):
        self.cache = {}

    def forward(self, y_out, y_truth, reduction="mean"):
        N = len(y_truth)
        y_truth_one_hot = np.zeros_like(y_out)
        y_truth_one_hot[np.arange(N), y_truth] = 1
        y_out_exp = np.exp(y_out - np.max(y_out, axis=1, keepdims=True))
        y_out_probabilities = y_out_exp / np.sum(y_out_exp, axis=1, keepdims=True)
        loss = -y_truth_one_hot * np.log(y_out_probabilities)
        loss = loss.sum(axis=1).reshape(N, -1)
        if reduction == "mean":
            loss = loss.sum() / N
        elif reduction == "sum":
            loss = loss.sum()
        elif reduction != "none":
            raise NotImplementedError
        self.cache["probs"] = y_out_probabilities
        return loss

    def backward(self, y_out, y_truth):
        N = len(y_truth)
        gradient = self.cache["probs"].copy()
        gradient[np.arange(N), y_truth] -= 1
        gradient /= N
        return gradient

    def __call__(self, y_out, y_truth, reduction="mean"):
        loss = self.forward(y_out, y_truth, reduction)
        grad = self.backward(y_out, y_truth)
        return loss, grad
