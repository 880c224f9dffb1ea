"""Whether two answers are those of the same function, and how much closer to each other than to the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from conformance.backends import Answer
from conformance.backends.answer import operand_dtype
from conformance.case import Case, Float64
from conformance.judge import Examination
from conformance.tolerance import ARITHMETICS, computing_dtype
from conformance.tolerance.inputs import components_of
from conformance.verdict import tolerances

BOTH_ROUND = 2.0
"""Two correct codepaths of one function differ by at most twice the tolerance of either."""
LEAK = 64.0
"""Roundings of the largest element that reach the others through a sum, in units of u."""
DIGITS = 0.75
"""Of its digits, the share that an error of the answer must have in common with that of a known lie."""
SHARP = 8.0
"""A lie is recognised where it is at least so many times closer to the answer than the truth is."""


@dataclass(frozen=True)
class Agreement:
    """How two answers, or two sequences of them, agree."""

    relative: float = 0.0
    """Largest difference over the largest magnitude."""
    sharpness: float = 0.0
    """How many times closer the two are to each other than one of them is to the truth.

    Infinite for a shared form: a dtype, a finite number where none should be, NaN in some elements and not in others.
    """

    def joined(self, other: "Agreement") -> "Agreement":
        """Return the agreement on two cases together."""
        return Agreement(max(self.relative, other.relative), max(self.sharpness, other.sharpness))


def _form(answer: Answer) -> tuple[object, ...]:
    shapes = answer.value.shape, answer.gradient.shape
    return (*shapes, answer.value_dtype, answer.gradient_dtype, answer.gradient.dtype.kind, answer.misdeeds)


def _agreement(got: Float64, other: Float64, truth: Float64, tolerance: Float64, unit: float) -> Agreement | None:
    finite = np.isfinite(got)
    if not np.array_equal(finite, np.isfinite(other)) or not np.array_equal(got[~finite], other[~finite], True):
        return None
    largest = float(np.max(np.abs(got[finite]), initial=0.0))
    apart = np.where(finite, np.abs(np.where(finite, got, 0) - np.where(finite, other, 0)), 0.0)
    known = np.isfinite(truth)
    error = np.where(finite & known, np.abs(np.where(finite, got, 0) - np.where(known, truth, 0)), 0.0)
    rounding = BOTH_ROUND * np.where(np.isfinite(tolerance), tolerance, 0.0) + LEAK * unit * largest
    if np.any(apart > rounding + unit**DIGITS * np.minimum(error, largest)):
        return None
    floor = np.maximum(rounding, apart)
    sharpness = float(np.max(np.where(floor > 0, error / np.where(floor > 0, floor, 1), 0.0), initial=0.0))
    invented, lost = finite & ~known, ~finite & ~(got == truth)
    if np.any(invented) or (np.any(lost) and np.any(finite)):  # NaN throughout is what many mistakes come to
        sharpness = inf
    return Agreement(float(np.max(apart, initial=0.0)) / largest if largest else 0.0, sharpness)


def agreement(case: Case, dtype: str, got: Answer, other: Answer) -> Agreement | None:
    """Return how two answers to a case agree, or None where they do not.

    Both have the same form, are finite at the same elements, and differ there by the roundings of two codepaths of one
    function: twice the tolerance, what leaks from the largest element, and the last quarter of the digits of a larger
    error.
    """
    if _form(got) != _form(other):
        return None
    truth, unit = case.truth, ARITHMETICS[computing_dtype(dtype)].unit
    right_form = (got.value_dtype, got.gradient_dtype) == (computing_dtype(dtype), operand_dtype(case.question, dtype))
    found = Agreement(0.0, 0.0 if right_form else inf)
    _, of_value, of_gradient = tolerances(case, dtype)
    pairs = (
        (got.value, other.value, truth.value, of_value, False),
        (got.gradient, other.gradient, truth.gradient, of_gradient, True),
    )
    for mine, theirs, true, tolerance, is_gradient in pairs:
        left, right, exact = (components_of(array) for array in (mine, theirs, true))
        if left.shape != exact.shape:
            exact, tolerance = np.zeros(left.shape), np.zeros(left.shape)
            found = found.joined(Agreement(0.0, inf))
        neither = ~np.isfinite(left) & ~np.isfinite(right)
        free = np.isnan(exact) & (neither | is_gradient)  # what the contract does not ask for
        left, right, exact = (np.where(free, 0.0, array) for array in (left, right, exact))
        part = _agreement(left, right, exact, tolerance, unit)
        if part is None:
            return None
        found = found.joined(part)
    return found


def examinations_agree(dtype: str, got: Examination, other: Examination) -> Agreement | None:
    """Return how two codepaths agree on everything that was asked of them in one case; None where they do not."""
    if got.verdict.status != other.verdict.status:
        return None
    if got.verdict.status == "pass":  # both are within the tolerance of the truth
        return Agreement()
    if len(got.answers) != len(other.answers):
        return None
    if got.verdict.status == "error":
        kinds = [found.verdict.message.split(":")[0] for found in (got, other)]
        if kinds[0] != kinds[1]:
            return None
    found = Agreement(0.0, inf if got.verdict.status == "error" else 0.0)
    for mine, theirs in zip(got.answers, other.answers):
        part = agreement(got.case, dtype, mine, theirs)
        if part is None:
            return None
        found = found.joined(part)
    return found


def sharp(found: Sequence[Agreement]) -> bool:
    """Return whether agreement on these cases means anything: somewhere the truth is clearly further away."""
    return any(part.sharpness >= SHARP for part in found)
