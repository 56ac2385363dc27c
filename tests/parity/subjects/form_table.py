"""The table of supported forms: a correct layer of each, and an edit that plants a mistake."""

from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from parity.naming.sentences import SENTENCES

HERE = Path(__file__).parent / "forms"


class Form(NamedTuple):
    """A layer in `forms/`, its signature, and one mistake."""

    row: str
    file: str
    names: str
    signature: str  # shown in the documentation
    before: str
    after: str
    mistake: str
    quantity: str  # the quantity that the mistake changes
    cause: str  # the explanation in the report


ASSIGNMENT, NHWC, STATIC = "assignment_layers", "nhwc_layers", "static_torch"
ARRAYS, DICTS, TORCH = "array_constructor", "dict_layers", "torch_layers"
MEAN, ADDED = "mean instead of sum", "`=` instead of `+=`"
FLIPPED = "kernel flipped"
UPDATING, OBJECTS, DERIVED = "self_updating", "parameter_objects", "derivatives"
LAYERS, FUNCTIONAL, COURSES = "layer_optimizers", "functional_optimizers", "course_layers"
FRAMEWORKS, TENSORS = "frameworks", "tensor_layers"
PLANES = "plane_tensors"
EVALUATED, REDUCED, KERNELS, RATES = "evaluation_norms", "reduced_losses", "fixed_kernels", "corrected_rates"

FORMS = (
    Form("linear", ASSIGNMENT, "affine_forward", "`affine_forward(x, w, b) → (out, cache)`, `affine_backward`",
         "dw = x.reshape(x.shape[0], -1).T @ dout\n    db = np.sum(", "dw = x.reshape(x.shape[0], -1).T @ dout\n    db = np.mean(", MEAN, "grad_bias", "rows-mean"),
    Form("relu", ASSIGNMENT, "relu_forward", "`relu_forward(x) → (out, cache)`, `relu_backward`",
         "(cache > 0)", "(cache < 0)", "mask reversed", "grad_input", "mask-inverted"),
    Form("conv2d", ASSIGNMENT, "conv_forward_naive", "`conv_forward_naive(x, w, b, conv_param) → (out, cache)`",
         "dw[f] +=", "dw[f] =", ADDED, "grad_weight", "last-window-only"),
    Form("max_pool2d", ASSIGNMENT, "max_pool_forward_naive", "`max_pool_forward_naive(x, pool_param) → (out, cache)`",
         "j * stride + b] +=", "j * stride + b] =", ADDED, "grad_input", "windows-overwritten"),
    Form("cross_entropy", ASSIGNMENT, "softmax_loss", "`softmax_loss(x, y) → (loss, dx)`",
         "    dx /= N\n", "", "sum instead of mean", "grad_input", "batch-sum"),
    Form("batch_norm", ASSIGNMENT, "batchnorm_forward", "`batchnorm_forward(x, gamma, beta, bn_param) → (out, cache)`",
         " - x_hat * dgamma", "", "a term missing", "grad_input", "variance-constant"),
    Form("batch_norm", ASSIGNMENT, "spatial_batchnorm_forward", "`spatial_batchnorm_forward(x, gamma, beta, bn_param)`",
         " - x_hat * dgamma", "", "a term missing", "grad_input", "variance-constant"),
    Form("SGD", "assignment_optim", "sgd_momentum", "`sgd_momentum(w, dw, config) → (w, config)`",
         'config["momentum"] * v -', '(1 - config["momentum"]) * v -', "momentum reversed", "output", "momentum-reversed"),
    Form("Adam", "assignment_optim", "adam", "`adam(w, dw, config) → (w, config)`",
         '(1 - config["beta2"]) * dw**2', '(1 - config["beta1"]) * dw**2', "beta1 instead of beta2", "output", "second-moment-share"),
    Form("conv2d", NHWC, "conv_forward", "`conv_forward(A_prev, W, b, hparameters)`, NHWC, biases (1, 1, 1, C)",
         "dW[:, :, :, c] +=", "dW[:, :, :, c] =", ADDED, "grad_weight", "last-window-only"),
    Form("max_pool2d", NHWC, "pool_forward", '`pool_forward(A_prev, hparameters, mode="max")`, NHWC',
         "columns, c] += first", "columns, c] = first", ADDED, "grad_input", "windows-overwritten"),
    Form("linear", NHWC, "linear_forward", "`linear_forward(A, W, b)`, samples in columns, biases (out, 1)",
         "np.sum(dZ, axis=1", "np.mean(dZ, axis=1", MEAN, "grad_bias", "rows-mean"),
    Form("linear", STATIC, "Linear", "static `Linear.forward(x, w, b)` over torch tensors",
         "db = dout.sum(dim=0)", "db = dout.mean(dim=0)", MEAN, "grad_bias", "rows-mean"),
    Form("conv2d", STATIC, "Conv", "static `Conv.forward(x, w, b, conv_param)` over torch tensors",
         "dw[f] +=", "dw[f] =", ADDED, "grad_weight", "last-window-only"),
    Form("max_pool2d", STATIC, "MaxPool", "static `MaxPool.forward(x, pool_param)` over torch tensors",
         "at % pw] +=", "at % pw] =", ADDED, "grad_input", "windows-overwritten"),
    Form("conv2d", "initialized_conv", "Conv2d", "`Conv2d(in_channels, out_channels, kernel_size, stride, padding, "
         "weight_init_fn, bias_init_fn)`, parameters in an inner layer",
         "self.W[:, :, i, j])", "self.W[:, :, k - 1 - i, k - 1 - j])", FLIPPED, "grad_input", "kernel-flipped"),
    Form("linear", "initialized_conv", "Linear", "`Linear(in_features, out_features)`, `dLdW`, `dLdb` (out, 1)",
         "dLdZ.T @ self.Ones", "dLdZ.T @ self.Ones / self.N", MEAN, "grad_bias", "rows-mean"),
    Form("linear", "attribute_layers", "Layer_Dense", "`Layer_Dense(n_inputs, n_neurons)`, all results attributes",
         "np.sum(dvalues, axis=0", "np.mean(dvalues, axis=0", MEAN, "grad_bias", "rows-mean"),
    Form("conv2d", ARRAYS, "Convolution", "`Convolution(W, b, stride, pad)`",
         "self.db = np.sum(", "self.db = np.mean(", MEAN, "grad_bias", "divided-by-outputs"),
    Form("max_pool2d", ARRAYS, "Pooling", "`Pooling(pool_h, pool_w, stride)`",
         "stride * out_w : stride] += col", "stride * out_w : stride] = col", ADDED, "grad_input", "overlap-overwritten"),
    Form("linear", ARRAYS, "Affine", "`Affine(W, b)`, weights (in, out)",
         "np.dot(self.x.T, dout), np.sum(", "np.dot(self.x.T, dout), np.mean(", MEAN, "grad_bias", "rows-mean"),
    Form("cross_entropy", ARRAYS, "SoftmaxWithLoss", "`SoftmaxWithLoss().forward(x, t)`, `backward(dout=1)`",
         "return dx / batch_size", "return dx", "sum instead of mean", "grad_input", "batch-sum"),
    Form("conv2d", DICTS, "Conv2D", "`Conv2D(out_ch, kernel_shape, pad, stride)`, `.parameters`, `.gradients`, NHWC",
         '["W"][i, j].T', '["W"][fr - 1 - i, fc - 1 - j].T', FLIPPED, "grad_input", "kernel-flipped"),
    Form("conv2d", "first_call_conv", "Conv2D", "`Conv2D(filters, kernel_size, stride, padding)`, NHWC, parameters created at the first call",
         "dout.sum(axis=(0, 1, 2)", "dout.mean(axis=(0, 1, 2)", MEAN, "grad_bias", "divided-by-outputs"),
    Form("linear", DICTS, "FullyConnected", "`FullyConnected(n_out)`, `.parameters`, `.gradients`",
         "dLdy.sum(axis=0, keepdims", "dLdy.mean(axis=0, keepdims", MEAN, "grad_bias", "rows-mean"),
    Form("conv2d", "same_padded_conv", "Conv", "`Conv(stride_shape, convolution_shape, num_kernels)`, padded inside",
         "self.weights[:, :, i, j]", "self.weights[:, :, m - 1 - i, n - 1 - j]", FLIPPED, "grad_input", "kernel-flipped"),
    Form("linear", "small_engine", "linear", "a function over a small engine's `Tensor`",
         "self.data.T @ out.grad", "self.data.T @ out.grad * 2", "an extra factor", "grad_weight", "doubled"),
    Form("linear", "small_engine", "Linear", "a class over a small engine's `Tensor`",
         "self.data.T @ out.grad", "self.data.T @ out.grad * 2", "an extra factor", "grad_weight", "doubled"),
    Form("SGD", "list_optimizers", "SGD", "`SGD(params, lr).step(grads)` over lists",
         "p -= self.lr * v", "p -= self.lr * g", "momentum unused", "output", "momentum-ignored"),
    Form("SGD", "list_optimizers", "Momentum", "`Momentum(lr, momentum).update(params, grads)`",
         "self.momentum * self.v[key] -", "(1 - self.momentum) * self.v[key] -", "momentum reversed", "output", "momentum-reversed"),
    Form("Adam", "list_optimizers", "Adam", "`Adam(learning_rate, beta1, beta2).update(params, grads)`",
         "(1 - self.beta2) *", "(1 - self.beta1) *", "beta1 instead of beta2", "output", "second-moment-share"),
    Form("conv2d", TORCH, "conv2d_autograd", "a function of torch tensors, differentiated by autograd",
         "y + bias[:, None]", "y - bias[:, None]", "sign of the bias", "output", "bias-negated"),
    Form("relu", TORCH, "relu_with_pullback", "a function of torch tensors with a pullback",
         "dy * (x > 0)", "dy * (x < 0)", "mask reversed", "grad_input", "mask-inverted"),
    Form("linear", TORCH, "LinearFunction", "a `torch.autograd.Function`",
         "drows.sum(0)", "drows.mean(0)", MEAN, "grad_bias", "rows-mean"),
    Form("conv2d", TORCH, "MyConv", "a `torch.nn.Module` class",
         "self.weight, self.bias,", "self.weight.flip(2, 3), self.bias,", FLIPPED, "output", "kernel-flipped"),
    Form("linear", TORCH, "WrappedLinear", "a module that wraps a module",
         "self.inner(x)", "self.inner(x) - self.inner.bias", "bias missing", "output", "bias-missing"),
    Form("dropout", "dropout_layers", "dropout_forward", "`dropout_forward(x, dropout_param) → (out, cache)`, p is the fraction kept",
         "return dout * mask", "return dout", "the mask unused", "grad_input", "passes-upstream"),
    Form("dropout", "dropout_layers", "Dropout", "`Dropout(dropout_rate)`, draws its mask itself",
         "return dout * self.mask", "return dout", "the mask unused", "grad_input", "passes-upstream"),
    Form("batch_norm", "constant_layers", "BatchNormalization", "`BatchNormalization(gamma, beta, momentum)`, eps is 1e-6",
         "dx = dxc - dmu / self.batch_size", "dx = dxc", "the mean as constant", "grad_input", "mean-constant"),
    Form("leaky_relu", "constant_layers", "LeakyReLU", "`LeakyReLU()` with a slope of 0.2",
         "np.where(self.Z > 0, 1, 0.2)", "np.where(self.Z > 0, 1, 0)", "the slope missing", "grad_input", "slope-lost"),
    Form("Adam", "constant_layers", "AdamOptimizer", "`AdamOptimizer(lr, b1, b2).update(w, grad_wrt_w)` of one array",
         "self.v / (1 - self.b2**self.t)", "self.v", "a bias correction missing", "output", "bias-correction-first-only"),
    Form("RMSprop", "constant_layers", "rmsprop", "`rmsprop(w, dw, config) → (w, config)`",
         '(1 - config["decay_rate"]) * dw**2', 'config["decay_rate"] * dw**2', "decay reversed", "output", "alpha-for-both"),
    Form("cross_entropy", "onehot_loss", "cross_entropy_loss", "`cross_entropy_loss(scores, y_onehot) → (loss, grad)`",
         "(p - y_onehot) / m", "p - y_onehot", "sum instead of mean", "grad_input", "batch-sum"),
    Form("linear", "zeroed_layer", "Linear", "`Linear(in_features, out_features)` with `zero_grad()`",
         "grad_output.sum(axis=0)", "grad_output.mean(axis=0)", MEAN, "grad_bias", "rows-mean"),
    Form("linear", UPDATING, "Dense", "`Dense(n_units, input_shape)`, `initialize(optimizer)`, `backward_pass(accum_grad)` updates it",
         "np.sum(accum_grad, axis=0", "np.mean(accum_grad, axis=0", MEAN, "grad_bias", "rows-mean"),
    Form("linear", UPDATING, "FCLayer", "`FCLayer(input_size, output_size)`, `backward_propagation(output_error, learning_rate)`, one sample",
         "np.dot(self.input.T, output_error)", "2 * np.dot(self.input.T, output_error)", "an extra factor", "grad_weight", "doubled"),
    Form("linear", UPDATING, "DenseColumns", "`Dense(input_size, output_size)` of one column, `backward(output_gradient, learning_rate)`",
         "np.dot(self.weights.T, output_gradient)", "2 * np.dot(self.weights.T, output_gradient)", "an extra factor", "grad_input", "doubled"),
    Form("linear", UPDATING, "Linear", "`Dense(input_units, output_units, learning_rate)`, `backward(input, grad_output)` updates it",
         "grad_output.sum(axis=0)", "grad_output.mean(axis=0)", MEAN, "grad_bias", "rows-mean"),
    Form("linear", OBJECTS, "Linear", "`Linear` with `weight = Parameter(…)`, `weight.data`, `weight.grad`",
         "grad_output.sum(axis=0)", "grad_output.mean(axis=0)", MEAN, "grad_bias", "rows-mean"),
    Form("linear", OBJECTS, "MatMulAffine", "`Affine(W, b)` with lists `params` and `grads`, written in place",
         "np.sum(dout, axis=0)\n        return dx", "np.mean(dout, axis=0)\n        return dx", MEAN, "grad_bias", "rows-mean"),
    Form("linear", OBJECTS, "FC", '`FC(D_in, D_out)` with `W = {"val": …, "grad": …}`, `_forward`, `_backward`',
         '["grad"] = np.sum(dout, axis=0)', '["grad"] = np.mean(dout, axis=0)', MEAN, "grad_bias", "rows-mean"),
    Form("linear", OBJECTS, "DenseKeras", "`Dense(units)` with `build(input_shape)` and `call(inputs)`",
         "grad.sum(axis=0)", "grad.mean(axis=0)", MEAN, "grad_bias", "rows-mean"),
    Form("linear", OBJECTS, "TorchSeven", "`backward(input, gradOutput)`, `updateGradInput`, `accGradParameters`, `gradW`, `gradb`",
         "np.sum(gradOutput, axis=0)", "np.mean(gradOutput, axis=0)", MEAN, "grad_bias", "rows-mean"),
    Form("linear", OBJECTS, "StateLayer", '`params = {"W": …, "b": …}`, `grads["dW"]`',
         "dZ.sum(axis=0", "dZ.mean(axis=0", MEAN, "grad_bias", "rows-mean"),
    Form("SGD", OBJECTS, "SGD", "`SGD(params, lr).step()` over objects with `.data` and `.grad`",
         "v += p.grad", "v -= p.grad", "the sign", "output", "ascends"),
    Form("tanh", DERIVED, "tanh", "`tanh(x)` beside `tanh_prime(x)`, the derivative",
         "1 - np.tanh(x) ** 2", "1 - np.tanh(x)", "the square missing", "grad_input", "output-not-squared"),
    Form("relu", DERIVED, "relu", "`relu(Z) → (A, cache)` beside `relu_backward(dA, cache)`",
         "dZ[Z <= 0] = 0", "dZ[Z >= 0] = 0", "mask reversed", "grad_input", "mask-inverted"),
    Form("sigmoid", DERIVED, "Sigmoid", "`Sigmoid()(x)` with `gradient(x)`, the derivative",
         "(1 - self.__call__(x))", "(1 + self.__call__(x))", "a sign", "grad_input", "complement-sign"),
    Form("mse_loss", DERIVED, "mse", "`mse(y_true, y_pred)` beside `mse_prime(y_true, y_pred)`",
         "return 2 *", "return", "the 2 missing", "grad_input", "half"),
    Form("softmax", LAYERS, "Activation_Softmax", "`Softmax` with the Jacobian of each sample, results in attributes",
         "np.diagflat(single_output) - np.dot", "np.diagflat(single_output) + np.dot", "a sign", "grad_input", "sum-term-sign"),
    Form("SGD", LAYERS, "Optimizer_SGD", "`Optimizer_SGD(learning_rate, decay, momentum).update_params(layer)`",
         "-self.current_learning_rate * layer.d", "self.current_learning_rate * layer.d", "the sign", "output", "ascends"),
    Form("Adam", LAYERS, "Optimizer_Adam", "`Optimizer_Adam(learning_rate, …, beta_1, beta_2).update_params(layer)`",
         "(1 - self.beta_2) * layer.dweights**2", "(1 - self.beta_1) * layer.dweights**2", "beta_1 instead of beta_2", "output", "second-moment-share"),
    Form("SGD", LAYERS, "ModelSGD", "`SGD(model, lr, momentum).step()` over `model.layers`",
         "- self.lr *", "+ self.lr *", "the sign", "output", "ascends"),
    Form("SGD", FUNCTIONAL, "make_sgd", "`step = make_sgd(params, lr, momentum)`, `step(grads)`: a closure",
         "params[k] -= lr", "params[k] += lr", "the sign", "output", "ascends"),
    Form("SGD", FUNCTIONAL, "sgd", "`sgd(params, grads, lr)` over lists",
         "p -= lr * g", "p += lr * g", "the sign", "output", "ascends"),
    Form("SGD", FUNCTIONAL, "update_parameters", "`update_parameters(parameters, grads, learning_rate)`, `W1`, `b1`, `dW1`, `db1`",
         '- learning_rate * grads["dW"', '+ learning_rate * grads["dW"', "the sign", "output", "ascends"),
    Form("SGD", FUNCTIONAL, "KeyedSGD", "`SGD(lr, momentum).update(param, grad, name)` returns the parameter",
         "return param - update", "return param + update", "the sign", "output", "ascends"),
    Form("Adam", FUNCTIONAL, "adam_update", "`adam_update(params, grads, state, lr, beta1, beta2)` over dicts",
         ' / (1 - beta1 ** state["t"])', "", "a bias correction missing", "output", "bias-correction-second-only"),
    Form("Adam", FUNCTIONAL, "update_parameters_with_adam", "`update_parameters_with_adam(parameters, grads, v, s, t, …)` beside `initialize_adam`",
         "/ (1 - beta2**t)", "", "a bias correction missing", "output", "bias-correction-first-only"),
    Form("mse_loss", COURSES, "MSELoss", "`MSELoss().forward(A, Y)`, `backward()`",
         "return 2 *", "return", "the 2 missing", "grad_input", "half"),
    Form("cross_entropy", COURSES, "CrossEntropyLoss", "`CrossEntropyLoss().forward(A, Y)` with one-hot rows, `backward()`",
         "self.Y) / self.A.shape[0]", "self.Y)", "sum instead of mean", "grad_input", "batch-sum"),
    Form("conv2d", COURSES, "conv_forward", "`conv_forward(X, W, b, stride, padding)`, biases (F, 1), windows that must tile",
         "db = np.sum(dout", "db = np.mean(dout", MEAN, "grad_bias", "divided-by-outputs"),
    Form("batch_norm", COURSES, "BatchNorm2D", "`BatchNorm2D(momentum, epsilon)`, NHWC, `parameters[\"scaler\"]`, `flush_gradients()`",
         "dN.sum(axis=0) - N", "0 * dN.sum(axis=0) - N", "the mean as constant", "grad_input", "mean-constant"),
    Form("linear", COURSES, "LinearFunction", "a `Function` with `forward(x, W, b)` and `backward(gy)`",
         "gy.sum(axis=0)", "gy.mean(axis=0)", MEAN, "grad_bias", "rows-mean"),
    Form("layer_norm", COURSES, "layernorm_forward", "`layernorm_forward(x, gamma, beta) → (out, {…})`, gradients in a dict",
         "- xhat * (d * xhat).mean(-1, keepdims=True)", "", "a term missing", "grad_input", "variance-constant"),
    Form("batch_norm", EVALUATED, "BatchNorm1d", "`BatchNorm1d(num_features, alpha)`, `forward(Z, eval=False)`, `BW`, `Bb`, a backward for training only",
         " + dLdM / self.N", "", "the mean as constant", "grad_input", "mean-constant"),
    Form("batch_norm", EVALUATED, "BatchNormalization", "`forward_pass(X, training=True)`, `initialize(optimizer)`, `backward_pass(accum_grad)` for training only",
         " - np.mean(accum_grad, axis=0)", "", "the mean as constant", "grad_input", "mean-constant"),
    Form("cross_entropy", REDUCED, "softmax_loss", "`softmax_loss(x, y) → (loss, dx)`, summed over the batch",
         "return loss, p", "return loss, -p", "the sign", "grad_input", "negated"),
    Form("cross_entropy", REDUCED, "SoftmaxCrossEntropy", "`forward(x, y)` with one-hot rows, one loss per sample, `derivative()`",
         "self.sm - self.labels", "self.sm", "the target missing", "grad_input", "target-not-subtracted"),
    Form("mse_loss", REDUCED, "SquaredError", "static `loss(y, y_pred)` and `grad(y, y_pred)`, a sum",
         "return 2 * (y_pred - y)", "return 2 * (y - y_pred)", "the sign", "grad_input", "negated"),
    Form("mse_loss", REDUCED, "Loss_MeanSquaredError", "`calculate(output, y)`, `backward(dvalues, y_true)` where dvalues are the predictions",
         " / outputs / samples", " / samples", "mean over the batch only", "grad_input", "feature-sum"),
    Form("cross_entropy", REDUCED, "Activation_Softmax_Loss", "`forward(inputs, y_true)`, `backward(dvalues, y_true)` where dvalues are the probabilities, clipped",
         "        self.dinputs = self.dinputs / samples\n", "", "sum instead of mean", "grad_input", "batch-sum"),
    Form("conv2d", KERNELS, "Conv3x3", "`Conv3x3(num_filters)` of one image (H, W), `backprop(d_L_d_out, learn_rate)` updates it",
         "d_filters[f] +=", "d_filters[f] =", ADDED, "grad_weight", "last-position-only"),
    Form("max_pool2d", KERNELS, "MaxPool2", "`MaxPool2()` of one image (H, W, C), windows of 2×2",
         "] = d_L_d_out[i, j, f]", "] = 2 * d_L_d_out[i, j, f]", "an extra factor", "grad_input", "doubled"),
    Form("conv2d", KERNELS, "Conv", "`Conv(in_channels, out_channels)` with 3×3 kernels only",
         "w] += np.einsum(\"nohw", "w] = np.einsum(\"nohw", ADDED, "grad_input", "overlap-overwritten"),
    Form("conv2d", KERNELS, "conv3x3", "`conv3x3(x, w, b)`, which asserts the size of its kernel",
         "dout.sum(axis=(0, 2, 3))", "dout.mean(axis=(0, 2, 3))", MEAN, "grad_bias", "divided-by-outputs"),
    Form("max_pool2d", KERNELS, "Pool2D", '`Pool2D(kernel_shape, stride, pad, mode="max")`, NHWC, padded with NaN',
         "+= dLdY[n, i, j, c]", "= dLdY[n, i, j, c]", ADDED, "grad_input", "windows-overwritten"),
    Form("Adam", RATES, "Adam", "`Adam(lr, beta1, beta2).update(params, grads)` with the corrections in the step size",
         "(1 - self.beta2) * grads", "(1 - self.beta1) * grads", "beta1 instead of beta2", "output", "second-moment-share"),
    Form("SGD", RATES, "Nesterov", "`Nesterov(lr, momentum).update(params, grads)`",
         "params[key] += ", "params[key] -= ", "the sign", "output", "ascends"),
    Form("linear", FRAMEWORKS, "Linear", "static `forward(ctx, x, weight, bias)` with `ctx.save_for_backward`, `backward(ctx, grad_output)`",
         "grad_output.sum(axis=0)", "grad_output.mean(axis=0)", MEAN, "grad_bias", "rows-mean"),
    Form("linear", FRAMEWORKS, "LinearFunction", "`forward(inputs) → (y,)`, `backward(inputs, grad_outputs)`: tuples of arrays",
         "gy.sum(axis=0)", "gy.mean(axis=0)", MEAN, "grad_bias", "rows-mean"),
    Form("relu", FRAMEWORKS, "ReluLayer", "`setup`, `reshape`, `forward(bottom, top)`, `backward(top, propagate_down, bottom)` with `.data` and `.diff`",
         "data > 0", "data < 0", "mask reversed", "grad_input", "mask-inverted"),
    Form("linear", FRAMEWORKS, "dense", "`forward, backward = dense(W, b)`: closures",
         "dy.sum(axis=0)", "dy.mean(axis=0)", MEAN, "grad_bias", "rows-mean"),
    Form("tanh", FRAMEWORKS, "tanh_fwd", "`tanh_fwd(x) → (y, res)`, `tanh_bwd(res, g)`",
         "1 - res**2", "1 - res", "the square missing", "grad_input", "output-not-squared"),
    Form("relu", FRAMEWORKS, "relu", "`relu(x)` beside `relu_vjp(ans, x)`, which returns a function of g",
         "g * (x > 0)", "g * (x < 0)", "mask reversed", "grad_input", "mask-inverted"),
    Form("sigmoid", FRAMEWORKS, "sigmoid", "`sigmoid(x)` beside `sigmoid_grad(s)`, the derivative at the output",
         "return s * (1 - s)", "return s * (1 + s)", "a sign", "grad_input", "complement-sign"),
    Form("tanh", FRAMEWORKS, "Tanh", "`Tanh()` with `f(x)` and `df(x)`",
         "1 - self.f(x) ** 2", "1 - self.f(x)", "the square missing", "grad_input", "output-not-squared"),
    Form("linear", FRAMEWORKS, "Dense", "`Dense(neurons)` made of operations that share `params`, created at the first call",
         "output_grad.sum(axis=0", "output_grad.mean(axis=0", MEAN, "grad_bias", "rows-mean"),
    Form("linear", TENSORS, "Lin", "`Lin(w, b)` over torch tensors, `backward()` writes `inp.g`, `w.g`, `b.g`",
         "self.b.g = out.g.sum(0)", "self.b.g = out.g.mean(0)", MEAN, "grad_bias", "rows-mean"),
    Form("linear", TENSORS, "lin", "`lin(x, w, b)` beside `lin_grad(inp, out, w, b)` over torch tensors",
         "inp.t() @ out.g, out.g.sum(0)", "inp.t() @ out.g, out.g.mean(0)", MEAN, "grad_bias", "rows-mean"),
    Form("batch_norm", TENSORS, "BatchNorm1d", "`BatchNorm1d(dim, eps, momentum)(x)` over torch tensors, without a backward",
         "unbiased=False", "unbiased=True", "the variance of a sample", "output", "unbiased-variance"),
    Form("conv2d", TENSORS, "corr2d_multi_in_out", "`corr2d_multi_in_out(X, K)` of one image (C, H, W) over torch tensors",
         " * K).sum()", " * K.flip(0, 1)).sum()", FLIPPED, "output", "kernel-flipped"),
    Form("batch_norm", TENSORS, "BatchNorm", "static `BatchNorm.forward(x, gamma, beta, bn_param)` over torch tensors",
         " - x_hat * dgamma", "", "a term missing", "grad_input", "variance-constant"),
    Form("conv2d", PLANES, "corr2d", "`corr2d(X, K)` of one image (H, W) over torch tensors",
         " * K).sum()", " * K.flip(0, 1)).sum()", FLIPPED, "output", "kernel-flipped"),
    Form("conv2d", PLANES, "Conv2D", "a module `Conv2D(kernel_size)` around `corr2d(X, K)`",
         "+ self.bias", "- self.bias", "sign of the bias", "output", "bias-negated"),
    Form("max_pool2d", PLANES, "pool2d", '`pool2d(X, pool_size, mode="max")` of one image (H, W), a pair, windows at a stride of 1',
         "window.max()", "window.min()", "min instead of max", "output", "minimum"),
    Form("batch_norm", PLANES, "batch_norm", "`batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum) → (Y, moving_mean, moving_var)` over torch tensors",
         "momentum) * moving_mean + momentum * mean", "momentum) * mean + momentum * moving_mean", "momentum reversed", "running_mean", "running-momentum-reversed"),
    Form("batch_norm", PLANES, "BatchNorm", "a module `BatchNorm(num_features, num_dims)` around such a function, parameters (1, C, 1, 1)",
         "((X - mean) ** 2).mean(axes, keepdim=True)", "X.var(axes, keepdim=True)", "the variance of a sample", "output", "unbiased-variance"),
    Form("Adam", "incremental_adam", "Adam", "`Adam(lr, beta1, beta2).update(params, grads)` with `v += (1 - beta2) * (g**2 - v)`",
         "(1 - self.beta2) * (grads", "(1 - self.beta1) * (grads", "beta1 instead of beta2", "output", "second-moment-beta"),
    Form("linear", "indexed_gradients", "Linear", "`Operation` with `__call__(x, w, b)` over variables and `backward_var(grad, index)`",
         "grad.sum(axis=0)", "grad.mean(axis=0)", MEAN, "grad_bias", "rows-mean"),
)  # fmt: skip


def load(form: Form, planted: bool = False) -> Any:
    """Load the layer, optionally with its mistake."""
    path = HERE / f"{form.file}.py"
    source = path.read_text()
    if planted:
        assert source.count(form.before) >= 1, form
        source = source.replace(form.before, form.after)
    module = ModuleType(form.file)
    exec(compile(source, str(path), "exec"), vars(module))
    return getattr(module, form.names)


def table() -> list[str]:
    """The lines of the table in docs/forms.md."""
    lines = ["| form | row | correct | with a mistake | the report |", "|---|---|---|---|---|"]
    return lines + [
        f"| {form.signature} | `{form.row}` | agrees | {form.mistake}: `{form.quantity}` | {SENTENCES[form.cause]} |"
        for form in FORMS
    ]
