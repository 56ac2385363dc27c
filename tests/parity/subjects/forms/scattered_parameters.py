"""Parameters as objects in a dict, in slots, and in a dict of a base class that takes no further keywords."""

from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


@dataclass
class Param:
    value: np.ndarray
    grad: np.ndarray = field(init=False)

    def __post_init__(self):
        self.grad = np.zeros_like(self.value)


class Conv:
    def __init__(self, in_ch, out_ch, *, k=3, s=1, p=0, bias=True):
        self.k, self.s, self.p = k, s, p
        self.params = {"kernel": Param(np.random.randn(out_ch, in_ch, k, k))}
        if bias:
            self.params["bias"] = Param(np.zeros(out_ch))

    def forward(self, x):
        k, s, p = self.k, self.s, self.p
        xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        self.shape, self.windows = xp.shape, sliding_window_view(xp, (k, k), axis=(2, 3))[:, :, ::s, ::s]
        y = np.einsum("nchwij,ocij->nohw", self.windows, self.params["kernel"].value)
        return y + self.params["bias"].value[None, :, None, None] if "bias" in self.params else y

    def backward(self, dout):
        kernel, k, s, p = self.params["kernel"], self.k, self.s, self.p
        kernel.grad = np.einsum("nchwij,nohw->ocij", self.windows, dout)
        if "bias" in self.params:
            self.params["bias"].grad = dout.sum((0, 2, 3))
        dx, (oh, ow) = np.zeros(self.shape, dout.dtype), dout.shape[2:]
        for i in range(k):
            for j in range(k):
                taps = np.einsum("nohw,oc->nchw", dout, kernel.value[:, :, i, j])
                dx[:, :, i : i + s * oh : s, j : j + s * ow : s] += taps
        return dx[:, :, p : dx.shape[2] - p, p : dx.shape[3] - p]


class TemporalConv:
    __slots__ = ("W", "b", "gW", "gb", "kernel", "stride", "x")

    def __init__(self, c_in, c_out, kernel=3, stride=1):
        self.kernel, self.stride = kernel, stride
        self.W, self.b = np.random.randn(kernel, c_in, c_out), np.zeros(c_out)

    def forward(self, x):
        self.x, k, s = x, self.kernel, self.stride
        steps = range(0, x.shape[1] - k + 1, s)
        return np.stack([np.tensordot(x[:, t : t + k], self.W, ([1, 2], [0, 1])) + self.b for t in steps], 1)

    def backward(self, gy):
        k, gx = self.kernel, np.zeros_like(self.x)
        self.gW, self.gb = np.zeros_like(self.W), gy.sum(axis=(0, 1))
        for t in range(gy.shape[1]):
            window = slice(t * self.stride, t * self.stride + k)
            self.gW += np.tensordot(self.x[:, window], gy[:, t], ([0], [0]))
            gx[:, window] += np.einsum("no,kio->nki", gy[:, t], self.W)
        return gx


class BaseLayer:
    def __init__(self):
        self.is_training, self.trainable, self.grads, self.buffers = True, {}, {}, {}

    def train(self):
        self.is_training = True

    def eval(self):
        self.is_training = False


class BatchNorm(BaseLayer):
    def __init__(self, n_features, eps=1e-5, momentum=0.1, **kwargs):
        super().__init__(**kwargs)
        self.eps, self.momentum = eps, momentum
        self.trainable = {"gamma": np.ones(n_features), "beta": np.zeros(n_features)}
        self.buffers = {"running_mean": np.zeros(n_features), "running_var": np.ones(n_features)}

    def forward(self, x):
        kept, n = self.buffers, x.size / x.shape[1]
        mu, var = kept["running_mean"], kept["running_var"]
        if self.is_training:
            mu, var, m = x.mean((0, 2, 3)), x.var((0, 2, 3)), self.momentum
            kept["running_mean"] = (1 - m) * kept["running_mean"] + m * mu
            kept["running_var"] = (1 - m) * kept["running_var"] + m * var * n / (n - 1)
        self.istd = 1 / np.sqrt(var + self.eps)[:, None, None]
        self.xn = (x - mu[:, None, None]) * self.istd
        return self.trainable["gamma"][:, None, None] * self.xn + self.trainable["beta"][:, None, None]

    def backward(self, dy):
        ax = (0, 2, 3)
        self.grads["gamma"], self.grads["beta"] = (dy * self.xn).sum(ax), dy.sum(ax)
        d = dy * self.trainable["gamma"][:, None, None]
        if not self.is_training:
            return d * self.istd
        return self.istd * (d - d.mean(ax, keepdims=True) - self.xn * (d * self.xn).mean(ax, keepdims=True))
