"""Operations in the forms of three frameworks, over their own tensors, variables and tuples."""

import numpy as np

# ---- compute(arrays) and gradient(out_grad, node)


class Tensor:
    def __init__(self, array, op=None, inputs=()):
        self.cached_data, self.op, self.inputs = np.asarray(array), op, list(inputs)

    def realize_cached_data(self):
        return self.cached_data

    def numpy(self):
        return self.cached_data

    @property
    def shape(self):
        return self.cached_data.shape

    def __mul__(self, other):
        return Tensor(self.cached_data * (other.cached_data if isinstance(other, Tensor) else other))

    def __matmul__(self, other):
        return Tensor(self.cached_data @ other.cached_data)

    def transpose(self):
        return Tensor(self.cached_data.T)


class TensorOp:
    def __call__(self, *args):
        return Tensor(self.compute(*(a.realize_cached_data() for a in args)), self, args)


class ReLU(TensorOp):
    def compute(self, a):
        return np.maximum(a, 0)

    def gradient(self, out_grad, node):
        a = node.inputs[0].realize_cached_data()
        return out_grad * Tensor(a > 0)


class Tanh(TensorOp):
    def compute(self, a):
        return np.tanh(a)

    def gradient(self, out_grad, node):
        y = np.tanh(node.inputs[0].realize_cached_data())
        return (out_grad * Tensor(1 - y**2),)


# ---- forward_impl(inputs, outputs), backward_impl(inputs, outputs, propagate_down, accum)


class PythonFunction:
    def __init__(self, ctx=None):
        self.ctx = ctx


class LeakyReLU(PythonFunction):
    def __init__(self, negative_slope=0.01, ctx=None):
        super().__init__(ctx)
        self.negative_slope = negative_slope

    def min_outputs(self):
        return 1

    def setup_impl(self, inputs, outputs):
        outputs[0].reset_shape(inputs[0].shape, True)

    def forward_impl(self, inputs, outputs):
        x = inputs[0].data
        outputs[0].data[...] = np.where(x > 0, x, self.negative_slope * x)

    def backward_impl(self, inputs, outputs, propagate_down, accum):
        if not propagate_down[0]:
            return
        g = np.where(inputs[0].data > 0, outputs[0].grad, self.negative_slope * outputs[0].grad)
        if accum[0]:
            inputs[0].grad += g
        else:
            inputs[0].grad[...] = g


# ---- retain_inputs, forward(inputs) and backward(indexes, grad_outputs)


class FunctionNode:
    def retain_inputs(self, indexes):
        self._retained_inputs = indexes

    def retain_outputs(self, indexes):
        self._retained_outputs = indexes

    def apply(self, inputs):
        self.inputs = inputs
        self.outputs = self.forward(inputs)
        return self.outputs

    def get_retained_inputs(self):
        return tuple(self.inputs[i] for i in self._retained_inputs)

    def get_retained_outputs(self):
        return tuple(self.outputs[i] for i in self._retained_outputs)


class Sigmoid(FunctionNode):
    def forward(self, inputs):
        (x,) = inputs
        self.retain_outputs((0,))
        return (1 / (1 + np.exp(-x)),)

    def backward(self, indexes, grad_outputs):
        (y,) = self.get_retained_outputs()
        (gy,) = grad_outputs
        return (gy * y * (1 - y),)


class LinearFunction(FunctionNode):
    def forward(self, inputs):
        x, W, b = inputs
        self.retain_inputs((0, 1))
        return (x.dot(W.T) + b,)

    def backward(self, indexes, grad_outputs):
        x, W = self.get_retained_inputs()
        (gy,) = grad_outputs
        return gy.dot(W), gy.T.dot(x), gy.sum(axis=0)
