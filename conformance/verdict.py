"""Comparing an answer with the truth: one verdict per question, never without its evidence."""

from dataclasses import dataclass, field
from math import inf, isnan, nan
from typing import Literal

import numpy as np

from conformance.backends.answer import Answer
from conformance.case import Array, Case, Float64
from conformance.subgradient import subgradient_margin
from conformance.tolerance import Bounds, bounds

Status = Literal["pass", "fail", "error", "skip"]
TIES = ("strict", "subgradient")


@dataclass(frozen=True)
class Verdict:
    """What was judged, the outcome, and the worst elements. A margin is error over tolerance: at most 1 passes."""

    case_id: str
    loss: str
    backend: str
    dtype: str
    mode: str
    device: str
    status: Status
    value_margin: float = nan
    gradient_margin: float = nan
    has_ties: bool = False
    message: str = ""
    why: str = ""
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class Worst:
    """The element with the largest margin."""

    margin: float
    index: tuple[int, ...] = ()
    got: float = nan
    wanted: float = nan
    tolerance: float = nan

    def describe(self, quantity: str) -> str:
        """Say what, where, got, wanted, and how far the error is beyond its tolerance."""
        where = f"{quantity}[{', '.join(map(str, self.index))}]" if self.index else quantity
        if isnan(self.got):
            return f"{where}: got nan, wanted {self.wanted:.9g}"
        return (
            f"{where}: got {self.got:.9g}, wanted {self.wanted:.9g} +- {self.tolerance:.3g}"
            f" (error {abs(self.got - self.wanted):.3g}, {self.margin:.3g} x the tolerance)"
        )


def margins(actual: Float64, expected: Float64, tolerance: Float64) -> Float64:
    """Return error over tolerance per element.

    An exact hit is 0 at any tolerance, a miss at tolerance 0 is inf, a NaN is inf whatever was expected, and an
    infinity passes only where the truth is that same infinity.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        quotient = np.abs(actual - expected) / tolerance
    hit = (actual == expected) & ~np.isnan(tolerance)
    usable = np.isfinite(tolerance) & (tolerance >= 0)
    return np.where(hit, 0.0, np.where(usable & ~np.isnan(quotient), quotient, inf))


def worst_element(actual: Float64, expected: Float64, tolerance: Float64) -> Worst:
    """Return the element with the largest margin; empty arrays have none and raise ValueError."""
    if actual.shape != expected.shape or actual.shape != tolerance.shape or actual.size == 0:
        raise ValueError(f"cannot compare shapes {actual.shape}, {expected.shape}, {tolerance.shape}")
    margin = margins(actual, expected, tolerance)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(margin)), margin.shape))
    return Worst(float(margin[index]), index, float(actual[index]), float(expected[index]), float(tolerance[index]))


def _form_faults(name: str, array: Array, dtype: str, shape: tuple[int, ...]) -> list[str]:
    faults = []
    if array.dtype.name != dtype:
        faults.append(f"{name}: dtype {array.dtype.name}, wanted {dtype}")
    if array.shape != shape:
        faults.append(f"{name}: shape {array.shape}, wanted {shape}")
    return faults


def tolerances(case: Case, dtype: str) -> tuple[Bounds, Float64, Float64]:
    """Return the derivation's bounds, and the tolerances of value and gradient: those plus the truth's own error."""
    truth = case.truth
    derived = bounds(case.question, truth.value, truth.sign, dtype)
    return derived, derived.value + truth.value_error, derived.gradient + truth.gradient_error


def _gradient_worst(case: Case, derived: Bounds, gradient: Float64, tolerance: Float64, ties: str) -> tuple[Worst, str]:
    truth = case.truth
    worst = worst_element(gradient, truth.gradient, tolerance)
    if truth.sign is None or not case.has_ties:
        return worst, ""
    if ties == "subgradient":
        settled = derived.settled_gradient + truth.gradient_error
        margin = subgradient_margin(case.question, truth.sign, derived, gradient, settled)
        return Worst(margin, worst.index, worst.got, worst.wanted, worst.tolerance), "; no subgradient fits"
    if worst.margin > 1 and derived.tied[worst.index] and not isnan(worst.got):
        return worst, "; an exact tie, where sign(0) = 0 is declared (any subgradient: --ties subgradient)"
    return worst, ""


def judge_answer(case: Case, answer: Answer, dtype: str, ties: str) -> tuple[Status, float, float, str]:
    """Return status, margin of the value, margin of the gradient and a message that is empty only for a pass."""
    question, truth = case.question, case.truth
    faults = list(answer.misdeeds)
    faults += _form_faults("value", answer.value, dtype, question.value_shape)
    faults += _form_faults("gradient", answer.gradient, dtype, question.prediction.shape)
    shapes = (answer.value.shape, answer.gradient.shape)
    numbers = answer.value.dtype.kind + answer.gradient.dtype.kind
    if shapes != (question.value_shape, question.prediction.shape) or numbers != "ff":
        return "fail", inf, inf, "; ".join(faults)
    derived, value_tolerance, gradient_tolerance = tolerances(case, dtype)
    value = worst_element(answer.value.astype(np.float64), truth.value, value_tolerance)
    gradient, hint = _gradient_worst(case, derived, answer.gradient.astype(np.float64), gradient_tolerance, ties)
    if not value.margin <= 1:
        faults.append(value.describe("value"))
    if not gradient.margin <= 1:
        faults.append(gradient.describe("gradient") + hint)
    if isnan(value.margin) or isnan(gradient.margin):
        faults.append("a margin is not a number")
    return ("fail" if faults else "pass"), value.margin, gradient.margin, "; ".join(faults)
