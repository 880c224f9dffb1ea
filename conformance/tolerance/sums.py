"""Sums of squares: when every order of summation is exact, and how far off any order can be otherwise."""

import numpy as np

from conformance.case import Float64
from conformance.tolerance.arithmetic import Arithmetic

_FRACTION_BITS = 53


def lowest_bit(numbers: Float64) -> Float64:
    """Return, per number, the power of two of its last set bit; inf for zero."""
    fraction, exponent = np.frexp(numbers)
    mantissa = np.abs(np.ldexp(fraction, _FRACTION_BITS)).astype(np.int64)
    last = (mantissa & -mantissa).astype(np.float64)
    return np.where(numbers == 0, np.inf, np.ldexp(last, exponent - _FRACTION_BITS))


def energy_error(amplitudes: Float64, arithmetic: Arithmetic) -> Float64:
    """Return, per sample, a bound on the relative error of sum(a^2) over (C, H, W); shape (B, 1, 1, 1).

    Zero where the squares are multiples of one unit and their sum holds fewer units than the significand: then every
    partial sum of every order is exact. Otherwise the any-order bound, plus squares that underflow.
    """
    axes = (1, 2, 3)
    terms = amplitudes[0].size
    energy = np.sum(np.square(amplitudes), axis=axes, keepdims=True)
    unit = np.min(lowest_bit(amplitudes), axis=axes, keepdims=True)
    lit = energy > 0
    units = np.where(lit, energy / np.where(lit, unit, 1.0) ** 2, 0.0)
    exact = (units < 2.0 ** (arithmetic.bits - 1)) & (~lit | (unit**2 >= arithmetic.smallest_normal))
    ordered = arithmetic.summation(terms)
    underflow = terms * arithmetic.smallest_normal / np.where(lit, energy, 1.0)
    bound = ordered + arithmetic.grow(4) * (1 + ordered) + underflow
    return np.where(exact, 0.0, bound)
