"""Tolerances of the legacy MAE: one sign and one weight per element, no coupling."""

import numpy as np
from numpy.typing import NDArray

from conformance.case import Float64, Question
from conformance.tolerance.amplitude import DIRECT
from conformance.tolerance.arithmetic import EVALUATION, Arithmetic
from conformance.tolerance.bounds import Bounds
from conformance.tolerance.inputs import amplitudes, of_input
from conformance.tolerance.reduction import value_tolerance


def mae_bounds(question: Question, value: Float64, sign: NDArray[np.int8], arithmetic: Arithmetic) -> Bounds:
    """Tolerances of the legacy `amplitude_mae`: s p - s t or s (p - t)."""
    u = arithmetic.unit
    scale = question.parameters.scale.value if question.parameters.scale else 1.0
    made = amplitudes(question)
    p, t = made.own, made.other
    difference = np.abs(scale * (p - t))
    error = arithmetic.grow(2 + made.roundings) * scale * (np.abs(p) + np.abs(t)) + 2 * arithmetic.smallest_normal
    tied = np.all(made.own_form == made.other_form, axis=-1)
    unsettled = (difference <= error) & ~tied
    element = (1 + u) * error + u * difference
    tolerance = value_tolerance(element, difference, value, question, arithmetic)
    s = np.abs(sign).astype(np.float64)
    slope = question.weight * scale
    settled = (arithmetic.grow(DIRECT) * slope * s + arithmetic.smallest_normal) * EVALUATION
    swung = np.where(unsettled, (1 + s) * slope * (1 + arithmetic.grow(DIRECT)), 0.0) * EVALUATION
    open_sign = (sign == 0) | unsettled
    any_sign = settled + np.where(open_sign, arithmetic.grow(DIRECT) * slope * EVALUATION, 0.0)
    gradient = of_input(settled + swung, slope * s, question, arithmetic)
    return Bounds(tolerance, gradient, unsettled & question.valid, tied, any_sign)
