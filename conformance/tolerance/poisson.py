"""Tolerances of the Poisson negative log-likelihood: naive formula, autodiff, closed and amplitude form alike."""

from dataclasses import replace

import numpy as np

from conformance.case import Float64, Question
from conformance.tolerance.arithmetic import DIVISION, EVALUATION, SQUARE_ROOT, WEIGHT, Arithmetic, inverse
from conformance.tolerance.bounds import Bounds, no_signs
from conformance.tolerance.inputs import finite
from conformance.tolerance.poisson_terms import (
    SQUARED,
    Rates,
    constant_term,
    deviance_form,
    plain_term,
    rates,
)
from conformance.tolerance.reduction import reduced, value_tolerance
from conformance.tolerance.scopes import Scopes
from conformance.tolerance.sums import energy_error

DIFFERENTIATED = WEIGHT + 2 * SQUARED + DIVISION
"""Roundings of w (1 - k / lambda) 2 s (s p) by automatic differentiation, relative to each of its two terms."""
GIVEN_SCALE = 8
"""Relative error of a = s^2 in units of u: a scale rounded on its way in counts twice."""
DERIVED_SCALE = 2 * DIVISION + 2 * SQUARE_ROOT + 4
"""The same for a scale that the codepath derives: mean, quotient, root, square; the summation error comes on top."""
NORMALISED = DIVISION + 3
"""Roundings of a division by the normaliser: the mean's weight, the constant added, the division, one to spare."""
MEAN_AMPLITUDE_OFFSET = 1e-8
"""What the normaliser batch_mean_amplitude adds to the mean."""


def _scale_error(question: Question, arithmetic: Arithmetic) -> float:
    scale = question.parameters.scale
    if scale is None or scale.source == "given":
        return arithmetic.grow(GIVEN_SCALE)
    if scale.source == "closed_form":
        return arithmetic.grow(DERIVED_SCALE)
    whole = _as_one_scope(question)
    sg = float(np.max(energy_error(finite(question.target, question), 0, whole, arithmetic)))
    return (arithmetic.grow(DERIVED_SCALE) + sg) / (1 - sg)


def _as_one_scope(question: Question) -> Scopes:
    return Scopes(replace(question, parameters=replace(question.parameters, scope="batch")))


def _normaliser(question: Question, arithmetic: Arithmetic) -> tuple[float, float]:
    """Return the magnitude of what the loss is divided by, and its relative error."""
    options = question.parameters
    if options.normaliser == "none":
        return 1.0, 0.0
    if options.normaliser == "frozen_mean_intensity":
        return float(options.normaliser_value or 1.0), arithmetic.grow(NORMALISED)
    target = finite(question.target, question)
    count = max(int(np.sum(question.valid)), 1)
    whole, size = float(np.sum(target)) / count, float(np.sum(np.abs(target))) / count
    ordered = arithmetic.summation(count)
    mean = whole + MEAN_AMPLITUDE_OFFSET
    spread = (size + MEAN_AMPLITUDE_OFFSET) / abs(mean)
    off = (ordered + arithmetic.grow(NORMALISED + DIVISION)) * spread
    return abs(mean), inverse(off)


def _gradient(question: Question, found: Rates, scale_error: float, arithmetic: Arithmetic) -> tuple[Float64, Float64]:
    """Return tolerance and magnitude of the gradient of one element's loss, before weight and normaliser."""
    guard, grown = question.parameters.rate_guard, arithmetic.grow(DIFFERENTIATED + 2)
    p, t, a = found.p, found.t, found.a
    if guard == "log_add":
        inside = np.where(found.inside > 0, found.inside, 1.0)
        ratio = np.where(found.seen, found.counts / inside, 0.0)
        slope = 2 * a * np.abs(p)
        moved = np.abs(1 - ratio) + ratio * (1 - found.rate / inside)
        return slope * (grown * (1 + ratio) * (1 + scale_error) + scale_error * moved), slope * np.abs(1 - ratio)
    lit = p != 0
    divisor = np.where(lit, np.abs(p), 1.0)
    spread, gap = np.square(p) + np.square(t), np.abs((p - t) * (p + t))
    off = arithmetic.grow(DIFFERENTIATED) * spread * (1 + scale_error) + scale_error * gap
    tolerance = np.where(lit, 2 * a / divisor * off, 0.0)
    magnitude = np.where(lit, 2 * a / divisor * gap, 0.0)
    if guard == "clamp":
        floor = question.parameters.rate_floor or 0.0
        uncertain = arithmetic.grow(SQUARED) + scale_error
        near = np.abs(found.rate - floor) <= uncertain * np.maximum(found.rate, floor)
        swing = np.where(near, magnitude * (1 + uncertain), 0.0)
        kept = ~found.below | near
        return np.where(kept, tolerance + swing, 0.0), np.where(kept, magnitude, 0.0)
    return tolerance, magnitude


def nll_bounds(question: Question, value: Float64, arithmetic: Arithmetic) -> Bounds:
    """Tolerances of `poisson_nll` at one case, from its inputs, the scale's origin and the arithmetic."""
    options = question.parameters
    found, scale_error = rates(question), _scale_error(question, arithmetic)
    divisor, divisor_error = _normaliser(question, arithmetic)
    plain, data = (
        plain_term(found, options.rate_guard, arithmetic),
        constant_term(options.constant, found.counts, arithmetic),
    )
    magnitude, error = plain.magnitude, plain.error
    if options.rate_guard == "none":
        other = deviance_form(found, arithmetic)
        magnitude, error = np.maximum(magnitude, other.magnitude), np.maximum(error, other.error)
    magnitude = magnitude + data.magnitude
    error = error + data.error + 2 * arithmetic.unit * magnitude
    slope, _ = reduced(plain.first + data.first, question)
    bend, _ = reduced(plain.second + data.second, question)
    of_scale = scale_error * np.abs(slope) + scale_error**2 * (1 + scale_error) * bend
    size = np.where(np.isfinite(value), np.abs(value), 0.0)
    whole = value_tolerance(error, magnitude, size * divisor, question, arithmetic) + of_scale * EVALUATION
    tolerance = whole * (1 + divisor_error) / divisor + divisor_error * size

    per_element, largest = _gradient(question, found, scale_error, arithmetic)
    weight = question.weight / divisor
    gradient = weight * (per_element * (1 + divisor_error) + divisor_error * largest) * EVALUATION
    gradient = np.where(question.valid, gradient + 4 * arithmetic.smallest_normal, 0.0)
    nothing = no_signs(found.p.shape)
    return Bounds(np.asarray(tolerance), gradient, nothing, nothing, gradient)
