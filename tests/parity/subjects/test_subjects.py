"""Common forms of layers are recognised and called, and their gradients are located."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import parity
from numpy_cnn import ops
from parity import subjects as adapters
from parity.subjects.errors import Declined

pytestmark = pytest.mark.usefixtures("named")

EXAMPLES = 25


def dense(x: Any, w: Any, b: Any) -> Any:
    return x @ w + b


# ---- pairs


def test_a_failure_names_the_line_of_its_function() -> None:
    def flipped(x: Any, w: Any, b: Any) -> Any:
        return -dense(x, w, b), (x, w, b)

    def doubled(dout: Any, cache: Any) -> Any:
        return tuple(2 * gradient for gradient in affine_backward(dout, cache))

    for forward, backward, wrong in ((flipped, affine_backward, flipped), (affine_forward, doubled, doubled)):
        report = parity.check("linear", (forward, backward), examples=EXAMPLES, lanes=["exact"])
        assert {failure.place for failure in report.failures} == {
            f"test_subjects.py:{wrong.__code__.co_firstlineno}"
        }


def affine_forward(x: Any, w: Any, b: Any) -> Any:
    """A dense layer in the style of courses: weights (in, out)."""
    return dense(x, w, b), (x, w, b)


def affine_backward(dout: Any, cache: Any) -> Any:
    x, w, _ = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)


def affine_backward_swapped(cache: Any, dout: Any) -> Any:
    return affine_backward(dout, cache)


def affine_backward_as_dict(d_out: Any, ctx: Any) -> Any:
    dx, dw, db = affine_backward(d_out, ctx)
    return {"dx": dx, "grads": 0, "dW": dw, "db": db}


def affine_backward_nested(dout: Any, cache: Any) -> Any:
    dx, dw, db = affine_backward(dout, cache)
    return dx, (dw, db)


def affine_backward_mixed(dout: Any, cache: Any) -> Any:
    dx, dw, db = affine_backward(dout, cache)
    return dx, {"w": dw, "b": db}


def affine_output(x: Any, w: Any, b: Any) -> Any:
    return dense(x, w, b)


def affine_backward_from_inputs(dout: Any, x: Any, w: Any) -> Any:
    return affine_backward(dout, (x, w, None))


def conv_forward(x: Any, w: Any, b: Any, conv_param: dict[str, int]) -> Any:
    out, pullback = ops.conv2d(x, w, b, stride=conv_param["stride"], padding=conv_param["pad"])
    return out, pullback


def conv_backward(dout: Any, cache: Any) -> Any:
    return cache(dout)


def conv_forward_keywords(x: Any, w: Any, b: Any = None, strides: int = 1, pad: int = 0) -> Any:
    if not isinstance(strides, int) or not isinstance(pad, int):
        raise TypeError("strides and pad are numbers")
    return ops.conv2d(x, w, b, stride=strides, padding=pad)


def pool_forward(x: Any, pool_param: dict[str, int]) -> Any:
    size = pool_param["pool_height"], pool_param["pool_width"]
    return ops.max_pool2d(x, size, pool_param["stride"])


# ---- classes


class Dense:
    """Takes its sizes; parameters and gradients are attributes, weights (in, out), biases (1, out)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        self.W = np.random.randn(in_features, out_features) * 0.1
        self.b = np.zeros((1, out_features))

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.W + self.b

    def backward(self, grad_output: Any) -> Any:
        self.dW = self.x.T @ grad_output
        self.db = grad_output.sum(axis=0, keepdims=True)
        return grad_output @ self.W.T


class DenseTorchWay(Dense):
    """Weights (out, in), gradients in a dict, and unused arguments for a rate and a name."""

    def __init__(self, n_inputs: int, n_outputs: int, use_bias: bool = True, name: str = "dense") -> None:
        self.weights = np.zeros((n_outputs, n_inputs))
        self.biases = np.zeros(n_outputs) if use_bias else None

    def forward(self, inputs: Any, training: bool = True) -> Any:
        self.inputs = inputs
        y = inputs @ self.weights.T
        return y if self.biases is None else y + self.biases

    def backward(self, dvalues: Any) -> Any:
        self.grads = {"weights": dvalues.T @ self.inputs, "biases": dvalues.sum(0)}
        return dvalues @ self.weights


class DenseThatLearns:
    """Updates its weights in backward, by a rate passed as an argument; parameters are in a dict."""

    def __init__(self, input_size: int, output_size: int, learning_rate: float = 0.1) -> None:
        self.params = {"W": np.zeros((input_size, output_size)), "b": np.zeros(output_size)}
        self.learning_rate = learning_rate

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, grad: Any) -> Any:
        self.weight_grad, self.bias_grad = self.x.T @ grad, grad.sum(0)
        dx = grad @ self.params["W"].T
        self.params["W"] -= self.learning_rate * self.weight_grad
        self.params["b"] -= self.learning_rate * self.bias_grad
        return dx


class LazyDense:
    """Creates its parameters at the first call, prints, and reseeds NumPy."""

    def __init__(self, units: int) -> None:
        self.units = units
        self.w = self.b = None

    def __call__(self, x: Any) -> Any:
        np.random.seed(0)
        print("forward of", x.shape)
        if self.w is None:
            self.w, self.b = np.random.rand(x.shape[1], self.units), np.zeros(self.units)
        self.x = x
        return x @ self.w + self.b

    def backward(self, delta: Any) -> Any:
        return delta @ self.w.T, [self.x.T @ delta, delta.sum(0)]


class Conv:
    """Takes its sizes; a square kernel and a single stride."""

    def __init__(
        self, in_channels: int, num_filters: int, kernel_size: int = 3, stride: int = 1, pad: int = 0
    ) -> None:
        if not isinstance(kernel_size, int) or not isinstance(stride, int):
            raise TypeError("one number each")
        self.filters = np.random.randn(num_filters, in_channels, kernel_size, kernel_size)
        self.bias = np.zeros((num_filters, 1))
        self.stride, self.pad = stride, pad

    def forward(self, x: Any) -> Any:
        y, self.pullback = ops.conv2d(x, self.filters, self.bias.ravel(), stride=self.stride, padding=self.pad)
        return y

    def backward(self, dout: Any) -> Any:
        dx, self.d_filters, db = self.pullback(dout)
        self.d_bias = db.reshape(-1, 1)
        return dx

    @property
    def gradients(self) -> Any:
        return [self.d_filters, self.d_bias]


class FlattenLayer:
    def forward(self, x: Any) -> Any:
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, grad: Any) -> Any:
        return grad.reshape(self.shape)


class MSE:
    """A loss that takes no upstream gradient."""

    def forward(self, y_pred: Any, y_true: Any) -> Any:
        self.error = y_pred - y_true
        return np.mean(self.error**2, dtype=self.error.dtype)

    def backward(self) -> Any:
        return 2 * self.error / self.error.size


def softmax_loss(x: Any, y: Any) -> Any:
    """Returns (loss, dx), as in courses."""
    loss, pullback = ops.cross_entropy(x, y)
    return float(loss), pullback(np.ones_like(loss))[0]


def keyword_only(x: Any, *, weights: Any, bias: Any) -> Any:
    return affine_forward(x, weights, bias)


@dataclass
class DenseConfig:
    in_features: int
    out_features: int


class ConfiguredDense:
    """Takes its sizes as attributes of a config object."""

    def __init__(self, config: DenseConfig) -> None:
        self.W, self.b = np.zeros((config.in_features, config.out_features)), np.zeros(config.out_features)

    def __call__(self, x: Any) -> Any:
        y, self._cache = affine_forward(x, self.W, self.b)
        return y

    def backward(self, grad: Any) -> Any:
        dx, self.dW, self.db = affine_backward(grad, self._cache)
        return dx


FOUND: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "pair with keyword-only parameters": ("linear", (keyword_only, affine_backward), {}),
    "function with keyword-only parameters": (
        "linear", lambda x, *, w, b: (dense(x, w, b), lambda dy: affine_backward(dy, (x, w, b))), {},
    ),
    "pair that returns a list": ("linear", (lambda x, w, b: [*affine_forward(x, w, b)], affine_backward), {}),
    "pair whose forward returns a dict": (
        "linear", (lambda x, w, b: {"out": dense(x, w, b), "cache": (x, w, b)}, affine_backward), {},
    ),
    "class with a config object": ("linear", ConfiguredDense, {}),
    "pair": ("linear", (affine_forward, affine_backward), {}),
    "pair with the cache first": ("linear", (affine_forward, affine_backward_swapped), {}),
    "pair that returns a dict": ("linear", (affine_forward, affine_backward_as_dict), {}),
    "pair that returns nested tuples": ("linear", (affine_forward, affine_backward_nested), {}),
    "pair that returns dx and a dict": ("linear", (affine_forward, affine_backward_mixed), {}),
    "pair without a cache": (
        "linear", (affine_output, lambda dout, x, w: (*affine_backward_from_inputs(dout, x, w),)), {},
    ),
    "pair with a dict of options": ("conv2d", (conv_forward, conv_backward), {}),
    "pair with other keywords": ("conv2d", (conv_forward_keywords, conv_backward), {}),
    "pool with a dict of options": ("max_pool2d", (pool_forward, conv_backward), {}),
    "class": ("linear", Dense, {}),
    "class, torch's way round": ("linear", DenseTorchWay, {}),
    "class that learns": ("linear", DenseThatLearns, {}),
    "class that is lazy": ("linear", LazyDense, {}),
    "convolution as a class": ("conv2d", Conv, {}),
    "class without parameters": ("flatten", FlattenLayer, {"supports": {"rank": 4}}),
    "loss without an upstream": ("mse_loss", MSE, {}),
    "loss and gradient": ("cross_entropy", softmax_loss, {}),
}  # fmt: skip


@pytest.mark.parametrize("form", FOUND)
def test_form_is_recognised(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, implementation, how = FOUND[form]
    before = np.random.get_state()[1].copy()  # type: ignore[index]
    report = parity.check(
        name, implementation, examples=EXAMPLES, lanes=["exact", "bound"], accept=["dtype"], **how
    )
    assert report.ok, f"\n{report}\n{report.rows[0].notes}"
    assert min(report.rows[0].lanes.values()) >= EXAMPLES / 2
    assert capsys.readouterr().out == ""
    assert np.array_equal(np.random.get_state()[1], before)  # type: ignore[arg-type]


def test_the_report_notes_how_it_was_called() -> None:
    def notes(name: str, implementation: Any) -> str:
        return " ".join(parity.check(name, implementation, examples=5, lanes=["bound"]).rows[0].notes)

    assert "its weights are (in, out)" in notes("linear", Dense)
    assert "checked only with rank=2: the implementation supports nothing else" in notes("linear", Dense)
    assert "groups=1" in notes("conv2d", (conv_forward, conv_backward))
    assert "pairs=false" in notes("conv2d", Conv)
    assert "it prints" in notes("linear", LazyDense)
    assert "takes no upstream gradient" in notes("mse_loss", MSE)
    assert "takes no upstream gradient" in notes("cross_entropy", softmax_loss)


# ---- adapters


def conv_nhwc(x: Any, w: Any, b: Any, stride: int = 1, padding: int = 0) -> Any:
    """(N, H, W, C), weights (kh, kw, C, F), biases (1, 1, 1, F)."""
    y, pullback = ops.conv2d(
        x.transpose(0, 3, 1, 2), w.transpose(3, 2, 0, 1), b.ravel(), stride=stride, padding=padding
    )

    def back(dy: Any) -> Any:
        dx, dw, db = pullback(dy.transpose(0, 3, 1, 2))
        return dx.transpose(0, 2, 3, 1), dw.transpose(2, 3, 1, 0), db.reshape(1, 1, 1, -1)

    return y.transpose(0, 2, 3, 1), back


def one_image(x: Any) -> Any:
    assert x.ndim == 1
    return ops.relu(x)


def dense_in_columns(x: Any, w: Any, b: Any) -> Any:
    """(features, N), biases (out, 1)."""
    return w @ x + b, lambda dy: (w.T @ dy, dy @ x.T, dy.sum(axis=1, keepdims=True))


def loss_of_one_hot(x: Any, onehot: Any) -> Any:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    loss = -(onehot * (x - x.max(axis=1, keepdims=True) - np.log(e.sum(axis=1, keepdims=True)))).sum() / len(x)
    return loss, (p - onehot) / x.dtype.type(len(x))


def weights_turned(x: Any, w: Any, b: Any = None) -> Any:
    y, pullback = ops.linear(x, w.T, b)
    return y, lambda dy: [g if i != 1 else g.T for i, g in enumerate(pullback(dy))]


ADAPTED: dict[str, tuple[str, Callable[[], Any], dict[str, Any]]] = {
    "channels last": (
        "conv2d",
        lambda: adapters.channels_last(adapters.bias_shaped(conv_nhwc, 1, 1, 1, -1)),
        {"supports": {"bias": True}},
    ),
    "single sample": ("relu", lambda: adapters.single_sample(one_image), {"supports": {"rank": 2, "batch": 1}}),
    "columns": (
        "linear",
        lambda: adapters.column_vectors(adapters.bias_shaped(dense_in_columns, -1, 1)),
        {"supports": {"bias": True, "rank": 2}},
    ),
    "one-hot": ("cross_entropy", lambda: adapters.one_hot_targets(loss_of_one_hot), {"supports": {"rank": 2}}),
    "weights in, out": ("linear", lambda: adapters.weights_in_out(weights_turned), {}),
    "forward only": ("relu", lambda: adapters.forward_only(lambda x: np.maximum(x, 0)), {}),
    "loss": ("cross_entropy", lambda: adapters.loss_with_gradient(softmax_loss), {}),
}  # fmt: skip


@pytest.mark.parametrize("adapter", ADAPTED)
def test_adapter(adapter: str) -> None:
    name, made, how = ADAPTED[adapter]
    report = parity.check(name, made(), examples=EXAMPLES, lanes=["exact", "bound"], **how)
    assert report.ok, f"\n{report}\n{report.rows[0].notes}"
    assert min(report.rows[0].lanes.values()) >= EXAMPLES / 2


def test_a_layer_without_a_backward_is_checked_only_forward() -> None:
    class Relu:
        def forward(self, x: Any) -> Any:
            return np.maximum(x, 0)

    report = parity.check("relu", Relu, examples=20, lanes=["exact"])
    assert report.ok
    assert set(report.rows[0].quantities) == {"output"}
    assert "no backward" in report.rows[0].notes[0]


def test_an_unrecognised_form_asks_for_what_is_missing() -> None:
    class Odd:
        def __init__(self, mystery: int) -> None:
            pass

        def forward(self, x: Any) -> Any:
            return x

        def backward(self, dy: Any) -> Any:
            return dy

    class NoForward:
        pass

    class Hidden(Dense):
        def __init__(self, in_features: int, out_features: int) -> None:
            self.hidden = [lambda: np.zeros((in_features, out_features))]

        def forward(self, x: Any) -> Any:
            return x @ self.hidden[0]()

    with pytest.raises(TypeError, match=r"'mystery'.*for example"):
        parity.check("relu", Odd, examples=3)
    with pytest.raises(TypeError, match="has no forward"):
        parity.check("relu", NoForward, examples=3)
    with pytest.raises(TypeError, match="keeps its weight where"):
        parity.check("linear", Hidden, examples=3)
    with pytest.raises(ValueError, match="OIHW"):
        adapters.channels_last(conv_nhwc, weights="HW")


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("fixed", [False, True], ids=["found by trying", "fixed by the user"])
def test_a_window_of_fixed_size(size: int, fixed: bool) -> None:
    supports = {"kernel_size": size} if fixed else None
    report = parity.check("max_pool2d", lambda x: ops.max_pool2d(x, size), examples=20, supports=supports)
    assert report.ok, f"\n{report}"
    assert fixed or any(f"kernel_size={size}" in note for note in report.rows[0].notes)


def test_ignored_targets_use_the_only_allowed_index() -> None:
    report = parity.check("cross_entropy", ops.cross_entropy, examples=60, supports={"ignore_index": -100})
    assert report.ok, f"\n{report}"


class AccumulatingLinear:
    def __init__(self, weight: Any, bias: Any) -> None:
        self.weight, self.bias = weight, bias
        self.zero_grad()

    def zero_grad(self) -> None:
        self.dweight, self.dbias = np.zeros_like(self.weight), 0.0

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.weight.T + self.bias

    def backward(self, dy: Any) -> Any:
        self.dweight = self.dweight + dy.T @ self.x
        self.dbias = self.dbias + dy.sum(axis=0)
        return dy @ self.weight


class AssigningLinear(AccumulatingLinear):
    def backward(self, dy: Any) -> Any:
        self.zero_grad()
        return super().backward(dy)


@pytest.mark.parametrize(("kind", "accumulates"), [(AccumulatingLinear, True), (AssigningLinear, False)])
def test_accumulation_until_a_method_clears_is_a_note(kind: Any, accumulates: bool) -> None:
    report = parity.check("linear", kind, examples=5, lanes=["structure"])
    assert report.ok, f"\n{report}"
    assert any("gradients accumulate until zero_grad()" in note for note in report.rows[0].notes) == accumulates


@pytest.mark.parametrize("name", ["layer_norm", "group_norm"])
def test_an_option_before_the_weight_as_in_torchs_signature(name: str) -> None:
    report = parity.check(name, getattr(ops, name), examples=EXAMPLES)
    assert report.ok, report
    assert report.cases == EXAMPLES * 3


def test_a_loss_with_a_keyword_for_the_weight_of_the_classes() -> None:
    def nll(x: Any, target: Any, *, weight: Any = None, ignore_index: int = -100, reduction: Any = "mean") -> Any:
        return ops.nll_loss(x, target, weight, ignore_index, reduction)

    report = parity.check("nll_loss", nll, examples=20)
    assert report.ok, f"\n{report}"
    assert report.rows[0].cases == 80


def test_a_layer_may_store_entries_in_the_dict_of_its_options() -> None:
    def conv_forward(x: Any, w: Any, b: Any, conv_param: Any) -> Any:
        conv_param["checked"] = True
        assert conv_param.get("checked") is True
        assert conv_param.get("missing", 3) == 3
        conv_param["pad"] = conv_param.get("pad", 0)
        return ops.conv2d(x, w, b, conv_param.get("stride", 1), conv_param.get("pad"))

    report = parity.check("conv2d", conv_forward, examples=EXAMPLES, lanes=["exact"])
    assert report.ok, report
    assert report.cases == EXAMPLES


def test_one_hot_targets_exclude_cases_with_ignored_targets() -> None:
    loss, x = adapters.one_hot_targets(loss_of_one_hot), np.zeros((2, 3))
    with pytest.raises(Declined, match="it ignores no targets") as declined:
        loss(x, np.array([1, -100]))
    assert declined.value.narrows == {"ignored": False}
