"""Exact ties that survive rounding: where a correct codepath can be held to sign(0) = 0."""

import numpy as np

from conformance.case import Bool
from conformance.tolerance.inputs import Amplitudes
from conformance.tolerance.scopes import Scopes

_NEVER = np.iinfo(np.int32).min


def _proportional_by_power_of_two(made: Amplitudes, scopes: Scopes, domain: str) -> Bool:
    """Return, per scope, whether one input is 2^j times the other, element by element; shape (B, C, 1, 1)."""
    own_fraction, own_exponent = np.frexp(made.own_form)
    other_fraction, other_exponent = np.frexp(made.other_form)
    lit = made.other_form != 0
    step = own_exponent - other_exponent
    highest = scopes.largest(np.max(np.where(lit, step, _NEVER), axis=-1).astype(np.float64))[..., None]
    same = (own_fraction == other_fraction) & (~lit | (step == highest))
    if domain == "intensity":  # the root of an odd power of two rounds
        same &= (np.isneginf(highest) | (np.remainder(highest, 2) == 0)) | ~lit
    return np.asarray(scopes.least(np.all(same, axis=-1).astype(np.float64)) == 1)


def normalised_ties(made: Amplitudes, scopes: Scopes, domain: str, both_lit: Bool, both_dark: Bool) -> Bool:
    """Return where p_i / P and t_i / T are the same number in every rounding.

    That is so at p_i = t_i = 0, and in a scope whose one input is a power of two times the other: every operation
    commutes with that power as long as neither norm is bounded by eps (`both_lit`), or the inputs are equal and both
    norms are (`both_dark`), whatever the rounding. Ties that merely happen to hold between exact norms are not
    preserved by rounding, and no codepath is held to them.
    """
    both_zero = (made.own == 0) & (made.other == 0)
    by_power = _proportional_by_power_of_two(made, scopes, domain) & both_lit
    equal = np.all(made.own_form == made.other_form, axis=-1)
    return np.asarray(both_zero | by_power | (equal & both_dark))
