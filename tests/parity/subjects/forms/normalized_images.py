"""Normalizations of images, and one with a gain and an offset."""

import numpy as np


class BatchNorm2D:
    def __init__(self, num_channels, eps=1e-5, momentum=0.1):
        self.eps, self.momentum = eps, momentum
        self.scale = np.ones((1, num_channels, 1, 1))
        self.shift = np.zeros((1, num_channels, 1, 1))
        self.running_mean = np.zeros((1, num_channels, 1, 1))
        self.running_var = np.ones((1, num_channels, 1, 1))
        self.training = True

    def forward(self, x):
        if self.training:
            mu = x.mean(axis=(0, 2, 3), keepdims=True)
            var = x.var(axis=(0, 2, 3), keepdims=True)
            m = x.size / x.shape[1]
            self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mu
            self.running_var = (1 - self.momentum) * self.running_var + self.momentum * var * m / (m - 1)
        else:
            mu, var = self.running_mean, self.running_var
        self.std = np.sqrt(var + self.eps)
        self.xhat = (x - mu) / self.std
        return self.scale * self.xhat + self.shift

    def backward(self, grad):
        axes = (0, 2, 3)
        self.dscale = (grad * self.xhat).sum(axis=axes, keepdims=True)
        self.dshift = grad.sum(axis=axes, keepdims=True)
        if not self.training:
            return grad * self.scale / self.std
        m = grad.size / grad.shape[1]
        g = grad * self.scale
        return (
            g - g.mean(axis=axes, keepdims=True) - self.xhat * (g * self.xhat).sum(axis=axes, keepdims=True) / m
        ) / self.std


class LayerNorm:
    def __init__(self, dim, eps=1e-5):
        self.gain = np.ones(dim)
        self.offset = np.zeros(dim)
        self.eps = eps

    def __call__(self, x):
        mean = x.mean(axis=-1, keepdims=True)
        self.inv = 1.0 / np.sqrt(((x - mean) ** 2).mean(axis=-1, keepdims=True) + self.eps)
        self.n = (x - mean) * self.inv
        return self.n * self.gain + self.offset

    def grad(self, dy):
        red = tuple(range(dy.ndim - 1))
        self.d_gain = (dy * self.n).sum(axis=red)
        self.d_offset = dy.sum(axis=red)
        dn = dy * self.gain
        return self.inv * (
            dn - dn.mean(axis=-1, keepdims=True) - self.n * (dn * self.n).mean(axis=-1, keepdims=True)
        )


def spatial_groupnorm_forward(x, gamma, beta, G, gn_param):
    eps = gn_param.get("eps", 1e-5)
    N, C, H, W = x.shape
    xg = x.reshape(N, G, C // G, H, W)
    mean = np.mean(xg, axis=(2, 3, 4), keepdims=True)
    var = np.var(xg, axis=(2, 3, 4), keepdims=True)
    xhat = ((xg - mean) / np.sqrt(var + eps)).reshape(N, C, H, W)
    out = gamma * xhat + beta
    return out, (G, xhat, gamma, var, eps)


def spatial_groupnorm_backward(dout, cache):
    G, xhat, gamma, var, eps = cache
    N, C, H, W = dout.shape
    dgamma = np.sum(dout * xhat, axis=(0, 2, 3), keepdims=True)
    dbeta = np.sum(dout, axis=(0, 2, 3), keepdims=True)
    D = C // G * H * W
    dxhat = (dout * gamma).reshape(N, G, C // G, H, W)
    xh = xhat.reshape(N, G, C // G, H, W)
    axes = (2, 3, 4)
    dx = (D * dxhat - dxhat.sum(axis=axes, keepdims=True) - xh * (dxhat * xh).sum(axis=axes, keepdims=True)) / (
        D * np.sqrt(var + eps)
    )
    return dx.reshape(N, C, H, W), dgamma, dbeta


class InstanceNorm:
    def __init__(self, n_channels, epsilon=1e-5):
        self.gamma = np.ones(n_channels)
        self.beta = np.zeros(n_channels)
        self.epsilon = epsilon

    def forward(self, x):
        m = np.einsum("nchw->nc", x) / (x.shape[2] * x.shape[3])
        xc = x - m[:, :, None, None]
        v = np.einsum("nchw,nchw->nc", xc, xc) / (x.shape[2] * x.shape[3])
        self.istd = 1 / np.sqrt(v + self.epsilon)
        self.xn = xc * self.istd[:, :, None, None]
        return np.einsum("nchw,c->nchw", self.xn, self.gamma) + self.beta[None, :, None, None]

    def backward(self, dout):
        self.dgamma = np.einsum("nchw,nchw->c", dout, self.xn)
        self.dbeta = np.einsum("nchw->c", dout)
        d = np.einsum("nchw,c->nchw", dout, self.gamma)
        size = dout.shape[2] * dout.shape[3]
        a = np.einsum("nchw->nc", d)[:, :, None, None] / size
        b = np.einsum("nchw,nchw->nc", d, self.xn)[:, :, None, None] / size
        return (d - a - self.xn * b) * self.istd[:, :, None, None]
