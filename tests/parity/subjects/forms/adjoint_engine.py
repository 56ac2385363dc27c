"""A small engine whose tensors are called Var, with the attributes value and adjoint."""

import numpy as np


class Var:
    def __init__(self, value, parents=()):
        self.value, self.parents = np.asarray(value), parents
        self.adjoint = np.zeros_like(self.value)
        self.pull = lambda: None

    def __matmul__(self, other):
        out = Var(self.value @ other.value, (self, other))

        def pull():
            self.adjoint = self.adjoint + out.adjoint @ other.value.T
            other.adjoint = other.adjoint + self.value.T @ out.adjoint

        out.pull = pull
        return out

    def __add__(self, other):
        out = Var(self.value + other.value, (self, other))

        def pull():
            self.adjoint = self.adjoint + out.adjoint
            other.adjoint = other.adjoint + out.adjoint.sum(axis=0, keepdims=True)

        out.pull = pull
        return out

    def backward(self, seed=None):
        order, seen = [], set()

        def visit(v):
            if id(v) not in seen:
                seen.add(id(v))
                for parent in v.parents:
                    visit(parent)
                order.append(v)

        visit(self)
        self.adjoint = np.ones_like(self.value) if seed is None else seed
        for v in reversed(order):
            v.pull()


class Linear:
    def __init__(self, n_in, n_out):
        self.w, self.b = Var(np.random.uniform(-1, 1, (n_in, n_out))), Var(np.zeros((1, n_out)))

    def __call__(self, x):
        return x @ self.w + self.b
