"""Arrays that support only DLPack, and layer normalization in the style of courses."""

from typing import Any

import numpy as np

import parity


class OnlyDLPack:
    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array)

    def __dlpack__(self, **_: Any) -> Any:
        return self.array.__dlpack__()

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


def tanh(x: Any) -> Any:
    y = np.tanh(x)
    return OnlyDLPack(y), lambda dy: OnlyDLPack(dy * (1 - y * y))


def layernorm_forward(x: Any, gamma: Any, beta: Any, ln_param: Any) -> Any:
    eps = ln_param.get("eps", 1e-5)
    mean, var = x.mean(axis=1, keepdims=True), x.var(axis=1, keepdims=True)
    normal = (x - mean) / np.sqrt(var + eps)
    return gamma * normal + beta, (normal, gamma, var, eps)


def layernorm_backward(dout: Any, cache: Any, of_mean: int = 1) -> Any:
    normal, gamma, var, eps = cache
    g = dout * gamma
    dx = g - of_mean * g.mean(axis=1, keepdims=True) - normal * (g * normal).mean(axis=1, keepdims=True)
    return dx / np.sqrt(var + eps), (dout * normal).sum(axis=0), dout.sum(axis=0)


def backward_without_mean(dout: Any, cache: Any) -> Any:
    return layernorm_backward(dout, cache, 0)


def test_arrays_that_support_only_dlpack_are_accepted() -> None:
    report = parity.check("tanh", tanh, examples=10)
    assert report.ok, f"\n{report}"


def test_an_array_that_does_not_convert_is_a_finding() -> None:
    class Broken(OnlyDLPack):
        def __dlpack__(self, **_: Any) -> Any:
            raise BufferError("it is on another device")

    report = parity.check("tanh", lambda x: (Broken(x), lambda dy: dy), examples=3, lanes=["bound"])
    assert "does not convert to a NumPy array: it is on another device" in report.failures[0].diagnosis


def test_layer_normalization_of_a_course() -> None:
    report = parity.check("layer_norm", (layernorm_forward, layernorm_backward), examples=10)
    assert report.ok, f"\n{report}"


def test_a_missing_term_of_layer_normalization_is_named() -> None:
    pair = layernorm_forward, backward_without_mean
    report = parity.check("layer_norm", pair, examples=10, lanes=["bound"])
    assert [(f.quantity, f.explanation) for f in report.failures] == [("grad_input", "mean-constant")]
