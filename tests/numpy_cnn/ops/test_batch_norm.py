"""Batch normalization: running statistics, edge cases, and what the bound lane must accept and reject."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import parity
from numpy_cnn import ops
from numpy_cnn.ops.batch_normalization import running_statistics
from parity.bounds.derived import gamma

SHAPES = [(4, 3), (5, 3, 2), (2, 3, 4, 3), (2, 3, 2, 2, 2), (1, 2, 2)]
Array = np.ndarray[Any, Any]


def normal(*shape: int, dtype: str = "float32") -> Array:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)


# ---- running statistics


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("momentum", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_running_statistics_are_torchs(shape: tuple[int, ...], momentum: float, dtype: str) -> None:
    x = 3 + 2 * normal(*shape, dtype=dtype)
    mean, var = normal(shape[1], dtype=dtype), np.abs(normal(shape[1], dtype=dtype))
    before = mean.copy(), var.copy()
    ours = running_statistics(x, mean, var, momentum)
    assert np.array_equal(mean, before[0])
    assert np.array_equal(var, before[1])
    theirs = torch.from_numpy(mean.copy()), torch.from_numpy(var.copy())
    F.batch_norm(torch.from_numpy(x), *theirs, training=True, momentum=momentum)
    u = float(np.finfo(dtype).eps) / 2
    axes = (0, *range(2, x.ndim))
    # μ and Σ (x − μ)² sum m numbers; a product, a quotient and the sum of two terms follow. Both sides round.
    size = np.abs(before[0]) + np.abs(x).mean(axes)
    spread = before[1] + x.var(axes, ddof=1) + (gamma(x[:, 0].size, u) * np.abs(x).mean(axes)) ** 2
    for got, expected, scale in zip(ours, theirs, (size, spread), strict=True):
        assert got.dtype == dtype
        assert (np.abs(got - expected.numpy()) <= 2 * gamma(x[:, 0].size + 6, u) * scale).all()


def test_an_empty_batch_changes_no_running_statistics() -> None:
    mean, var = normal(3), np.abs(normal(3))
    after = running_statistics(np.zeros((0, 3, 2), np.float32), mean, var)
    assert np.array_equal(after, (mean, var))
    assert not any(np.shares_memory(a, b) for a, b in zip(after, (mean, var), strict=True))


def test_running_statistics_reject_what_batch_norm_rejects() -> None:
    with pytest.raises(ValueError, match="more than 1 number per channel"):
        running_statistics(normal(1, 3), normal(3), normal(3))


# ---- edge cases


def test_a_constant_channel_scales_gradients_by_one_over_root_eps() -> None:
    x, dy = np.full((4, 1), 7.0), np.array([[3.0], [-1], [0], [0]])
    y, pullback = ops.batch_norm(x, None, None, training=True, eps=1e-4)
    assert np.array_equal(y, np.zeros((4, 1)))
    np.testing.assert_array_equal(pullback(dy)[0], (dy - dy.mean()) / np.sqrt(1e-4))


def test_training_does_not_use_running_statistics() -> None:
    x, nan = normal(4, 3), np.full(3, np.nan, np.float32)
    nan.flags.writeable = False
    y, pullback = ops.batch_norm(x, nan, nan, training=True)
    without, _ = ops.batch_norm(x, None, None, training=True)
    assert np.array_equal(y, without)
    assert [g is None for g in pullback(y)] == [False, True, True, True, True]


def test_a_variance_of_zero_or_below_gives_torchs_result() -> None:
    x, mean = normal(2, 3), np.zeros(3, np.float32)
    for var, eps in ((np.float32([-1, 0, 1]), 0.0), (np.float32([-1, -1e-3, 1]), 1e-3)):
        y, _ = ops.batch_norm(x, mean, var, eps=eps)
        expected = F.batch_norm(*map(torch.from_numpy, (x, mean, var)), eps=eps).numpy()
        assert np.array_equal(np.isfinite(y), np.isfinite(expected))


def test_far_from_zero_it_is_as_accurate_as_torch() -> None:
    x = (100 + 0.1 * normal(64, 4, 7)).astype(np.float32)
    truth = F.batch_norm(torch.from_numpy(x).double(), None, None, training=True).numpy()
    theirs = F.batch_norm(torch.from_numpy(x), None, None, training=True).numpy()
    ours, _ = ops.batch_norm(x, None, None, training=True)
    assert np.abs(ours - truth).max() <= np.abs(theirs - truth).max()


@pytest.mark.parametrize("weight", [None, normal(3)])
def test_it_keeps_the_layout_of_its_input(weight: Array | None) -> None:
    x = normal(6, 3, 4, 5)
    for laid in (x, np.ascontiguousarray(x.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2)):
        y, pullback = ops.batch_norm(laid, None, None, weight, training=True)
        assert y.strides == pullback(y)[0].strides == laid.strides


# ---- other implementations: correct ones agree, whatever their order of operations; wrong ones are found

Moments = Callable[[Array, tuple[int, ...]], tuple[Array, Array]]


def two_passes(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    mean = x.mean(axes, keepdims=True)
    return mean, ((x - mean) ** 2).mean(axes, keepdims=True)


def welford(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Welford's algorithm, one number at a time, in the precision of x."""
    mean = np.zeros_like(x[:1].sum(axes, keepdims=True))
    squares = mean.copy()
    for count, place in enumerate(np.ndindex(*(x.shape[axis] for axis in axes)), start=1):
        value = x[place[0], :, *place[1:]].reshape(mean.shape)
        before = mean.copy()
        mean += (value - mean) / x.dtype.type(count)
        squares += (value - before) * (value - mean)
    return mean, squares / x.dtype.type(count)


def mean_of_squares(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    mean = x.mean(axes, keepdims=True)
    return mean, np.maximum((x * x).mean(axes, keepdims=True) - mean * mean, 0)


def unbiased(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    return x.mean(axes, keepdims=True), x.var(axes, keepdims=True, ddof=1)


def by_hand(
    moments: Moments = two_passes,
    folded: bool = False,
    eps_outside: bool = False,
    always: bool = False,
    **parts: bool,
) -> Callable[..., Any]:
    """batch_norm as courses derive it: the backward goes through y, x̂, σ² and μ. Declines empty batches."""

    def op(
        x: Array, running_mean: Any, running_var: Any, w: Any = None, b: Any = None,
        training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
    ) -> Any:  # fmt: skip
        if x.size == 0:
            raise NotImplementedError
        axes, shape = (0, *range(2, x.ndim)), (1, -1, *(1,) * (x.ndim - 2))
        own = training or always
        mean, var = moments(x, axes) if own else (running_mean.reshape(shape), running_var.reshape(shape))
        r = 1 / (np.sqrt(var) + eps) if eps_outside else 1 / np.sqrt(var + x.dtype.type(eps))
        scale = np.ones((), x.dtype) if w is None else w.reshape(shape)
        shift = np.zeros((), x.dtype) if b is None else b.reshape(shape)
        d, m = x - mean, x.dtype.type(x[:, 0].size)
        y = x * (r * scale) + (shift - mean * (r * scale)) if folded else scale * (d * r) + shift

        def pullback(dy: Array) -> Any:
            dxhat = dy * scale
            dx = dxhat * r
            if own and parts.get("through_var", True):
                dvar = (dxhat * d).sum(axes, keepdims=True) * x.dtype.type(-0.5) * r**3
                dx = dx + dvar * 2 * d / m
                if parts.get("through_mean", True):
                    dx = (
                        dx
                        + (-(dxhat * r).sum(axes, keepdims=True) - dvar * 2 * d.sum(axes, keepdims=True) / m) / m
                    )
            dw = None if w is None else (dy * (d * r if parts.get("normalized", True) else x)).sum(axes)
            return dx, None, None, dw, None if b is None else dy.sum(axes)

        return y, pullback

    return op


RIGHT = {
    "two passes, staged": by_hand(),
    "Welford": by_hand(welford),
    "scale and shift folded": by_hand(folded=True),
}


@pytest.mark.parametrize("way", RIGHT)
def test_correct_implementations_agree(way: str) -> None:
    report = parity.check("batch_norm", RIGHT[way], examples=50, lanes=["bound", "structure"])
    assert report.ok, f"\n{report}"
    assert report.rows[0].lanes["bound"] >= 50


WRONG: dict[str, tuple[Any, set[str]]] = {
    "Σ x²/m − μ²": (by_hand(mean_of_squares), {"output", "grad_input"}),
    "a variance divided by m − 1": (by_hand(unbiased), {"output", "grad_input"}),
    "ε outside of the root": (by_hand(eps_outside=True), {"output", "grad_input"}),
    "the batch's statistics always": (by_hand(always=True), {"output", "grad_input"}),
    "σ² held constant": (by_hand(through_var=False), {"grad_input"}),
    "μ held constant": (by_hand(through_mean=False), {"grad_input"}),
    "dw without normalizing": (by_hand(normalized=False), {"grad_weight"}),
}


@pytest.mark.usefixtures("as_found")
@pytest.mark.parametrize("mistake", WRONG)
def test_mistakes_are_found(mistake: str) -> None:
    op, least = WRONG[mistake]
    report = parity.check("batch_norm", op, examples=50, lanes=["bound"], dtype="float32")
    assert least <= {failure.quantity for failure in report.failures}
    assert {failure.aspect for failure in report.failures} == {"values"}
    assert {failure.wrong_side for failure in report.failures} == {"implementation"}


def statistics_held(x: Array, *rest: Any, **options: Any) -> Any:
    """An op with a wrong input gradient. At module level, so that a script can import it."""
    y, pullback = ops.batch_norm(x, *rest, **options)
    return y, lambda dy: (dy, *pullback(dy)[1:])


def test_the_script_requests_no_gradient_of_the_statistics(capsys: pytest.CaptureFixture[str]) -> None:
    def in_training(case: Any) -> bool:
        return case.options["training"] and all(spec.shape is not None for spec in case.arrays)

    report = parity.check("batch_norm", statistics_held, examples=60, lanes=["bound"], supports=in_training)
    (failure,) = report.failures
    assert failure.evidence is not None
    script = failure.evidence.script
    assert script is not None
    assert "import statistics_held" in script
    exec(script, {})
    assert "grad_input, yours:" in capsys.readouterr().out
