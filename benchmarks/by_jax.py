"""JAX, just-in-time compiled, if it is installed."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from cases import Case, images


def prepare(workload: str, case: Case) -> Callable[[], object]:
    """The function to time."""
    keys = jax.random.split(jax.random.key(0), 3)
    shapes = {"conv.w": (8, 1, 3, 3), "fc1.w": (1352, 128), "fc2.w": (128, 10)}
    p = {
        name: 0.05 * jax.random.normal(key, shape) for key, (name, shape) in zip(keys, shapes.items(), strict=True)
    }
    p |= {"conv.b": jnp.zeros(8), "fc1.b": jnp.zeros(128), "fc2.b": jnp.zeros(10)}
    x, labels = (jnp.asarray(array) for array in images(case))

    def scores(p: Any, x: Any) -> Any:
        y = jax.lax.conv(x, p["conv.w"], (1, 1), "VALID") + p["conv.b"][:, None, None]
        y = jax.lax.reduce_window(jax.nn.relu(y), -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        y = jax.nn.relu(y.reshape(len(x), -1) @ p["fc1.w"] + p["fc1.b"])
        return y @ p["fc2.w"] + p["fc2.b"]

    def loss(p: Any) -> Any:
        return -jax.nn.log_softmax(scores(p, x))[jnp.arange(len(x)), labels].mean()

    @jax.jit
    def update(p: Any, m: Any, v: Any, t: Any) -> Any:
        g = jax.grad(loss)(p)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        root = jnp.sqrt(1 - 0.999**t)
        rate = 0.001 / (1 - 0.9**t)
        return jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) / root + 1e-8), p, m, v), m, v, t + 1

    if workload == "inference":
        compiled = jax.jit(scores)
        return lambda: compiled(p, x).block_until_ready()
    state = [p, jax.tree.map(jnp.zeros_like, p), jax.tree.map(jnp.zeros_like, p), 1.0]

    def step() -> None:
        state[:] = jax.block_until_ready(update(*state))

    return step
