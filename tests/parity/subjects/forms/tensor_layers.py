"""Layers over torch tensors with hand-written gradients in .g, or without a backward."""

import torch


class Module:
    def __call__(self, *args):
        self.args = args
        self.out = self.forward(*args)
        return self.out

    def backward(self):
        self.bwd(self.out, *self.args)


class Lin(Module):
    def __init__(self, w, b):
        self.w, self.b = w, b

    def forward(self, inp):
        return inp @ self.w + self.b

    def bwd(self, out, inp):
        inp.g = out.g @ self.w.t()
        self.w.g = inp.t() @ out.g
        self.b.g = out.g.sum(0)


def lin(x, w, b):
    return x @ w + b


def lin_grad(inp, out, w, b):
    inp.g = out.g @ w.t()
    w.g, b.g = inp.t() @ out.g, out.g.sum(0)


class BatchNorm1d:
    """A class with __call__, differentiated by autograd."""

    def __init__(self, dim, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = torch.ones(dim), torch.zeros(dim)
        self.running_mean, self.running_var = torch.zeros(dim), torch.ones(dim)

    def __call__(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = x.mean(0, keepdim=True), x.var(0, keepdim=True, unbiased=False)
            with torch.no_grad():
                self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean
                spread = x.var(0, keepdim=True)
                self.running_var = (1 - self.momentum) * self.running_var + self.momentum * spread
        self.out = self.gamma * (x - mean) / torch.sqrt(var + self.eps) + self.beta
        return self.out


def corr2d(X, K):
    h, w = K.shape
    Y = torch.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1), dtype=X.dtype)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


def corr2d_multi_in_out(X, K):
    """One image (C, H, W)."""
    return torch.stack([sum(corr2d(x, k) for x, k in zip(X, kernels)) for kernels in K], 0)


class BatchNorm:
    """Static methods over tensors, with a dict of options."""

    @staticmethod
    def forward(x, gamma, beta, bn_param):
        eps, momentum = bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9)
        zeros = torch.zeros(x.shape[1], dtype=x.dtype)
        mean, var = bn_param.get("running_mean", zeros), bn_param.get("running_var", zeros)
        cache = None
        if bn_param["mode"] == "train":
            old_mean, old_var, mean, var = mean, var, x.mean(dim=0), x.var(dim=0, unbiased=False)
            bn_param["running_mean"] = (momentum * old_mean + (1 - momentum) * mean).detach()
            bn_param["running_var"] = (momentum * old_var + (1 - momentum) * var).detach()
        x_hat = (x - mean) / torch.sqrt(var + eps)
        if bn_param["mode"] == "train":
            cache = x_hat, gamma, torch.sqrt(var + eps)
        return gamma * x_hat + beta, cache

    @staticmethod
    def backward(dout, cache):
        x_hat, gamma, std = cache
        N = dout.shape[0]
        dgamma, dbeta = (dout * x_hat).sum(dim=0), dout.sum(dim=0)
        return gamma / std / N * (N * dout - dbeta - x_hat * dgamma), dgamma, dbeta
