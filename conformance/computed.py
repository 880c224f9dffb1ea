"""A case whose truth is computed and not golden: a shipped codepath in float64, with the proven tolerance of that."""

import numpy as np
from numpy.typing import NDArray

from conformance.backends import Backend
from conformance.case import Case, Question, Truth
from conformance.tolerance import bounds
from conformance.tolerance.inputs import amplitudes
from conformance.tolerance.scopes import Scopes

REFERENCE_DTYPE = "float64"


def signs(question: Question) -> NDArray[np.int8] | None:
    """Return the signs of phat - that from float64, None for a loss without.

    What float64 cannot settle the tolerance leaves open, and exact ties are 0.
    """
    if question.loss == "poisson_nll":
        return None
    made = amplitudes(question)
    own, other = made.own, made.other
    if question.loss == "amplitude_l2_mae":
        scopes, eps = Scopes(question), question.parameters.eps
        own, other = (a / np.maximum(np.sqrt(scopes.total(np.square(a))), eps) for a in (own, other))
    sign = np.nan_to_num(np.sign(own - other)).astype(np.int8)
    return np.asarray(-sign if question.parameters.wrt == "target" else sign)


def computed_case(question: Question, reference: Backend, *, why: str = "", catches: str = "") -> Case:
    """Return the case of a question whose truth is the reference's answer in float64.

    Raises
    ------
    Exception
        Whatever the reference raises for a question that it refuses.
    """
    answer = reference.answer(reference.shipped(question), question, dtype=REFERENCE_DTYPE, mode="eager", device="cpu")
    with np.errstate(all="ignore"):
        sign = signs(question)
        own = bounds(question, answer.value, sign, REFERENCE_DTYPE)
    value, gradient = answer.value, answer.gradient
    inputs = (array[question.valid] for array in (question.prediction, question.target))
    if not all(bool(np.all(np.isfinite(array))) for array in inputs):  # any value that is not finite is right
        value = np.where(np.isfinite(value), value, np.nan)
    if np.any(np.isnan(value)):  # of a loss that is no number no gradient is asked
        gradient = np.full_like(gradient, complex(np.nan, np.nan) if np.iscomplexobj(gradient) else np.nan)
    truth = Truth(value, gradient, sign, own.value, own.gradient)
    return Case(question, truth, why, catches, has_ties=sign is not None and bool(np.any((sign == 0) & question.valid)))
