"""Comparing an answer with the truth: one verdict per question, never without its evidence."""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import inf, isnan, nan
from typing import Literal

import numpy as np

from conformance.backends.answer import Answer, operand_dtype
from conformance.case import Array, Bool, Case, Float64
from conformance.subgradient import subgradient_margin
from conformance.tolerance import Bounds, bounds, computing_dtype, loss_scale, narrowed_gradient
from conformance.tolerance.inputs import components_of

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
    repeatable: bool | None = None
    """Whether two calls on the same inputs gave the same bits; None where there were not two answers."""
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


@lru_cache(maxsize=1024)
def _beside_infinity(case: Case) -> Bool:
    """Return which returned numbers the formula itself leaves finite: x / inf = 0 beside an infinite pixel.

    There is none where one number is returned for all, nor where a valid pixel is NaN: that is in every norm.
    """
    question, value = case.question, case.truth.value
    pair = [np.where(question.valid, array, 0) for array in (question.prediction, question.target)]
    infinite = np.logical_or(*map(np.isinf, pair))
    if value.ndim == 0 or any(bool(np.isnan(array).any()) for array in pair) or not infinite.any():
        return np.zeros(value.shape, bool)
    return np.logical_not(infinite if value.ndim == infinite.ndim else infinite.any((1, 2, 3)))


def _asked(actual: Float64, expected: Float64, overflow: bool, unjudged: Bool | bool) -> tuple[Float64, Float64]:
    """Return both with 0 wherever the contract asks for no number, so that there is nothing to miss.

    A NaN truth stands for a value that must not be finite, or for a number that is `unjudged`; a finite value is
    left against its NaN, which it misses whatever it is. Where intermediate numbers overflow, an answer that is not
    finite is right too; the gradient of such a value is not judged at all.
    """
    free = np.isnan(expected) & (~np.isfinite(actual) | unjudged)
    if overflow:
        free |= ~np.isfinite(actual)
    return np.where(free, 0.0, actual), np.where(free, 0.0, expected)


def worst_element(actual: Float64, expected: Float64, tolerance: Float64) -> Worst:
    """Return the element with the largest margin; empty arrays have none and raise ValueError."""
    if actual.shape != expected.shape or actual.shape != tolerance.shape or actual.size == 0:
        raise ValueError(f"cannot compare shapes {actual.shape}, {expected.shape}, {tolerance.shape}")
    margin = margins(actual, expected, tolerance)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(margin)), margin.shape))
    return Worst(float(margin[index]), index, float(actual[index]), float(expected[index]), float(tolerance[index]))


def _form_faults(name: str, got: str, wanted: str, shape: tuple[int, ...], true: tuple[int, ...]) -> list[str]:
    faults = []
    if got != wanted:
        faults.append(f"{name}: dtype {got}, wanted {wanted}")
    if shape != true:
        faults.append(f"{name}: shape {shape}, wanted {true}")
    return faults


@lru_cache(maxsize=1024)
def tolerances(case: Case, dtype: str) -> tuple[Bounds, Float64, Float64]:
    """Return the derivation's bounds, and the tolerances of value and gradient: those plus the truth's own error.

    The gradient's tolerance has a last axis of two for a field. Deriving them is most of the judge's time, and they
    depend on nothing that is judged: they are kept.
    """
    truth = case.truth
    derived = bounds(case.question, truth.value, truth.sign, computing_dtype(dtype))
    gradient = components_of(truth.gradient)
    own = truth.gradient_error if gradient.ndim == truth.gradient_error.ndim else truth.gradient_error[..., None]
    value = derived.value + truth.value_error
    narrowed = narrowed_gradient(derived.gradient, gradient, dtype, loss_scale(truth.gradient, dtype)) + own
    settled = np.where(np.isfinite(truth.value), value, 0.0), np.where(np.isfinite(gradient), narrowed, 0.0)
    return derived, *settled


def _gradient_worst(
    case: Case, derived: Bounds, gradient: Array, tolerance: Float64, dtype: str, ties: str
) -> tuple[Worst, str]:
    truth = case.truth
    actual, expected = _asked(components_of(gradient), components_of(truth.gradient), derived.overflow, unjudged=True)
    worst = worst_element(actual, expected, tolerance)
    if truth.sign is None or not case.has_ties or case.question.loss == "poisson_nll":
        return worst, ""
    if ties == "subgradient" and np.all(np.isfinite(truth.gradient)):
        margin = subgradient_margin(case, derived, gradient, dtype)
        return replace(worst, margin=margin), "; no subgradient fits"
    if worst.margin > 1 and derived.tied[worst.index[:4]] and not isnan(worst.got):
        return worst, "; an exact tie, where sign(0) = 0 is declared (any subgradient: --ties subgradient)"
    return worst, ""


def element_margins(case: Case, answer: Answer, dtype: str) -> tuple[Float64, Float64] | None:
    """Return the margin of every element of value and gradient, strict at ties; None for an answer of another form.

    The gradient's has the prediction's shape: of a field the larger of the two components.
    """
    question, truth = case.question, case.truth
    if (answer.value.shape, answer.gradient.shape) != (question.value_shape, question.prediction.shape):
        return None
    if answer.gradient.dtype.kind != truth.gradient.dtype.kind:
        return None
    derived, of_value, of_gradient = tolerances(case, dtype)
    value = margins(*_asked(answer.value, truth.value, derived.overflow, _beside_infinity(case)), of_value)
    got, true = components_of(answer.gradient), components_of(truth.gradient)
    gradient = margins(*_asked(got, true, derived.overflow, unjudged=True), of_gradient)
    return value, gradient if gradient.ndim == question.prediction.ndim else gradient.max(axis=-1)


def judge_answer(case: Case, answer: Answer, dtype: str, ties: str) -> tuple[Status, float, float, str]:
    """Return status, margin of the value, margin of the gradient and a message that is empty only for a pass."""
    question, truth = case.question, case.truth
    shapes = (answer.value.shape, answer.gradient.shape)
    faults = list(answer.misdeeds)
    faults += _form_faults("value", answer.value_dtype, computing_dtype(dtype), shapes[0], question.value_shape)
    wanted = operand_dtype(question, dtype)
    faults += _form_faults("gradient", answer.gradient_dtype, wanted, shapes[1], question.prediction.shape)
    numbers = (answer.value.dtype.kind, answer.gradient.dtype.kind)
    if shapes != (question.value_shape, question.prediction.shape) or numbers != ("f", truth.gradient.dtype.kind):
        return "fail", inf, inf, "; ".join(faults)
    derived, value_tolerance, gradient_tolerance = tolerances(case, dtype)
    value = worst_element(*_asked(answer.value, truth.value, derived.overflow, _beside_infinity(case)), value_tolerance)
    lost = derived.overflow and not np.all(np.isfinite(answer.value))
    gradient, hint = (
        (Worst(0.0), "") if lost else _gradient_worst(case, derived, answer.gradient, gradient_tolerance, dtype, ties)
    )
    if not value.margin <= 1:
        faults.append(_described_value(value, truth.value))
    if not gradient.margin <= 1:
        faults.append(gradient.describe("gradient") + hint)
    if isnan(value.margin) or isnan(gradient.margin):
        faults.append("a margin is not a number")
    return ("fail" if faults else "pass"), value.margin, gradient.margin, "; ".join(faults)


def _described_value(worst: Worst, expected: Float64) -> str:
    if np.isnan(expected[worst.index]):
        return f"value: got {worst.got:.9g}, finite, though a valid pixel is not: wanted nan or inf"
    return worst.describe("value")
