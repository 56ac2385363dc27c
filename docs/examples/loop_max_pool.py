"""Max-pooling by loops over every window."""

import numpy as np


def max_pool(x, size, stride):
    n, c, h, w = x.shape
    rows, columns = (h - size) // stride + 1, (w - size) // stride + 1
    y = np.zeros((n, c, rows, columns), x.dtype)
    winners = np.zeros((n, c, rows, columns), int)
    for b in range(n):
        for k in range(c):
            for i in range(rows):
                for j in range(columns):
                    window = x[b, k, i * stride : i * stride + size, j * stride : j * stride + size]
                    winners[b, k, i, j] = winner(window)
                    y[b, k, i, j] = window.flat[winners[b, k, i, j]]

    def pullback(dy):
        dx = np.zeros_like(x)
        for b, k, i, j in np.ndindex(dy.shape):
            row, column = divmod(winners[b, k, i, j], size)
            dx[b, k, i * stride + row, j * stride + column] += dy[b, k, i, j]
        return (dx,)

    return y, pullback


def winner(window):
    if np.isnan(window).any():
        return np.flatnonzero(np.isnan(window))[-1]  # the last NaN, as in torch
    return int(window.argmax())


def last_of_equals(x, size, stride):
    y, _ = max_pool(x, size, stride)

    def pullback(dy):
        dx = np.zeros_like(x)
        for b, k, i, j in np.ndindex(dy.shape):
            rows, columns = slice(i * stride, i * stride + size), slice(j * stride, j * stride + size)
            window = x[b, k, rows, columns]
            row, column = np.argwhere((window == y[b, k, i, j]) | np.isnan(window))[-1]  # torch selects the first
            dx[b, k, i * stride + row, j * stride + column] += dy[b, k, i, j]
        return (dx,)

    return y, pullback
