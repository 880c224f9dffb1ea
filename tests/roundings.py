"""How far apart two right computations may be by the tolerance module's arithmetic, where it bounds no question itself.

That is so for derivatives of derivatives, transforms, weighted sums of both gradients, and two ways of one framework.
"""

from typing import Any

import numpy as np

from conformance.tolerance import ARITHMETICS
from conformance.tolerance.arithmetic import both
from conformance.tolerance.narrow import NARROW

STEPS = 64
"""No element of a loss or of its derivatives is a chain of more roundings, library functions in units of u."""
SHORT = 8
"""A chain of a product, a quotient and a root."""
SIX_DIGITS = 1e-6
"""The contract's promise of the NLL's gradient and deviance in float32, at any count up to 1e9 photons."""
STEP = 2.0**-20
"""Of central differences of numbers of about 1, in float64: beside it, its square is nothing."""


def apart(terms: int = 1, dtype: str = "float64", steps: int = STEPS) -> float:
    """Return how far apart two results of `steps` roundings and of sums of `terms` numbers in all may be.

    It is relative to the largest number that is added; where all are of one sign, to the result.
    """
    arithmetic = ARITHMETICS[dtype]
    return 2 * both(arithmetic.grow(steps), arithmetic.summation(terms))


def narrowed(dtype: str) -> float:
    """Return the relative difference of two right answers, each rounded to a narrow dtype once, at the end."""
    return 2 * NARROW[dtype].unit


def require_close(actual: Any, expected: Any, relative: float, size: Any = None) -> None:
    """Fail unless each element is within `relative` of `size`, by default of the largest finite one expected."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    if size is None:
        size = np.max(np.abs(expected[np.isfinite(expected)]), initial=0.0)
    allowed = np.broadcast_to(relative * np.abs(size), expected.shape)
    far = np.argwhere(~np.isclose(actual, expected, rtol=0, atol=allowed))
    where = tuple(far[0]) if far.size else ()
    assert not far.size, (
        f"{where}: got {actual[where]}, wanted {expected[where]} +- {allowed[where]:.3g}, {len(far)} off"
    )
