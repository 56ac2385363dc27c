"""The chain: gradients by name, and skipped input gradients."""

from typing import Any

import numpy as np

from numpy_cnn import SimpleCNN, ops
from numpy_cnn.chain import Residual, chain
from numpy_cnn.common.spec.architecture import preset


def test_gradients_carry_the_parameters_names_and_shapes() -> None:
    model = SimpleCNN(preset("hidden", image_size=(8, 8)))
    x = np.random.default_rng(0).standard_normal((3, 1, 8, 8)).astype(np.float32)
    scores, pullback = model(x)
    dx, gradients = pullback(np.ones_like(scores))
    assert dx.shape == x.shape
    assert {name: g.shape for name, g in gradients.items()} == model.architecture.parameter_shapes()


def test_without_the_input_gradient_the_others_stay_the_same() -> None:
    model = SimpleCNN(preset("simple", image_size=(8, 8)))
    x = np.random.default_rng(0).standard_normal((3, 1, 8, 8)).astype(np.float32)
    scores, pullback = model(x)
    dscores = np.random.default_rng(1).standard_normal(scores.shape).astype(np.float32)
    _, whole = pullback(dscores)
    nothing, rest = pullback(dscores, input_gradient=False)
    assert nothing is None
    for name, gradient in whole.items():
        np.testing.assert_array_equal(rest[name], gradient)


def test_a_chain_that_begins_without_parameters() -> None:
    x = np.array([[-1.0, 2.0]])
    weight = np.array([[3.0, 5.0]])
    y, pullback = chain([("relu", ops.relu), ("fc", ops.linear)], {"fc.weight": weight}, x)
    assert y.tolist() == [[10.0]]
    dx, gradients = pullback(np.array([[1.0]]))
    assert dx.tolist() == [[0.0, 5.0]]
    assert gradients["fc.weight"].tolist() == [[0.0, 2.0]]
    assert pullback(np.array([[1.0]]), input_gradient=False)[0] is None


def test_only_the_first_layer_with_parameters_skips_its_input_gradient() -> None:
    asked = []

    def spied(x: Any, *own: Any) -> Any:
        def pullback(dy: Any, needs_input_grad: Any = (True, True, True)) -> Any:
            asked.append(needs_input_grad)
            return dy, *own

        return x, pullback

    one = np.array(1.0)
    _, pullback = chain([("a", spied), ("b", spied)], {"a.weight": one, "b.weight": one}, one)
    for input_gradient, first in ((True, (True, True, True)), (False, (False, True, True))):
        pullback(one, input_gradient=input_gradient)
        assert asked[-2:] == [(True, True, True), first]


def test_an_empty_chain_is_the_identity() -> None:
    y, pullback = chain([], {}, np.array([1.0]))
    assert y.tolist() == [1.0]
    assert pullback(np.array([4.0]))[0].tolist() == [4.0]


EPSILON = 1e-5  # of batch norm: it changes the results below by half of that at most


def test_a_chain_runs_in_evaluation_mode_by_default() -> None:
    x = np.array([[1.0], [3.0]])
    running = {"bn.running_mean": np.array([5.0]), "bn.running_var": np.array([4.0])}
    layers = [("bn", ops.batch_norm)]
    np.testing.assert_allclose(chain(layers, running, x)[0], [[-2.0], [-1.0]], rtol=EPSILON)
    np.testing.assert_allclose(chain(layers, running, x, training=True)[0], [[-1.0], [1.0]], rtol=EPSILON)


def test_a_residual_block_trains_with_its_chain() -> None:
    x = np.array([[1.0], [3.0]])
    running = {"block.residual.bn.running_mean": np.array([5.0]), "block.residual.bn.running_var": np.array([4.0])}
    layers = [("block", Residual([("bn", ops.batch_norm)]))]
    np.testing.assert_allclose(chain(layers, running, x)[0] - x, [[-2.0], [-1.0]], rtol=EPSILON)
    statistics: dict[str, Any] = {}
    y, _ = chain(layers, running, x, training=True, statistics=statistics)
    np.testing.assert_allclose(y - x, [[-1.0], [1.0]], rtol=EPSILON)
    assert statistics.keys() == running.keys()
    np.testing.assert_allclose(statistics["block.residual.bn.running_mean"], 0.9 * 5 + 0.1 * 2)
