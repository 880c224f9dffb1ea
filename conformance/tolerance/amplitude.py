"""Tolerances of the two amplitude MAEs: any summation order, any correct algebra of the stated class."""

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
)
from conformance.tolerance.bounds import Bounds
from conformance.tolerance.sums import energy_error
from conformance.tolerance.ties import normalised_ties

AXES = (1, 2, 3)
DIRECT = WEIGHT + DIVISION + 3
"""Roundings of w s_i / P: the weight, one division, and up to three multiplications or casts."""
COUPLED = WEIGHT + 3 * (DIVISION + 1) + 4
"""Roundings of one term of w phat_i sum_j s_j phat_j / P in reverse mode: weight, phat_j, 1 / P, d sqrt, products."""
ACCUMULATED = 3
"""Additions that bring the direct and the coupled part of a gradient element together."""
LEVEL_OF_REFERENCE = ARITHMETICS["float64"]


def _of_samples(numbers: Float64) -> Float64:
    return np.asarray(np.sum(numbers, axis=AXES, keepdims=True))


def _norm_error(amplitude: Float64, eps: float, arithmetic: Arithmetic) -> tuple[Float64, Float64, Float64, Float64]:
    """Return per sample the normaliser, its relative error rho, and 1 where eps bounds it, 1 where it might or not."""
    norm = np.sqrt(_of_samples(np.square(amplitude)))
    sg = energy_error(amplitude, arithmetic)
    half = sg / 2 + sg**2 / 2
    rho = (1 + half) * SQUARE_ROOT * arithmetic.unit + half
    dark = (norm <= eps).astype(np.float64)
    across = (np.abs(norm - eps) <= rho * norm).astype(np.float64)
    return np.maximum(norm, eps), np.where((dark > 0) & (across == 0), 0.0, rho), dark, across


def _element_error(rho: Float64, arithmetic: Arithmetic) -> Float64:
    """Relative error of a normalised element, by division or by a reciprocal and a multiplication."""
    u = arithmetic.unit
    return ((DIVISION + 1) * u + DIVISION * u**2 + rho) / (1 - rho)


def reduced(elements: Float64, reduction: str) -> tuple[Float64, int]:
    """Return the sums that the reduction takes over `elements`, and how many terms each has."""
    if reduction == "none":
        return elements, 1
    if reduction == "sample":
        return np.asarray(np.sum(elements, axis=AXES)), elements[0].size
    return np.asarray(np.sum(elements)), elements.size


def value_tolerance(
    error: Float64, magnitude: Float64, value: Float64, weight: float, question: Question, arithmetic: Arithmetic
) -> Float64:
    """Tolerance of a weighted sum whose terms are off by `error` and are `magnitude` large."""
    errors, terms = reduced(error, question.parameters.reduction)
    magnitudes, _ = reduced(magnitude, question.parameters.reduction)
    ordered = arithmetic.summation(terms)
    weighting = arithmetic.grow(WEIGHT + GAIN + 1)
    total = weight * (errors * (1 + ordered) + ordered * magnitudes) * (1 + weighting) + weighting * np.abs(value)
    return np.asarray((total + arithmetic.smallest_normal) * EVALUATION)


def l2_bounds(question: Question, value: Float64, sign: NDArray[np.int8], arithmetic: Arithmetic) -> Bounds:
    """Tolerances of `amplitude_l2_mae` at one case, from its inputs, its exact signs and the arithmetic."""
    u, eta, eps = arithmetic.unit, arithmetic.smallest_normal, question.parameters.eps
    p, t = question.prediction, question.target
    size = p[0].size
    gain = size**0.5 if question.parameters.gain == "unit_rms" else 1.0
    weight = question.weight * gain
    p_norm, p_rho, p_dark, p_across = _norm_error(p, eps, arithmetic)
    t_norm, t_rho, t_dark, t_across = _norm_error(t, eps, arithmetic)
    phat, that = p / p_norm, t / t_norm
    difference = np.abs(phat - that)
    error = _element_error(p_rho, arithmetic) * np.abs(phat) + _element_error(t_rho, arithmetic) * np.abs(that)
    error = error + eta * (2 + 1 / p_norm + 1 / t_norm)
    error_of_judge = 8 * size * LEVEL_OF_REFERENCE.unit * (np.abs(phat) + np.abs(that))
    both_lit = (p_dark + p_across + t_dark + t_across) == 0
    both_dark = (p_dark * t_dark == 1) & (p_across + t_across == 0)
    tied = normalised_ties(p, t, both_lit, both_dark)
    unsettled = (difference <= error + error_of_judge) & ~tied
    element = (1 + u) * error + u * difference
    tolerance = value_tolerance(element, difference, value, weight, question, arithmetic)

    s = np.abs(sign).astype(np.float64)
    l1 = _of_samples(np.abs(phat))
    coupling = _of_samples(sign * phat) * (1 - p_dark)
    free = (sign == 0) | unsettled
    loose = _of_samples(np.where(free, np.abs(phat), 0.0))
    c = np.abs(coupling) + size * LEVEL_OF_REFERENCE.unit * l1 + loose
    ordered = arithmetic.summation(size)
    cubed = 1 / (1 - p_rho) ** 3
    direct = (1 + arithmetic.grow(DIRECT + GAIN)) / (1 - p_rho) - 1
    per_term = (1 + ordered) * (1 + arithmetic.grow(COUPLED + GAIN)) - 1
    in_common = (1 + arithmetic.grow(COUPLED + GAIN)) * cubed - 1
    coupled = (1 - p_dark) * np.abs(phat)
    settled = direct * s + coupled * (per_term * cubed * l1 + in_common * c)
    settled = settled * (1 + arithmetic.grow(ACCUMULATED)) + arithmetic.grow(ACCUMULATED) * np.abs(
        sign - phat * coupling
    )
    settled = settled + p_across * np.abs(phat) * l1 * (1 + in_common) * (1 + per_term)
    swing = np.where(unsettled, 1 + s, 0.0)
    swung = (1 + direct) * swing + (1 + in_common) * (1 + per_term) * coupled * _of_samples(swing * np.abs(phat))
    underflow = eta * (2 + (size + 2) * np.abs(phat)) * np.maximum(1.0, 1 / p_norm)
    slope = weight / p_norm * EVALUATION
    known = slope * settled + underflow * EVALUATION
    any_sign = known + slope * np.where(free, direct * (1 - s), 0.0)
    return Bounds(tolerance, known + slope * swung, unsettled, tied, any_sign)


def mae_bounds(question: Question, value: Float64, sign: NDArray[np.int8], arithmetic: Arithmetic) -> Bounds:
    """Tolerances of the legacy `amplitude_mae`: s p - s t or s (p - t), one sign and one weight per element."""
    u = arithmetic.unit
    scale = question.parameters.scale.value if question.parameters.scale else 1.0
    p, t = question.prediction, question.target
    difference = np.abs(scale * (p - t))
    error = arithmetic.grow(2) * scale * (np.abs(p) + np.abs(t)) + 2 * arithmetic.smallest_normal
    tied = p == t
    unsettled = (difference <= error) & ~tied
    element = (1 + u) * error + u * difference
    tolerance = value_tolerance(element, difference, value, question.weight, question, arithmetic)
    s = np.abs(sign).astype(np.float64)
    slope = question.weight * scale
    settled = (arithmetic.grow(DIRECT) * slope * s + arithmetic.smallest_normal) * EVALUATION
    swung = np.where(unsettled, (1 + s) * slope * (1 + arithmetic.grow(DIRECT)), 0.0) * EVALUATION
    any_sign = settled + np.where(p == t, arithmetic.grow(DIRECT) * slope * EVALUATION, 0.0)
    return Bounds(tolerance, settled + swung, unsettled, tied, any_sign)
