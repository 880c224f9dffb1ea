"""What a codepath can be asked for which the judge scales and squares in the caller's place: the rest is lost there.

dL/dp = 2 s^2 p dL/dlambda. At p = 0 that is 0 or 0 inf, whatever the loss says of lambda, and at a NaN under a mask it
is NaN. And intensities have no signs.
"""

from dataclasses import replace

import numpy as np

from conformance.case import Case, Question
from conformance.profile import Profile

SQUARED = "scaled_intensity"


def has_squares(question: Question, profile: Profile) -> bool:
    """Return whether the question's intensities say all of it: the NLL alone does not ask for signs."""
    signed = question.loss != "poisson_nll" and any(
        bool(np.any(array.real < 0)) for array in (question.prediction, question.target)
    )
    return profile.inputs != SQUARED or not signed


def through_squares(case: Case, profile: Profile) -> Case:
    """Return the case with no gradient asked (NaN) where none comes through the judge's own square.

    It says what is handed over: a half type that does not hold that would round it before the loss is called.
    """
    if profile.inputs != "amplitude":
        case = replace(case, question=replace(case.question, handed=profile.inputs))
    if profile.inputs != SQUARED:
        return case
    own, gradient = case.question.of_gradient, case.truth.gradient
    lost = ~np.isfinite(own) | ((own == 0) & (gradient != 0))
    return replace(case, truth=replace(case.truth, gradient=np.where(lost, np.nan, gradient))) if lost.any() else case
