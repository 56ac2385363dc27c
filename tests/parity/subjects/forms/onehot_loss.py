"""A loss over one-hot targets that takes the logarithm of probabilities."""

import numpy as np


def cross_entropy_loss(scores, y_onehot):
    m = scores.shape[0]
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    loss = -np.sum(y_onehot * np.log(p)) / m
    grad = (p - y_onehot) / m
    return loss, grad
