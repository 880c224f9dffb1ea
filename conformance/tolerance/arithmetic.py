"""Hypotheses on arithmetic and libraries, in units of the unit roundoff u. The derivation is docs/tolerances.md."""

from dataclasses import dataclass
from math import expm1, log1p
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

SQUARE_ROOT = 2
"""A library's square root is within 2 u relative (IEEE 754: 1; vectorised and GPU square roots: 1 ulp)."""
MODULUS = 8
"""The modulus of a complex number is within 8 u relative, by hypot or by the root of the sum of two squares."""
DIVISION = 4
"""A division or a reciprocal is within 4 u relative (IEEE 754: 1; GPU full-range division: 2 ulp)."""
LOGARITHM = 8
"""log is within 8 u relative of the logarithm of its argument."""
LGAMMA_RELATIVE = 16
LGAMMA_ABSOLUTE = 64
"""lgamma is within 16 u relative plus 64 u absolute: implementations lose relative accuracy at its zeros 1 and 2."""
WEIGHT = 2 * DIVISION
"""A mean is one division, or two when a mean of means is taken."""
GAIN = SQUARE_ROOT + 1
"""The gain unit_rms is a square root and a multiplication."""
EVALUATION = 1 + 2.0**-20
"""These bounds are themselves evaluated in binary64, on at most 2**30 terms: their own error is far below this."""


Errors = TypeVar("Errors", float, NDArray[np.float64])


def both(left: Errors, right: Errors) -> Errors:
    """(1 + left) (1 + right) - 1 for two relative errors, without the cancellation of the form as it stands."""
    return left + right + left * right


def inverse(error: Errors) -> Errors:
    """1 / (1 - error) - 1: the relative error of a quotient by a number that is off by `error`."""
    return error / (1 - error)


@dataclass(frozen=True)
class Arithmetic:
    """A dtype: unit roundoff of element operations and of the accumulator, smallest normal, significand, largest."""

    name: str
    unit: float
    accumulator: float
    smallest_normal: float
    bits: int
    largest: float

    def grow(self, operations: int) -> float:
        """(1 + u)**operations - 1, without the cancellation that makes it 0 for u = 2**-53."""
        return expm1(operations * log1p(self.unit))

    def summation(self, terms: Errors) -> Errors:
        """Relative error of a sum of `terms` non-negative numbers in any order and any tree: (terms - 1) u_a."""
        return (terms - 1) * self.accumulator


ARITHMETICS = {
    "float32": Arithmetic("float32", 2.0**-24, 2.0**-24, 2.0**-126, 24, float.fromhex("0x1.fffffep127")),
    "float64": Arithmetic("float64", 2.0**-53, 2.0**-53, 2.0**-1022, 53, float.fromhex("0x1.fffffffffffffp1023")),
}
