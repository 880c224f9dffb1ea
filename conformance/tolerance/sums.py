"""Sums of squares: when every order of summation is exact, and how far off any order can be otherwise."""

import numpy as np

from conformance.case import Float64
from conformance.tolerance.arithmetic import Arithmetic
from conformance.tolerance.scopes import Scopes

_FRACTION_BITS = 53


def lowest_bit(numbers: Float64) -> Float64:
    """Return, per number, the power of two of its last set bit; inf for zero."""
    fraction, exponent = np.frexp(numbers)
    mantissa = np.abs(np.ldexp(fraction, _FRACTION_BITS)).astype(np.int64)
    last = (mantissa & -mantissa).astype(np.float64)
    return np.where(numbers == 0, np.inf, np.ldexp(last, exponent - _FRACTION_BITS))


def energy_error(amplitudes: Float64, roundings: int, scopes: Scopes, arithmetic: Arithmetic) -> Float64:
    """Return, per scope, a bound on the relative error of sum(a^2), for amplitudes that are off by `roundings` u.

    Zero where the amplitudes are given, the squares are multiples of one unit and their sum holds fewer units than the
    significand: then every partial sum of every order is exact. Otherwise the any-order bound, plus squares that
    underflow.
    """
    energy = scopes.total(np.square(amplitudes))
    lit = energy > 0
    unit = scopes.least(lowest_bit(amplitudes))
    units = np.where(lit, energy / np.where(lit, unit, 1.0) ** 2, 0.0)
    exact = (units < 2.0 ** (arithmetic.bits - 1)) & (~lit | (unit**2 >= arithmetic.smallest_normal))
    ordered = arithmetic.summation(scopes.size)
    underflow = scopes.size * arithmetic.smallest_normal / np.where(lit, energy, 1.0)
    bound = ordered + arithmetic.grow(4 + 2 * roundings) * (1 + ordered) + underflow
    return np.where(exact & (roundings == 0), 0.0, bound)


def overflows(amplitudes: Float64, scopes: Scopes, arithmetic: Arithmetic) -> bool:
    """Return whether some scope's sum of squares, or one square, is beyond the largest finite number."""
    with np.errstate(over="ignore"):
        energy = scopes.total(np.square(amplitudes)) * (1 + 4 * scopes.size * arithmetic.accumulator)
    return bool(np.any(energy >= arithmetic.largest))
