"""What a case sees: the smallest common factor on value or gradient that its tolerance no longer covers."""

from dataclasses import dataclass
from math import nan

import numpy as np

from conformance.case import Array, Case, Float64
from conformance.tolerance.inputs import components_of
from conformance.verdict import tolerances


@dataclass(frozen=True)
class Resolution:
    """Relative errors of value and gradient above which a codepath fails; NaN where the truth has no such number."""

    value: float
    gradient: float


def _smallest(tolerance: Float64, truth: Array) -> float:
    judged = np.isfinite(truth) & (truth != 0)
    if not np.any(judged):
        return nan
    return float(np.min(tolerance[judged] / np.abs(truth[judged])))


def resolution(case: Case, dtype: str) -> Resolution | None:
    """Return the smallest relative errors that one case sees in one dtype; None where it is not asked in that dtype.

    A value or gradient that is off by one factor 1 + x in all its elements, and by nothing else, fails where
    `x |truth_i|` exceeds the tolerance of some element: at the smallest `tolerance_i / |truth_i|` over the elements
    that are neither 0 nor infinite, a complex gradient by its components.
    """
    if not case.question.holds(dtype):
        return None
    _, value, gradient = tolerances(case, dtype)
    return Resolution(
        _smallest(value, np.asarray(case.truth.value)),
        _smallest(gradient, components_of(case.truth.gradient)),
    )
