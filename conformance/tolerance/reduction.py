"""The tolerance of a weighted sum of element losses, in any order and as the reduction groups them."""

import numpy as np

from conformance.case import Float64, Question
from conformance.tolerance.arithmetic import EVALUATION, GAIN, WEIGHT, Arithmetic

SAMPLE = (1, 2, 3)


def reduced(elements: Float64, question: Question) -> tuple[Float64, Float64]:
    """Return the weighted sums that the reduction takes over `elements`, and how many terms each has."""
    weighted = np.where(question.valid, question.weight * elements, 0.0)
    count = question.valid.astype(np.float64)
    reduction = question.parameters.reduction
    if reduction == "none":
        return weighted, np.ones(elements.shape)
    if reduction == "sample":
        return np.asarray(np.sum(weighted, axis=SAMPLE)), np.maximum(np.sum(count, axis=SAMPLE), 1.0)
    return np.asarray(np.sum(weighted)), np.maximum(np.asarray(np.sum(count)), 1.0)


def value_tolerance(
    error: Float64, magnitude: Float64, value: Float64, question: Question, arithmetic: Arithmetic
) -> Float64:
    """Tolerance of a weighted sum whose terms are off by `error` and are `magnitude` large."""
    errors, terms = reduced(error, question)
    magnitudes, _ = reduced(magnitude, question)
    ordered = arithmetic.summation(terms)
    weighting = arithmetic.grow(WEIGHT + GAIN + 1)
    size = np.where(np.isfinite(value), np.abs(value), 0.0)
    total = (errors * (1 + ordered) + ordered * magnitudes) * (1 + weighting) + weighting * size
    tolerance = np.asarray((total + arithmetic.smallest_normal) * EVALUATION)
    if question.parameters.reduction == "none":
        return np.where(question.valid, tolerance, 0.0)
    return tolerance
