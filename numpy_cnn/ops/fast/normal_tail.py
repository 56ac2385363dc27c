"""The tail of the normal distribution, which NumPy does not have.

    Q(x) = ½ erfc(x/√2) = ∫_x^∞ φ(t) dt        φ(t) = exp(−t²/2) / √(2π)

With z = x/√2, the function F(z) = (1 + 2z) · exp(z²) · erfc(z) varies only between 1 and 1.24 over all z ≥ 0. In
the variable t = (z − 3.75)/(z + 3.75), which maps [0, ∞) to [−1, 1), a short Chebyshev series represents it: cut
off after t¹¹ its relative error is below 2·10⁻⁸, after t²³ below 6·10⁻¹⁷. So

    Q(x) = exp(−z²) · F(t) / (2 + 4z)

has a small relative error, however small Q is: rounding z² in the exponent adds z²·u to that of the series.

Source: M. Shepherd and J. Laframboise, Chebyshev approximation of (1 + 2x) exp(x²) erfc x in 0 ≤ x < ∞,
Mathematics of Computation 36 (1981). The coefficients were computed here by interpolation in 48 nodes with 60
digits.
"""

import math

import numpy as np
from numpy.polynomial import chebyshev

from numpy_cnn.arguments import Array

SCALE = 3.75
LARGEST = 40.0  # beyond this z the tail is 0 in every dtype, and t(∞) would be ∞/∞
SERIES = [
    1.1775789345674017,
    -0.004590054580646478,
    -0.08424913336651792,
    0.05920993999819189,
    -0.026658668435305753,
    0.009074997670705265,
    -0.002413163540417608,
    0.0004907758365258086,
    -6.916973302501207e-05,
    4.13902798607301e-06,
    7.74038306619849e-07,
    -2.1886401049234397e-07,
    1.076499946567091e-08,
    4.521959811218287e-09,
    -7.754400208831351e-10,
    -6.318088340886684e-11,
    2.86879501093067e-11,
    1.9455868545777347e-13,
    -9.65469674843344e-13,
    3.25254814814874e-14,
    3.3478119482868056e-14,
    -1.864562880419313e-15,
    -1.2507950530688648e-15,
    7.418235256624044e-17,
]
POWERS = {
    np.dtype(dtype): chebyshev.cheb2poly(SERIES[:terms])[::-1].astype(dtype)
    for dtype, terms in ((np.float32, 12), (np.float64, 24))
}


def normal_tail(x: Array, density: Array) -> Array:
    """Q(|x|) of float32 or float64; `density` receives exp(−x²/2), which gradients need as well."""
    z = np.abs(x)
    z *= math.sqrt(0.5)  # a Python float keeps float32; a NumPy float64 would not
    np.clip(z, 0, LARGEST, out=z)  # np.minimum with a number takes five times as long
    np.multiply(z, z, out=density)
    np.negative(density, out=density)
    np.exp(density, out=density)
    t = z - SCALE
    t /= z + SCALE
    first, second, *powers = POWERS[x.dtype]
    tail = t * first
    tail += second
    for power in powers:  # Horner's rule
        tail *= t
        tail += power
    tail *= density
    z *= 4
    z += 2
    tail /= z
    return np.asarray(tail)
