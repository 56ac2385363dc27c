"""The approach of most NumPy tutorials: windows by as_strided, products by one einsum, gradients by masks.

Every layer computes its input gradient; the convolution scatters its gradient back tap by tap. By default einsum
loops; with optimize=True, a separate contender, it calls BLAS.
"""

from collections.abc import Callable

import numpy as np
from cases import Array, Case, images
from numpy.lib.stride_tricks import as_strided


def windows(x: Array, kernel: int) -> Array:
    """The windows of x (N, C, H, W) as a view (N, C, oh, ow, kh, kw)."""
    n, c, h, w = x.shape
    s = x.strides
    side = (h - kernel + 1, w - kernel + 1)
    return as_strided(x, (n, c, *side, kernel, kernel), (*s, *s[2:]))


def forward(p: dict[str, Array], x: Array, optimize: bool = False) -> tuple[Array, ...]:
    """Every layer's output: convolution, ReLU, pooling, flattened, dense, ReLU, scores."""
    conv = (
        np.einsum("nchwij,ocij->nohw", windows(x, 3), p["conv.w"], optimize=optimize) + p["conv.b"][:, None, None]
    )
    relu = np.maximum(conv, 0)
    n, c, h, w = relu.shape
    pool = relu.reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))
    flat = pool.reshape(n, -1)
    dense = flat @ p["fc1.w"].T + p["fc1.b"]
    hidden = np.maximum(dense, 0)
    return conv, relu, pool, flat, dense, hidden, hidden @ p["fc2.w"].T + p["fc2.b"]


def gradients(
    p: dict[str, Array], x: Array, labels: Array, optimize: bool = False
) -> tuple[dict[str, Array], Array]:
    """The gradients of the mean cross-entropy with respect to the parameters and to the images."""
    conv, relu, pool, flat, dense, hidden, scores = forward(p, x, optimize)
    d = np.exp(scores - scores.max(axis=1, keepdims=True))
    d /= d.sum(axis=1, keepdims=True)
    d[np.arange(len(x)), labels] -= 1
    d /= len(x)
    found = {"fc2.w": d.T @ hidden, "fc2.b": d.sum(axis=0)}
    d = (d @ p["fc2.w"]) * (dense > 0)
    found |= {"fc1.w": d.T @ flat, "fc1.b": d.sum(axis=0)}
    d = (d @ p["fc1.w"]).reshape(pool.shape)
    largest = relu == pool.repeat(2, axis=2).repeat(2, axis=3)  # all equal maxima receive the gradient
    d = d.repeat(2, axis=2).repeat(2, axis=3) * largest * (conv > 0)
    weight = np.einsum("nchwij,nohw->ocij", windows(x, 3), d, optimize=optimize)
    found |= {"conv.w": weight, "conv.b": d.sum(axis=(0, 2, 3))}
    pictures, (h, w) = np.zeros_like(x), conv.shape[2:]
    for i, j in np.ndindex(3, 3):
        pictures[:, :, i : i + h, j : j + w] += np.einsum(
            "nohw,oc->nchw", d, p["conv.w"][:, :, i, j], optimize=optimize
        )
    return found, pictures


def prepare(workload: str, case: Case, variant: str = "") -> Callable[[], object]:
    """The function to time; `variant` may be "optimized"."""
    optimize = variant == "optimized"
    draw = np.random.default_rng(0).standard_normal
    shapes = {
        "conv.w": (8, 1, 3, 3),
        "conv.b": 8,
        "fc1.w": (128, 1352),
        "fc1.b": 128,
        "fc2.w": (10, 128),
        "fc2.b": 10,
    }
    p = {name: 0.05 * draw(shape, dtype=np.float32) for name, shape in shapes.items()}
    m, v = ({name: np.zeros_like(array) for name, array in p.items()} for _ in range(2))
    x, labels = images(case)
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        found, _ = gradients(p, x, labels, optimize)
        for name, g in found.items():
            m[name] = 0.9 * m[name] + 0.1 * g
            v[name] = 0.999 * v[name] + 0.001 * g**2
            corrected = m[name] / (1 - 0.9**steps), v[name] / (1 - 0.999**steps)
            p[name] -= 0.001 * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)

    return step if workload == "step" else lambda: forward(p, x, optimize)
