"""Tolerances of the Poisson negative log-likelihood for the naive formula, its autodiff and the closed form alike."""

from math import lgamma, log, pi

import numpy as np

from conformance.case import Float64, Question
from conformance.tolerance.amplitude import reduced, value_tolerance
from conformance.tolerance.arithmetic import (
    DIVISION,
    EVALUATION,
    LGAMMA_ABSOLUTE,
    LGAMMA_RELATIVE,
    LOGARITHM,
    SQUARE_ROOT,
    WEIGHT,
    Arithmetic,
)
from conformance.tolerance.bounds import Bounds, no_signs
from conformance.tolerance.sums import energy_error

SQUARED = 6
"""Roundings of (s p)^2 in any association: three, and three to spare."""
DIFFERENTIATED = WEIGHT + 2 * SQUARED + DIVISION
"""Roundings of w (1 - k / lambda) 2 s (s p) by automatic differentiation, relative to each of its two terms."""
GIVEN_SCALE = 8
"""Relative error of a = s^2 in units of u: a scale rounded on its way in counts twice."""
DERIVED_SCALE = 2 * DIVISION + 2 * SQUARE_ROOT + 4
"""The same for a scale that the codepath derives: mean, quotient, root, square; the summation error comes on top."""
STIRLING_JUMP = abs(-1 + 0.5 * log(2 * pi))
"""The constant stirling jumps by this at k = 1."""


def _scale_error(question: Question, arithmetic: Arithmetic) -> float:
    scale = question.parameters.scale
    if scale is None or scale.source == "given":
        return arithmetic.grow(GIVEN_SCALE)
    if scale.source == "closed_form":
        return arithmetic.grow(DERIVED_SCALE)
    whole = question.target.reshape((1, 1, 1, -1))
    sg = float(energy_error(whole, arithmetic).item())
    return (arithmetic.grow(DERIVED_SCALE) + sg) / (1 - sg)


def _product_error(factor: Float64, logarithm: Float64, log_error: Float64, arithmetic: Arithmetic) -> Float64:
    """Error of k log(x) when k is off by SQUARED roundings and the logarithm by `log_error`."""
    grown = (1 + arithmetic.grow(SQUARED)) * (1 + arithmetic.unit)
    return factor * (grown * (logarithm + log_error) - logarithm)


def _constant(question: Question, counts: Float64, arithmetic: Arithmetic) -> tuple[Float64, Float64, Float64, Float64]:
    """Return magnitude, error, and the first and second derivative with respect to log k, of the data-only term."""
    u = arithmetic.unit
    mu = arithmetic.grow(SQUARED)
    none = np.zeros_like(counts)
    if question.parameters.constant == "lgamma":
        x = counts + 1
        magnitude = np.abs(np.vectorize(lgamma, otypes=[float])(x))
        psi = np.log(x) - 1 / (2 * x)
        psi_error = 1 / (12 * x**2)
        error = (LGAMMA_RELATIVE + 1) * u * magnitude + LGAMMA_ABSOLUTE * u
        error += (mu + u) * x * (np.abs(psi) + psi_error) + (mu + u) ** 2 * (x + 1)
        return magnitude, error, counts * psi, counts * (np.abs(psi) + psi_error + 1)
    if question.parameters.constant == "stirling":
        many = counts > 1 - mu
        k = np.where(many, counts, 1.0)
        logarithm, tail = np.abs(np.log(k)), np.abs(np.log(2 * pi * k)) / 2
        log_error = mu / (1 - mu) + LOGARITHM * u * logarithm
        magnitude = k * logarithm + k + tail
        error = _product_error(k, logarithm, log_error, arithmetic) + mu * k + 3 * u * magnitude
        error += (mu / (1 - mu) + (LOGARITHM + 2) * u * 2 * tail) / 2
        error += np.where(np.abs(k - 1) <= mu * k, STIRLING_JUMP, 0.0)
        first = np.where(counts > 1, k * np.log(k) + 0.5, 0.0)
        return np.where(many, magnitude, none), np.where(many, error, none), first, np.where(many, magnitude + k, none)
    return none, none, none, none


def nll_bounds(question: Question, value: Float64, arithmetic: Arithmetic) -> Bounds:
    """Tolerances of `poisson_nll` at one case, from its inputs, the scale's origin and the arithmetic."""
    u, eta = arithmetic.unit, arithmetic.smallest_normal
    p, t, weight = question.prediction, question.target, question.weight
    a = (question.parameters.scale.value if question.parameters.scale else 1.0) ** 2
    mu, scale_error = arithmetic.grow(SQUARED), _scale_error(question, arithmetic)
    rate, counts = a * np.square(p), a * np.square(t)
    counted = counts > 0
    p_squared = np.where(counted, np.square(p), 1.0)
    logarithm = np.where(counted, np.log(a * p_squared), 0.0)
    parts = np.where(counted, abs(log(a)) + np.abs(np.log(p_squared)), 0.0)
    log_error = np.where(counted, mu / (1 - mu) + (LOGARITHM + 2) * u * parts, 0.0)
    constant, constant_error, constant_slope, constant_bend = _constant(question, counts, arithmetic)
    magnitude = rate + counts * np.abs(logarithm) + constant
    error = mu * rate + _product_error(counts, np.abs(logarithm), log_error, arithmetic)
    error += 2 * u * magnitude + constant_error
    slope, _ = reduced(rate - counts - counts * logarithm + constant_slope, question.parameters.reduction)
    bend, _ = reduced(magnitude + 2 * counts + constant_bend, question.parameters.reduction)
    of_scale = weight * (scale_error * np.abs(slope) + scale_error**2 * (1 + scale_error) * bend)
    tolerance = value_tolerance(error, magnitude, value, weight, question, arithmetic) + of_scale * EVALUATION

    lit = p != 0
    divisor = np.where(lit, np.abs(p), 1.0)
    spread = np.square(p) + np.square(t)
    off = arithmetic.grow(DIFFERENTIATED) * spread * (1 + scale_error) + scale_error * np.abs((p - t) * (p + t))
    gradient = np.where(lit, weight * 2 * a / divisor * off, 0.0) * EVALUATION + 4 * eta
    nothing = no_signs(p.shape)
    return Bounds(np.asarray(tolerance), gradient, nothing, nothing, gradient)
