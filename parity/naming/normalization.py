"""What goes wrong in batch normalization: the statistics, the place of ε, and what depends on what."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from parity.cases.torch_op import Array
from parity.naming.explanation import Computes, Explanation, Question
from parity.naming.general import scaled


@dataclass(frozen=True)
class Formulas:
    """Batch normalization as torch has it; each field is one way to have it wrong."""

    trains: bool | None = None  # whatever `training` says
    unbiased: bool = False  # the variance over m − 1
    variance_of: str = "batch"  # over "batch", "image", "entry" (each place of its own), "everything"
    epsilon: str = "inside"  # or "outside" of the root, or "nowhere"
    root_missing: bool = False
    mean_constant: bool = False  # the gradient does not pass through the mean,
    variance_constant: bool = False  # nor through the variance
    weight_in_gradient: bool = True
    of_input: bool = False  # dw gathers x, where it should gather x̂
    of_output: bool = False  # dw gathers y
    of_centred: bool = False  # dw gathers x − μ
    not_centred: bool = False

    def compute(self, question: Question) -> Array:
        """The output or a gradient."""
        x = question.first.astype(np.float64)
        options = question.options
        training = options["training"] if self.trains is None else self.trains
        training = training or question.arrays["running_mean"] is None
        axes = (0, *range(2, x.ndim))
        over = {"batch": axes, "image": axes[1:], "entry": (0,), "everything": tuple(range(x.ndim))}[
            self.variance_of
        ]

        def along(name: str, absent: float) -> Array:
            array = question.arrays.get(name)
            if array is None:
                return np.full((1,) * x.ndim, absent)
            return array.astype(np.float64).reshape(1, -1, *[1] * (x.ndim - 2))

        if training:
            count = x.size // max(1, x.mean(axis=over, keepdims=True).size)
            mean, variance = x.mean(axis=over, keepdims=True), x.var(axis=over, keepdims=True)
            variance = variance * count / (count - 1) if self.unbiased else variance
        else:
            mean, variance = along("running_mean", 0.0), along("running_var", 1.0)
        eps = options["eps"]
        if self.root_missing:
            deviation = variance + eps
        elif self.epsilon == "outside":
            deviation = np.sqrt(variance) + eps
        else:
            deviation = np.sqrt(variance + (eps if self.epsilon == "inside" else 0.0))
        centred = x if self.not_centred else x - mean
        normal, w, b = centred / deviation, along("weight", 1.0), along("bias", 0.0)
        if question.about_output:
            return np.asarray(w * normal + b)
        u = question.dy.astype(np.float64)
        if question.quantity == "grad_bias":
            return np.asarray(u.sum(axis=axes))
        if question.quantity == "grad_weight":
            gathered = x if self.of_input else centred if self.of_centred else normal
            gathered = w * normal + b if self.of_output else gathered
            return np.asarray((u * gathered).sum(axis=axes))
        g = u * w if self.weight_in_gradient else u
        dx = g
        if training:
            dx = dx if self.mean_constant else dx - g.mean(axis=over, keepdims=True)
            dx = dx if self.variance_constant else dx - normal * (g * normal).mean(axis=over, keepdims=True)
        return np.asarray(dx / deviation)


def _by(formulas: Formulas) -> Computes:
    return formulas.compute


def _explanations() -> Iterator[Explanation]:
    right = Formulas()
    for name, said, wrong in (
        (
            "unbiased-variance",
            "the variance divides by m − 1, where the batch's divides by m",
            replace(right, unbiased=True),
        ),
        (
            "epsilon-outside-root",
            "ε is added to the standard deviation, where it belongs under the root",
            replace(right, epsilon="outside"),
        ),
        ("epsilon-ignored", "ε is ignored", replace(right, epsilon="nowhere")),
        ("root-missing", "the root is missing: it divides by the variance", replace(right, root_missing=True)),
        ("not-centred", "the mean is not subtracted", replace(right, not_centred=True)),
        ("training-ignored", "the running statistics are used in training too", replace(right, trains=False)),
        (
            "evaluation-ignored",
            "the batch's statistics are used outside of training too",
            replace(right, trains=True),
        ),
        (
            "statistics-of-each-image",
            "mean and variance are those of each image, as of an instance normalization",
            replace(right, variance_of="image"),
        ),
        (
            "statistics-of-each-place",
            "mean and variance are those of each pixel over the batch alone",
            replace(right, variance_of="entry"),
        ),
        (
            "statistics-of-everything",
            "mean and variance are those of all channels together",
            replace(right, variance_of="everything"),
        ),
    ):
        yield Explanation(name, said, computes=_by(wrong))
    for name, said, wrong in (
        (
            "mean-constant",
            "the mean is taken for constant: how it depends on x is missing",
            replace(right, mean_constant=True),
        ),
        (
            "variance-constant",
            "the variance is taken for constant: how it depends on x is missing",
            replace(right, variance_constant=True),
        ),
        (
            "statistics-constant",
            "mean and variance are taken for constant: it is the gradient of evaluation",
            replace(right, mean_constant=True, variance_constant=True),
        ),
        ("weight-ignored", "the factor w is missing", replace(right, weight_in_gradient=False)),
    ):
        yield Explanation(name, said, computes=_by(wrong), quantities="grad_input")
    for name, said, wrong in (
        (
            "not-normalized",
            "dy is multiplied by x, where it should be by the normalized x̂",
            replace(right, of_input=True),
        ),
        (
            "not-normalized",
            "dy is multiplied by x − μ, where it should be by the normalized x̂",
            replace(right, of_centred=True),
        ),
        (
            "output-for-normalized",
            "dy is multiplied by y, where it should be by x̂, without weight and bias",
            replace(right, of_output=True),
        ),
    ):
        yield Explanation(name, said, computes=_by(wrong), quantities="grad_weight")


def _without(name: str, value: float) -> Callable[[Question], Question]:
    def asks(question: Question) -> Question:
        array = question.arrays[name]
        return question if array is None else question.with_arrays(**{name: np.full_like(array, value)})

    return asks


BATCH_NORM = (
    *_explanations(),
    Explanation("weight-ignored", "the weight is ignored", _without("weight", 1.0), quantities="output"),
    Explanation("bias-missing", "the bias is not added", _without("bias", 0.0), quantities="output"),
    Explanation(
        "mean",
        "it is divided by the number of entries a channel has: a mean where there is a sum",
        makes=scaled(lambda q: q.first.shape[1] / max(q.first.size, 1)),
        quantities="grad_",
    ),
)
