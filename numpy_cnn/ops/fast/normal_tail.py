"""The tail of the normal distribution, which NumPy does not have.

    Q(x) = ½ erfc(x/√2) = ∫_x^∞ φ(t) dt        φ(t) = exp(−t²/2) / √(2π)

The function G(x) = (x + c) · exp(x²/2) · Q(x) varies only between c/2 and 1/√(2π) over all x ≥ 0. In the variable
r = 1 / (x + c), which maps [0, ∞) to (0, 1/c], a short polynomial represents it. So

    Q(x) = exp(−x²/2) · r · G(r)

has a small relative error, however small Q is, until exp(−x²/2) underflows: rounding x² in the exponent adds
x²/2·u to the error of the polynomial. That is below 5·10⁻⁹ with ten terms (float32) and below 3·10⁻¹⁷ with 23
(float64).

Source: after M. Shepherd and J. Laframboise, Chebyshev approximation of (1 + 2x) exp(x²) erfc x in 0 ≤ x < ∞,
Mathematics of Computation 36 (1981). The coefficients were computed here by interpolation in 60 Chebyshev nodes
of r, with 60 digits.
"""

import numpy as np

from numpy_cnn.arguments import Array

SHIFT = 4.25  # c; with a smaller one the terms cancel, with a larger one there are more of them
# Of G, by descending powers of r.
POWERS = {
    np.dtype(np.float32): [
        54148.18609146302,
        -67224.21613844659,
        29282.133186227613,
        -5752.247502247778,
        1231.641129206381,
        -6.2702804504062755,
        31.68643831939564,
        6.5521111947215225,
        1.7015879365287936,
        0.3988787134762284,
    ],
    np.dtype(np.float64): [
        -298970926486.3482,
        920078076468.8334,
        -1312773310655.0105,
        1148906952083.3645,
        -687832508790.4817,
        297819346614.111,
        -96445516679.55972,
        23970123984.895035,
        -4690378810.267731,
        738513617.0273654,
        -93799791.8356529,
        9645587.38457106,
        -866166.5005618024,
        50275.70521743278,
        -2254.871826517255,
        1560.454678089724,
        711.50777032013,
        272.50053183919226,
        88.11458617551287,
        25.53859316446203,
        6.806952063068616,
        1.6955046957787934,
        0.39894228038856344,
    ],
}


def normal_tail(x: Array, density: Array) -> Array:
    """Q(|x|) of float32 or float64; `density` receives exp(−x²/2), which gradients need as well."""
    np.multiply(x, x, out=density)
    density *= -0.5
    np.exp(density, out=density)
    r = np.abs(x)
    r += SHIFT
    np.divide(1, r, out=r)
    first, second, *powers = POWERS[x.dtype]
    tail = r * first
    tail += second
    for power in powers:  # Horner's rule
        tail *= r
        tail += power
    tail *= r
    tail *= density
    return np.asarray(tail)
