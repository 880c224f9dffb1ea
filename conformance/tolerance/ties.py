"""Exact ties that survive rounding: where a correct codepath can be held to sign(0) = 0."""

import numpy as np

from conformance.case import Bool, Float64
from conformance.tolerance.arithmetic import Arithmetic
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


def _survives_underflow(form: Float64, scopes: Scopes, domain: str, arithmetic: Arithmetic) -> Bool:
    """Return, per scope, whether no square of a number that is not 0 can be flushed; shape (B, C, 1, 1)."""
    squares = form if domain == "intensity" else np.square(form)
    least = scopes.least(np.min(np.where(form == 0, np.inf, squares), axis=-1))
    return np.asarray(least >= arithmetic.smallest_normal)


def normalised_ties(
    made: Amplitudes, scopes: Scopes, domain: str, both_lit: Bool, both_dark: Bool, arithmetic: Arithmetic
) -> Bool:
    """Return where p_i / P and t_i / T are the same number in every rounding.

    That is so at p_i = t_i = 0; in a scope whose inputs are equal, where both norms are bounded by eps (`both_dark`)
    or neither is (`both_lit`); and in one whose input is a power of two times the other, where neither norm is bounded
    by eps and no square underflows: every operation commutes with that power. Ties that merely happen to hold between
    exact norms are not preserved by rounding, and no codepath is held to them.
    """
    both_zero = (made.own == 0) & (made.other == 0)
    normal = [_survives_underflow(form, scopes, domain, arithmetic) for form in (made.own_form, made.other_form)]
    equal = scopes.least(np.all(made.own_form == made.other_form, axis=-1).astype(np.float64)) == 1
    by_power = _proportional_by_power_of_two(made, scopes, domain) & both_lit & (equal | np.logical_and(*normal))
    alike = np.all(made.own_form == made.other_form, axis=-1)
    return np.asarray(both_zero | by_power | (alike & both_dark))
