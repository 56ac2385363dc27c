"""Losses with a reduction of their own, and losses whose backward takes the predictions."""

import numpy as np


def probabilities(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_loss(x, y):
    """The sum over the batch."""
    p, rows = probabilities(x), np.arange(len(x))
    loss = -np.log(p[rows, y]).sum()
    p[rows, y] -= 1
    return loss, p


class SoftmaxCrossEntropy:
    """One loss for each sample, with one-hot rows."""

    def forward(self, x, y):
        shifted = x - x.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        self.sm, self.labels = np.exp(log_p), y
        return -np.sum(y * log_p, axis=1)

    def derivative(self):
        return self.sm - self.labels


class SquaredError:
    """Static methods; the sum over all entries."""

    @staticmethod
    def loss(y, y_pred):
        return np.sum((y_pred - y) ** 2)

    @staticmethod
    def grad(y, y_pred):
        return 2 * (y_pred - y)


class Loss:
    def calculate(self, output, y):
        return np.mean(self.forward(output, y))


class Loss_MeanSquaredError(Loss):
    """`forward` returns the loss of each sample, `calculate` their mean; dvalues are the predictions."""

    def forward(self, y_pred, y_true):
        return np.mean((y_true - y_pred) ** 2, axis=-1)

    def backward(self, dvalues, y_true):
        samples, outputs = len(dvalues), len(dvalues[0])
        self.dinputs = -2 * (y_true - dvalues) / outputs / samples


class Activation_Softmax_Loss:
    """Softmax and its loss in one; dvalues are the probabilities, which are clipped before the logarithm."""

    def forward(self, inputs, y_true):
        self.output = probabilities(inputs)
        clipped = np.clip(self.output, 1e-7, 1 - 1e-7)
        if y_true.ndim == 1:
            confidences = clipped[range(len(inputs)), y_true]
        else:
            confidences = np.sum(clipped * y_true, axis=1)
        return np.mean(-np.log(confidences))

    def backward(self, dvalues, y_true):
        samples = len(dvalues)
        if y_true.ndim == 2:
            y_true = np.argmax(y_true, axis=1)
        self.dinputs = dvalues.copy()
        self.dinputs[range(samples), y_true] -= 1
        self.dinputs = self.dinputs / samples
