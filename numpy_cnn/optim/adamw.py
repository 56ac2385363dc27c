"""AdamW."""

from collections.abc import Mapping

from numpy_cnn.arguments import Array
from numpy_cnn.optim.adam import Adam


class AdamW(Adam):
    """Adam with weight decay that shrinks the weights instead of changing the moments, as `torch.optim.AdamW`.

        w ← (1 − lr·λ)·w        then Adam's step with the unchanged gradient

    Args:
        parameters: {name: array}, changed in place by `step`.
        lr: step size.
        betas: (β₁, β₂), the decay rates of the mean and of the mean square, each in [0, 1).
        eps: ε, added outside of the root.
        weight_decay: λ.
        amsgrad: keep the maximum of v.
        maximize: climb instead of descend: g ← −g first.

    Raises:
        ValueError: a setting is outside its range.

    Source: I. Loshchilov and F. Hutter, Decoupled weight decay regularization (2019).
    """

    decoupled_weight_decay = True

    def __init__(
        self,
        parameters: Mapping[str, Array],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay, amsgrad, maximize)
