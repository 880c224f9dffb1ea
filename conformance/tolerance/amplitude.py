"""Tolerances of the L2-normalised MAE: any summation order, any correct algebra of the stated class."""

import numpy as np
from numpy.typing import NDArray

from conformance.case import Float64, Question
from conformance.tolerance.arithmetic import (
    ARITHMETICS,
    DIVISION,
    EVALUATION,
    GAIN,
    SQUARE_ROOT,
    WEIGHT,
    Arithmetic,
    both,
)
from conformance.tolerance.bounds import Bounds
from conformance.tolerance.inputs import amplitudes, of_input
from conformance.tolerance.reduction import value_tolerance
from conformance.tolerance.scopes import Scopes
from conformance.tolerance.sums import energy_error, overflows
from conformance.tolerance.ties import normalised_ties

DIRECT = WEIGHT + DIVISION + 3
"""Roundings of w s_i / P: the weight, one division, and up to three multiplications or casts."""
COUPLED = WEIGHT + 3 * (DIVISION + 1) + 4
"""Roundings of one term of w phat_i sum_j s_j phat_j / P in reverse mode: weight, phat_j, 1 / P, d sqrt, products."""
ACCUMULATED = 3
"""Additions that bring the direct and the coupled part of a gradient element together."""
LEVEL_OF_REFERENCE = ARITHMETICS["float64"]


def _norm_error(
    amplitude: Float64, roundings: int, scopes: Scopes, eps: float, arithmetic: Arithmetic
) -> tuple[Float64, Float64, Float64, Float64]:
    """Return per scope the normaliser, the relative error of its reciprocal, and where eps bounds it, and where it may.

    The error is that of a norm too small by rho, which eps bounds below, or too large by `above`.
    """
    norm = np.sqrt(scopes.total(np.square(amplitude)))
    sg = energy_error(amplitude, roundings, scopes, arithmetic)
    capped = np.minimum(sg, 1.0)  # what is lost of a sum of squares is at most all of it
    half = capped / 2 + capped**2 / 2
    rho = (1 + half) * SQUARE_ROOT * arithmetic.unit + half
    above = both(np.expm1(np.log1p(sg) / 2), np.asarray(SQUARE_ROOT * arithmetic.unit))
    dark = (norm <= eps).astype(np.float64)
    across = ((norm * (1 + above) >= eps) & (norm * (1 - rho) <= eps)).astype(np.float64)
    with np.errstate(divide="ignore"):
        below = np.minimum(rho / np.maximum(1 - rho, 0.0), np.maximum(norm / eps - 1, 0.0))
    once = np.maximum(below, above)
    return np.maximum(norm, eps), np.where((dark > 0) & (across == 0), 0.0, once), dark, across


def _element_error(once: Float64, roundings: int, arithmetic: Arithmetic) -> Float64:
    """Relative error of a normalised element, by division or by a reciprocal and a multiplication."""
    u = arithmetic.unit
    divided = both(np.asarray((DIVISION + 1) * u + DIVISION * u**2), once)
    return both(divided, np.asarray(arithmetic.grow(roundings)))


def l2_bounds(question: Question, value: Float64, sign: NDArray[np.int8], arithmetic: Arithmetic) -> Bounds:
    """Tolerances of `amplitude_l2_mae` at one case, from its inputs, its exact signs and the arithmetic."""
    u, eta, eps = arithmetic.unit, arithmetic.smallest_normal, question.parameters.eps
    scopes, made = Scopes(question), amplitudes(question)
    overflow = any(overflows(a, scopes, arithmetic) for a in (made.own, made.other))
    p, t, size = made.own, made.other, scopes.size
    gain = np.sqrt(size) if question.parameters.gain == "unit_rms" else np.ones(size.shape)
    p_norm, once, p_dark, p_across = _norm_error(p, made.roundings, scopes, eps, arithmetic)
    t_norm, t_once, t_dark, t_across = _norm_error(t, made.roundings, scopes, eps, arithmetic)
    phat, that = p / p_norm, t / t_norm
    difference = np.abs(phat - that)
    error = _element_error(once, made.roundings, arithmetic) * np.abs(phat)
    error = error + _element_error(t_once, made.roundings, arithmetic) * np.abs(that)
    error = error + eta * (2 + 1 / p_norm + 1 / t_norm)
    error_of_judge = 8 * size * LEVEL_OF_REFERENCE.unit * (np.abs(phat) + np.abs(that))
    both_lit = (p_dark + p_across + t_dark + t_across) == 0
    both_dark = (p_dark * t_dark == 1) & (p_across + t_across == 0)
    tied = normalised_ties(made, scopes, question.parameters.domain, both_lit, both_dark, arithmetic)
    unsettled = (difference <= error + error_of_judge) & ~tied
    element = (1 + u) * error + u * difference
    tolerance = value_tolerance(gain * element, gain * difference, value, question, arithmetic)

    weight = question.weight * gain
    towards = -sign if question.parameters.wrt == "target" else sign
    s = np.abs(sign) * weight
    l1 = scopes.total(weight * np.abs(phat))
    coupling = scopes.total(weight * towards * phat) * (1 - p_dark)
    free = (sign == 0) | unsettled
    loose = scopes.total(np.where(free, weight * np.abs(phat), 0.0))
    c = np.abs(coupling) + size * LEVEL_OF_REFERENCE.unit * l1 + loose
    ordered = arithmetic.summation(size)
    cubed = (1 + once) ** 3
    grown = np.asarray(arithmetic.grow(COUPLED + GAIN + 2 * made.roundings))
    direct = both(np.asarray(arithmetic.grow(DIRECT + GAIN)), once)
    per_term = both(ordered, grown)
    in_common = both(grown, both(once, both(once, once)))
    coupled = (1 - p_dark) * np.abs(phat)
    net = np.abs(weight * towards - phat * coupling)
    settled = direct * s + coupled * (per_term * cubed * l1 + in_common * c)
    settled = settled * (1 + arithmetic.grow(ACCUMULATED)) + arithmetic.grow(ACCUMULATED) * net
    settled = settled + p_across * np.abs(phat) * l1 * (1 + in_common) * (1 + per_term)
    swing = np.where(unsettled, weight + s, 0.0)
    swung = (1 + direct) * swing + (1 + in_common) * (1 + per_term) * coupled * scopes.total(swing * np.abs(phat))
    swung = swung * (1 + arithmetic.grow(ACCUMULATED))
    underflow = eta * (2 + (size + 2) * np.abs(phat)) * np.maximum(1.0, 1 / p_norm)
    slope = EVALUATION / p_norm
    known = slope * settled + underflow * EVALUATION
    any_sign = known + slope * np.where(free, direct * (weight - s), 0.0)
    gradient = of_input(known + slope * swung, slope * net, question, arithmetic)
    return Bounds(tolerance, gradient, unsettled & question.valid, tied, any_sign, overflow)
