"""Exact ties that survive rounding: where a correct codepath can be held to sign(0) = 0."""

import numpy as np
from numpy.typing import NDArray

from conformance.case import Float64

_AXES = (1, 2, 3)


def _proportional_by_power_of_two(prediction: Float64, target: Float64) -> NDArray[np.bool_]:
    """Return, per sample, whether p = 2^j t element by element; shape (B, 1, 1, 1)."""
    p_fraction, p_exponent = np.frexp(prediction)
    t_fraction, t_exponent = np.frexp(target)
    lit = target != 0
    step = p_exponent - t_exponent
    highest = np.max(np.where(lit, step, np.iinfo(np.int32).min), axis=_AXES, keepdims=True)
    same = (p_fraction == t_fraction) & (~lit | (step == highest))
    return np.asarray(np.all(same, axis=_AXES, keepdims=True))


def normalised_ties(
    prediction: Float64, target: Float64, both_lit: NDArray[np.bool_], both_dark: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return where p_i / P and t_i / T are the same number in every rounding.

    That is so at p_i = t_i = 0, and in a sample whose prediction is a power of two times its target: every operation
    commutes with that power as long as neither norm is bounded by eps (`both_lit`), or p_i = t_i and both are
    (`both_dark`), whatever the rounding. Ties that merely happen to hold between exact norms are not preserved by
    rounding, and no codepath is held to them.
    """
    both_zero = (prediction == 0) & (target == 0)
    by_power = _proportional_by_power_of_two(prediction, target) & both_lit
    return np.asarray(both_zero | by_power | ((prediction == target) & both_dark))
