"""The line of mathematics that a wrong quantity contradicts, in the letters of the ops' docstrings."""

_CONV = "p·s − pad + i·d, q·s − pad + j·d"

_FORMULAS = {
    ("conv2d", "output"): f"y[n,o,p,q] = b[o] + Σ_(c,i,j) w[o,c,i,j]·x[n, c, {_CONV}]",
    ("conv2d", "grad_input"): f"dx[n,c,h,v] = Σ w[o,c,i,j]·dy[n,o,p,q] over all o,i,j,p,q with (h,v) = ({_CONV})",
    ("conv2d", "grad_weight"): f"dw[o,c,i,j] = Σ_(n,p,q) dy[n,o,p,q]·x[n, c, {_CONV}]",
    ("conv2d", "grad_bias"): "db[o] = Σ_(n,p,q) dy[n,o,p,q]",
    ("max_pool2d", "output"): f"y[n,c,p,q] = max_(i,j) x[n, c, {_CONV}], x being −∞ outside the image",
    ("max_pool2d", "grad_input"): "dx[n,c,h,v] = Σ dy[n,c,p,q] over the windows whose first maximum is (h,v)",
    ("relu", "output"): "y = max(x, 0)",
    ("relu", "grad_input"): "dx = dy where x > 0, and 0 elsewhere",
    ("linear", "output"): "y = x·wᵀ + b",
    ("linear", "grad_input"): "dx = dy·w",
    ("linear", "grad_weight"): "dw = Σ dyᵀ·x over all leading axes",
    ("linear", "grad_bias"): "db = Σ dy over all leading axes",
    ("flatten", "output"): "y holds x's numbers in the same order (the last axis fastest)",
    ("flatten", "grad_input"): "dx holds dy's numbers in the same order, in x's shape",
    ("softmax", "output"): "y_i = exp(x_i − m) / Σ_j exp(x_j − m), m = max x",
    ("softmax", "grad_input"): "dx_i = y_i·(dy_i − Σ_j dy_j·y_j)",
    ("log_softmax", "output"): "y_i = x_i − m − log Σ_j exp(x_j − m), m = max x",
    ("log_softmax", "grad_input"): "dx_i = dy_i − exp(y_i)·Σ_j dy_j",
    (
        "nll_loss",
        "output",
    ): "loss = −Σ_n w[t_n]·x[n,t_n] / Σ_n w[t_n] for the mean, without the division for the sum",
    ("nll_loss", "grad_input"): "dx[n,c] = −dy·w[c]·[c = t_n] / Σ_n w[t_n] for the mean",
    ("cross_entropy", "output"): "loss = −Σ_n w[t_n]·log softmax(x[n])[t_n] / Σ_n w[t_n] for the mean",
    (
        "cross_entropy",
        "grad_input",
    ): "dx[n,c] = dy·w[t_n]·(softmax(x[n])[c] − [c = t_n]) / Σ_n w[t_n] for the mean",
    ("mse_loss", "output"): "loss = Σ (x − t)² / (number of entries) for the mean",
    ("mse_loss", "grad_input"): "dx = 2·dy·(x − t) / (number of entries) for the mean",
    ("mse_loss", "grad_target"): "dt = −2·dy·(x − t) / (number of entries) for the mean",
    ("batch_norm", "output"): "y = w·(x − μ)/√(σ² + ε) + b, μ and σ² over all axes but the channels",
    ("batch_norm", "grad_input"): "dx = w/√(σ² + ε)·(dy − mean(dy) − x̂·mean(dy·x̂)) in training",
    ("batch_norm", "grad_weight"): "dw = Σ dy·x̂ over all axes but the channels",
    ("batch_norm", "grad_bias"): "db = Σ dy over all axes but the channels",
    ("SGD", "output"): "b ← μ·b + (1 − τ)·g with g = ∇ + λ·w (b = g at first); w ← w − η·b",
    ("Adam", "output"): "m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g²; w ← w − η·(m/(1−β₁ᵗ)) / (√(v/(1−β₂ᵗ)) + ε)",
    ("AdamW", "output"): "w ← (1 − η·λ)·w, then Adam's step with the bare gradient",
}


def formula(row: str, quantity: str) -> str | None:
    """What the quantity is, or None for a row of the user's."""
    return _FORMULAS.get((row, quantity))
