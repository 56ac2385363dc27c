"""Static classes over torch tensors, options in dicts, gradients by hand."""

import torch


class Linear:
    @staticmethod
    def forward(x, w, b):
        out = x.reshape(x.shape[0], -1).mm(w) + b
        return out, (x, w, b)

    @staticmethod
    def backward(dout, cache):
        x, w, b = cache
        dx = dout.mm(w.t()).reshape(x.shape)
        dw = x.reshape(x.shape[0], -1).t().mm(dout)
        db = dout.sum(dim=0)
        return dx, dw, db


class ReLU:
    @staticmethod
    def forward(x):
        return x.clamp(min=0), x

    @staticmethod
    def backward(dout, cache):
        dx = dout.clone()
        dx[cache <= 0] = 0
        return dx


class Conv:
    @staticmethod
    def forward(x, w, b, conv_param):
        stride, pad = conv_param["stride"], conv_param["pad"]
        N, C, H, W = x.shape
        F, _, HH, WW = w.shape
        xp = torch.nn.functional.pad(x, (pad, pad, pad, pad))
        Ho, Wo = 1 + (H + 2 * pad - HH) // stride, 1 + (W + 2 * pad - WW) // stride
        out = torch.zeros((N, F, Ho, Wo), dtype=x.dtype, device=x.device)
        for n in range(N):
            for f in range(F):
                for i in range(Ho):
                    for j in range(Wo):
                        window = xp[n, :, i * stride : i * stride + HH, j * stride : j * stride + WW]
                        out[n, f, i, j] = (window * w[f]).sum() + b[f]
        return out, (x, w, b, conv_param)

    @staticmethod
    def backward(dout, cache):
        x, w, b, conv_param = cache
        stride, pad = conv_param["stride"], conv_param["pad"]
        N, C, H, W = x.shape
        F, _, HH, WW = w.shape
        xp = torch.nn.functional.pad(x, (pad, pad, pad, pad))
        dxp, dw, db = torch.zeros_like(xp), torch.zeros_like(w), dout.sum(dim=(0, 2, 3))
        for n in range(N):
            for f in range(F):
                for i in range(dout.shape[2]):
                    for j in range(dout.shape[3]):
                        rows, columns = slice(i * stride, i * stride + HH), slice(j * stride, j * stride + WW)
                        dw[f] += dout[n, f, i, j] * xp[n, :, rows, columns]
                        dxp[n, :, rows, columns] += dout[n, f, i, j] * w[f]
        return dxp[:, :, pad : pad + H, pad : pad + W], dw, db


class MaxPool:
    @staticmethod
    def forward(x, pool_param):
        ph, pw, stride = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
        N, C, H, W = x.shape
        Ho, Wo = 1 + (H - ph) // stride, 1 + (W - pw) // stride
        out = torch.zeros((N, C, Ho, Wo), dtype=x.dtype, device=x.device)
        for i in range(Ho):
            for j in range(Wo):
                window = x[:, :, i * stride : i * stride + ph, j * stride : j * stride + pw]
                out[:, :, i, j] = window.reshape(N, C, -1).max(dim=2).values
        return out, (x, pool_param)

    @staticmethod
    def backward(dout, cache):
        x, pool_param = cache
        ph, pw, stride = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
        dx = torch.zeros_like(x)
        for n in range(x.shape[0]):
            for c in range(x.shape[1]):
                for i in range(dout.shape[2]):
                    for j in range(dout.shape[3]):
                        window = x[n, c, i * stride : i * stride + ph, j * stride : j * stride + pw]
                        at = int(window.reshape(-1).argmax())
                        dx[n, c, i * stride + at // pw, j * stride + at % pw] += dout[n, c, i, j]
        return dx
