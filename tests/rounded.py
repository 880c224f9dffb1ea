"""Arithmetic in which every rounding is explicit: what a device may do within the hypotheses of docs/tolerances.md."""

from dataclasses import dataclass
from math import lgamma
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.tolerance.arithmetic import (
    ARITHMETICS,
    DIVISION,
    LGAMMA_ABSOLUTE,
    LGAMMA_RELATIVE,
    LOGARITHM,
    MODULUS,
    SQUARE_ROOT,
)

Array = NDArray[Any]
_lgamma = np.vectorize(lgamma, otypes=[float])


@dataclass(frozen=True)
class Machine:
    """One way to round.

    `fused`: a product and its sum round once. In float32 the product is exact in binary64, for 48 bits are at most 53,
    and the sum is rounded to 53 bits and then to 24. That is no fused operation to the last bit: where the 53 bits lie
    halfway between two float32 the second rounding may go the wrong way. But it is off from the exact result by at most
    (1 + 2**-28) u, which no bound here can tell from u. There is no such emulation of float64.

    `flush`: subnormal inputs and results are 0. `reciprocal`: x / y is x (1 / y). `lean`: roots, divisions, moduli and
    logarithms are the farthest number that the hypotheses allow, `up` or `down` in magnitude, `apart` or `together`
    as the caller's `side` says, `mixed` from element to element; otherwise the nearest number.
    """

    name: str
    dtype: str = "float32"
    fused: bool = False
    flush: bool = False
    reciprocal: bool = False
    lean: str = "none"

    def enter(self, array: Array) -> Array:
        """Round a real array to the dtype."""
        return self._kept(np.asarray(array).astype(self.dtype))

    def add(self, left: Array, right: Array) -> Array:
        return self._kept(np.add(left, right, dtype=self.dtype))

    def sub(self, left: Array, right: Array) -> Array:
        return self._kept(np.subtract(left, right, dtype=self.dtype))

    def mul(self, left: Array, right: Array) -> Array:
        return self._kept(np.multiply(left, right, dtype=self.dtype))

    def muladd(self, left: Array, right: Array, addend: Array) -> Array:
        """left * right + addend."""
        if not self.fused:
            return self.add(self.mul(left, right), addend)
        return self._kept((np.multiply(left, right, dtype=np.float64) + addend).astype(self.dtype))

    def div(self, left: Array, right: Array, side: Array | int = 1) -> Array:
        """left / right."""
        numerator = np.ones((), self.dtype) if self.reciprocal else left
        quotient = self._near(np.divide(numerator, right, dtype=np.float64), DIVISION, side)
        return self.mul(left, quotient) if self.reciprocal else quotient

    def sqrt(self, array: Array, side: Array | int = 1) -> Array:
        return self._near(np.sqrt(array, dtype=np.float64), SQUARE_ROOT, side)

    def hypot(self, left: Array, right: Array, side: Array | int = 1) -> Array:
        return self._near(np.hypot(left, right, dtype=np.float64), MODULUS, side)

    def log(self, array: Array, side: Array | int = 1) -> Array:
        return self._near(np.log(array, dtype=np.float64), LOGARITHM, side)

    def lgamma(self, array: Array, side: Array | int = 1) -> Array:
        exact = _lgamma(np.asarray(array, np.float64))
        if self.lean == "none":
            return self._kept(exact.astype(self.dtype))
        unit = ARITHMETICS[self.dtype].unit
        allowed = ((LGAMMA_RELATIVE - 1) * np.abs(exact) + LGAMMA_ABSOLUTE) * unit  # one u for the rounding below
        return self._kept((exact + self._direction(exact, side) * allowed).astype(self.dtype))

    def flushes(self, array: Array) -> bool:
        """Return whether some number of the array is flushed to zero."""
        return self.flush and bool(np.any((array != 0) & (np.abs(array) < ARITHMETICS[self.dtype].smallest_normal)))

    def _kept(self, array: Array) -> Array:
        if not self.flush:
            return array
        return np.where(np.abs(array) < ARITHMETICS[self.dtype].smallest_normal, np.zeros((), self.dtype), array)

    def _direction(self, exact: Array, side: Array | int) -> Array:
        if self.lean == "mixed":
            return 1 - 2 * (np.arange(exact.shape[-1]) % 2) if exact.ndim else np.ones(())
        return np.asarray({"up": 1, "down": -1, "apart": side, "together": np.negative(side)}[self.lean])

    def _near(self, exact: Array, units: int, side: Array | int) -> Array:
        """Return the nearest number, or the farthest one that is within `units` u of `exact`."""
        exact = np.asarray(exact)
        nearest = exact.astype(self.dtype)
        if self.lean == "none":
            return self._kept(nearest)
        direction = self._direction(exact, side)
        outward = (np.where(np.signbit(exact), -np.inf, np.inf) * np.sign(direction + 0.5)).astype(self.dtype)
        if self.dtype == "float64":  # what is exact is not known: steps of at most 2 u each, from within u
            leaned = nearest
            for _ in range((units - 1) // 2):
                leaned = np.nextafter(leaned, outward)
        else:
            allowed = units * ARITHMETICS[self.dtype].unit * np.abs(exact)
            leaned = (exact + direction * np.sign(exact) * allowed).astype(self.dtype)
            leaned = np.where(np.abs(leaned - exact) > allowed, np.nextafter(leaned, -outward), leaned)
        return self._kept(np.where((direction == 0) | ~np.isfinite(leaned) | (exact == 0), nearest, leaned))
