"""Optimizers as functions and closures, with their states in dicts."""

import numpy as np


def make_sgd(params, lr=0.01, momentum=0.0):
    velocity = {k: np.zeros_like(v) for k, v in params.items()}

    def step(grads):
        for k, g in grads.items():
            velocity[k] = momentum * velocity[k] + g
            params[k] -= lr * velocity[k]

    return step


def adam_update(params, grads, state, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    state["t"] = state.get("t", 0) + 1
    for k in params:
        m = state.setdefault("m" + k, np.zeros_like(params[k]))
        v = state.setdefault("v" + k, np.zeros_like(params[k]))
        m[...] = beta1 * m + (1 - beta1) * grads[k]
        v[...] = beta2 * v + (1 - beta2) * grads[k] ** 2
        params[k] -= lr * m / (1 - beta1 ** state["t"]) / (np.sqrt(v / (1 - beta2 ** state["t"])) + eps)
    return params, state


def initialize_adam(parameters):
    L = len(parameters) // 2
    v, s = {}, {}
    for l in range(1, L + 1):
        for n in ("W", "b"):
            v[f"d{n}{l}"] = np.zeros(parameters[f"{n}{l}"].shape)
            s[f"d{n}{l}"] = np.zeros(parameters[f"{n}{l}"].shape)
    return v, s


def update_parameters_with_adam(
    parameters, grads, v, s, t, learning_rate=0.01, beta1=0.9, beta2=0.999, epsilon=1e-8
):
    L = len(parameters) // 2
    v_corrected, s_corrected = {}, {}
    for l in range(1, L + 1):
        for n in ("W", "b"):
            k = f"d{n}{l}"
            v[k] = beta1 * v[k] + (1 - beta1) * grads[k]
            v_corrected[k] = v[k] / (1 - beta1**t)
            s[k] = beta2 * s[k] + (1 - beta2) * np.power(grads[k], 2)
            s_corrected[k] = s[k] / (1 - beta2**t)
            parameters[f"{n}{l}"] = parameters[f"{n}{l}"] - learning_rate * v_corrected[k] / (
                np.sqrt(s_corrected[k]) + epsilon
            )
    return parameters, v, s


def update_parameters(parameters, grads, learning_rate=1.2):
    L = len(parameters) // 2
    for l in range(1, L + 1):
        parameters["W" + str(l)] = parameters["W" + str(l)] - learning_rate * grads["dW" + str(l)]
        parameters["b" + str(l)] = parameters["b" + str(l)] - learning_rate * grads["db" + str(l)]
    return parameters


def sgd(params, grads, lr):
    for p, g in zip(params, grads):
        p -= lr * g


class KeyedSGD:
    """numpy-ml: update(param, grad, name, cur_loss) returns the parameter."""

    def __init__(self, lr=0.01, momentum=0.0, clip_norm=None, lr_scheduler=None, **kwargs):
        self.cache = {}
        self.lr, self.momentum, self.clip_norm = lr, momentum, clip_norm
        self.cur_step = 0

    def __call__(self, param, param_grad, param_name, cur_loss=None):
        return self.update(param, param_grad, param_name, cur_loss)

    def update(self, param, param_grad, param_name, cur_loss=None):
        C = self.cache
        if param_name not in C:
            C[param_name] = np.zeros_like(param_grad)
        update = self.momentum * C[param_name] + self.lr * param_grad
        self.cache[param_name] = update
        return param - update
