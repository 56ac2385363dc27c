"""The contenders of race.py: the same network, initial weights, Adam and step size in each installed library.

All are built from the NumPy network's list of layers; `hidden` and `lenet5` use five kinds of layers.
"""

import importlib.util
import os
import shutil
from collections.abc import Callable
from typing import Any

LR = 0.002
Racer = tuple[
    Callable[[Any, Any], object], Callable[[Any], Any]
]  # (images, labels) → None: a step; images → predicted classes


def installed() -> list[str]:
    """The names of the contenders whose libraries and compilers are installed."""
    needs: dict[str, tuple[str, tuple[str, ...]]] = {
        "torch, eager": ("torch", ()),
        "torch, compiled": ("torch", ("c++", "g++")),
        "jax, jit": ("jax", ()),
        "keras on jax": ("keras", ()),
        "tinygrad, jit": ("tinygrad", ("clang",)),
    }
    return ["numpy_cnn"] + [
        name
        for name, (module, compilers) in needs.items()
        if importlib.util.find_spec(module) and (not compilers or any(map(shutil.which, compilers)))
    ]


def prepare(name: str, arch: str, threads: int, seed: int) -> Racer:
    """The step and the prediction of the contender with that name."""
    if name == "numpy_cnn":
        return _own(arch, threads, seed)
    if name.startswith("torch"):
        return _torch(arch, threads, seed, compiled="compiled" in name)
    return {"jax": _jax, "ker": _keras, "tin": _tinygrad}[name[:3]](arch, seed)


def _own(arch: Any, threads: int, seed: int) -> Racer:
    from numpy_cnn.backend import Backend
    from numpy_cnn.common.spec.architecture import preset
    from numpy_cnn.common.spec.config import OptimizerConfig
    from numpy_cnn.common.spec.initial import initial_parameters

    network = preset(arch)
    backend = Backend(network, initial_parameters(network, seed), OptimizerConfig(), threads=threads)
    return lambda x, y: backend.train_step(x, y, LR), lambda x: backend.logits(x).argmax(axis=1)


def _torch(arch: Any, threads: int, seed: int, compiled: bool) -> Racer:
    import torch

    from torch_cnn.model import SimpleCNN

    torch.set_num_threads(threads)
    module = SimpleCNN(arch, seed=seed)
    optimizer = torch.optim.Adam(module.parameters(), lr=LR, fused=True)
    model = torch.compile(module) if compiled else module

    def step(x: Any, y: Any) -> None:
        loss = torch.nn.functional.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    @torch.inference_mode()
    def predict(x: Any) -> Any:
        return module(torch.from_numpy(x)).argmax(dim=1).numpy()  # eager: avoids another compilation

    return step, predict


def _layers(arch: Any, seed: int) -> list[tuple[str, Any, Any, int]]:
    """(kind, weight, bias, padding) of each layer; the kinds are conv, relu, pool, flatten and linear."""
    from numpy_cnn.common.spec.architecture import preset
    from numpy_cnn.common.spec.initial import initial_parameters
    from numpy_cnn.common.spec.networks import lenet_padding

    network = preset(arch)
    p = initial_parameters(network, seed)
    padding = lenet_padding(network.image_size)[0] if arch == "lenet5" else 0
    names = [name.removesuffix(".weight") for name in p if name.endswith(".weight")]
    layers: list[tuple[str, Any, Any, int]] = []
    for name in names:
        weight, bias = p[f"{name}.weight"], p[f"{name}.bias"]
        if weight.ndim == 4:
            layers += [("conv", weight, bias, padding if name == "conv1" else 0)]
            layers += [("relu", None, None, 0), ("pool", None, None, 0)]
        else:
            layers += [("flatten", None, None, 0)] * (layers[-1][0] == "pool") + [("linear", weight, bias, 0)]
            layers += [("relu", None, None, 0)] * (name != names[-1])
    return layers


def _jax(arch: Any, seed: int) -> Racer:
    import jax
    import jax.numpy as jnp
    import numpy as np

    layers = _layers(arch, seed)
    p = [tuple(map(jnp.asarray, layer[1:3])) if layer[1] is not None else () for layer in layers]

    def scores(p: Any, x: Any) -> Any:
        for (kind, _, _, padding), values in zip(layers, p, strict=True):
            if kind == "conv":
                x = jax.lax.conv(x, values[0], (1, 1), [(padding, padding)] * 2) + values[1][:, None, None]
            elif kind == "relu":
                x = jax.nn.relu(x)
            elif kind == "pool":
                x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
            elif kind == "flatten":
                x = x.reshape(len(x), -1)
            else:
                x = x @ values[0].T + values[1]
        return x

    def loss(p: Any, x: Any, y: Any) -> Any:
        return -jax.nn.log_softmax(scores(p, x))[jnp.arange(len(x)), y].mean()

    @jax.jit
    def update(state: Any, x: Any, y: Any) -> Any:
        p, m, v, t = state
        g = jax.grad(loss)(p, x, y)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        root, rate = jnp.sqrt(1 - 0.999**t), LR / (1 - 0.9**t)
        moved = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) / root + 1e-8), p, m, v)
        return moved, m, v, t + 1

    state = [(p, jax.tree.map(jnp.zeros_like, p), jax.tree.map(jnp.zeros_like, p), 1.0)]
    answer = jax.jit(lambda p, x: scores(p, x).argmax(axis=1))

    def step(x: Any, y: Any) -> None:
        state[0] = update(state[0], x, y)

    return step, lambda x: np.asarray(answer(state[0][0], x))


def _keras(arch: Any, seed: int) -> Racer:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras

    model = keras.Sequential([keras.Input((28, 28, 1))])  # NHWC, Keras's default
    for kind, weight, bias, padding in _layers(arch, seed):
        if kind == "conv":
            layer = keras.layers.Conv2D(len(weight), weight.shape[2:], padding="same" if padding else "valid")
            model.add(layer)
            layer.set_weights([weight.transpose(2, 3, 1, 0), bias])
        elif kind == "linear":
            layer = keras.layers.Dense(len(weight))
            model.add(layer)
            layer.set_weights([weight.T, bias])
        else:
            model.add({"relu": keras.layers.ReLU, "pool": keras.layers.MaxPooling2D, "flatten": _flat}[kind]())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(LR), loss)

    def step(x: Any, y: Any) -> None:
        model.train_on_batch(x.transpose(0, 2, 3, 1), y)

    return step, lambda x: model.predict_on_batch(x.transpose(0, 2, 3, 1)).argmax(axis=1)


def _flat() -> Any:
    """Flatten in the order of NCHW, to which the weights of the first dense layer belong."""
    import keras

    return keras.Sequential([keras.layers.Permute((3, 1, 2)), keras.layers.Flatten()])


def _tinygrad(arch: Any, seed: int) -> Racer:
    os.environ["TRAINING"] = "1"
    from tinygrad import Tensor, TinyJit
    from tinygrad.nn.optim import Adam

    layers = [
        (
            kind,
            *(None if array is None else Tensor(array).contiguous().realize() for array in (weight, bias)),
            padding,
        )
        for kind, weight, bias, padding in _layers(arch, seed)
    ]
    optimizer = Adam([array for layer in layers for array in layer[1:3] if array is not None], lr=LR)

    def scores(x: Any) -> Any:
        for kind, weight, bias, padding in layers:
            if kind == "conv":
                x = x.conv2d(weight, bias, padding=padding)
            elif kind == "linear":
                x = x.linear(weight.T, bias)
            else:
                x = {"relu": x.relu, "pool": x.max_pool2d, "flatten": lambda x=x: x.flatten(1)}[kind]()
        return x

    @TinyJit
    def update(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = scores(x).sparse_categorical_crossentropy(y).backward()
        return loss.realize(*optimizer.schedule_step())

    @TinyJit
    def answer(x: Any) -> Any:
        return scores(x).argmax(axis=1).realize()

    def step(x: Any, y: Any) -> None:
        update(Tensor(x).realize(), Tensor(y.astype("int32")).realize())

    return step, lambda x: answer(Tensor(x).realize()).numpy()
