"""Whether value and gradient are multiples of the true ones: fitted on some cases, verified on the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite, prod

import numpy as np

from conformance.backends import Answer
from conformance.case import Case, Float64, Question
from conformance.diagnosis.agreement import BOTH_ROUND, LEAK
from conformance.diagnosis.findings import Finding
from conformance.diagnosis.subject import Subject, not_asked
from conformance.judge import Examination, second_answer
from conformance.tolerance import ARITHMETICS, computing_dtype
from conformance.tolerance.inputs import components_of
from conformance.verdict import tolerances

FEWEST = 4
"""Answers that a relation must hold on: two to fit it, and at least as many that were held out."""


def _scale(question: Question) -> float:
    scale = question.parameters.scale
    return scale.value if scale else 1.0


QUANTITIES: dict[str, Callable[[Question], float]] = {
    "1": lambda q: 1.0,
    "B": lambda q: float(q.prediction.shape[0]),
    "C": lambda q: float(q.prediction.shape[1]),
    "H W": lambda q: float(prod(q.prediction.shape[2:])),
    "C H W": lambda q: float(prod(q.prediction.shape[1:])),
    "B C H W": lambda q: float(q.prediction.size),
    "B C": lambda q: float(prod(q.prediction.shape[:2])),
    "s": _scale,
    "s^2": lambda q: _scale(q) ** 2,
}
"""What a factor may be proportional to, or inversely."""
POWERS = tuple((name, power) for name in QUANTITIES for power in ((1,) if name == "1" else (1, -1)))


@dataclass(frozen=True)
class Multiple:
    """factor * quantity**power."""

    factor: float
    quantity: str
    power: int

    def at(self, question: Question) -> float:
        """Return the multiple at a question."""
        return self.factor * float(QUANTITIES[self.quantity](question) ** self.power)

    def described(self, digits: int) -> str:
        """Return the factor for a person."""
        number = f"{self.factor:.{digits}g}"
        if self.quantity == "1":
            return number
        if self.power == -1:
            return f"{number} / ({self.quantity})"
        return self.quantity if number == "1" else f"{number} {self.quantity}"


ONE = Multiple(1.0, "1", 1)


@dataclass(frozen=True)
class Sample:
    """One quantity, value or gradient, of one case: what came back, the truth, and the tolerance.

    `at_infinity` is what came back where the truth is infinite, times the sign of that.
    """

    question: Question
    got: Float64
    true: Float64
    tolerance: Float64
    at_infinity: Float64
    leak: float

    def multiple(self) -> float | None:
        """Return the median quotient of what came back and the truth; None where that is 0."""
        weight = np.where(self.true != 0, 1 / np.abs(np.where(self.true != 0, self.true, 1)), 0.0)
        lit = weight > 0
        return float(np.median((self.got * weight * np.sign(self.true))[lit])) if np.any(lit) else None

    def fits(self, factor: float) -> bool:
        """Return whether what came back is this multiple of the truth."""
        endless = np.inf * np.sign(factor) if factor else 0.0
        if not np.all(self.at_infinity == endless):
            return False
        largest = float(np.max(np.abs(self.got), initial=0.0))
        allowed = BOTH_ROUND * self.tolerance * abs(factor) + self.leak * largest
        return bool(np.all(np.abs(self.got - factor * self.true) <= allowed))


def _sample(one: Examination, answer: Answer, dtype: str, quantity: str) -> Sample | None:
    """Return one quantity of one answer; None where it is not to be compared with the truth."""
    _, of_value, of_gradient = tolerances(one.case, dtype)
    got = components_of(getattr(answer, quantity))
    true = components_of(getattr(one.case.truth, quantity))
    tolerance = of_value if quantity == "value" else of_gradient
    if answer.misdeeds or answer.value_dtype != computing_dtype(dtype) or got.shape != true.shape:
        return None
    known, endless = np.isfinite(true), np.isinf(true)
    if not np.all(np.isfinite(got[known])):
        return None
    if quantity == "value" and np.any(np.isfinite(got[np.isnan(true)])):  # no multiple of what must not be finite
        return None
    with np.errstate(invalid="ignore"):
        beyond = got[endless] * np.sign(true[endless])
    leak = LEAK * ARITHMETICS[computing_dtype(dtype)].unit
    return Sample(one.case.question, got[known], true[known], tolerance[known], beyond, leak)


def _samples(examinations: Sequence[Examination], dtype: str, quantity: str) -> list[Sample] | None:
    """Return one quantity of every answer; None where one is not to be compared with the truth, or is missing."""
    found = []
    for one in examinations:
        if one.verdict.status == "error":
            return None
        for answer in one.answers:
            sample = _sample(one, answer, dtype, quantity)
            if sample is None:
                return None
            found.append(sample)
    return found


@dataclass(frozen=True)
class Fit:
    """A multiple that fits every sample, from how many it was taken, and on how many others it was verified."""

    multiple: Multiple
    fitted: int
    verified: int


def _fit(samples: Sequence[Sample]) -> Fit | None:
    """Return the simplest multiple that is fitted on every other sample and holds on all of them."""
    factors = [(sample, sample.multiple()) for sample in samples]
    known = [(sample, factor) for sample, factor in factors if factor is not None]
    if len(known) < FEWEST:
        return None
    if all(sample.fits(1.0) for sample in samples):
        return Fit(ONE, 0, len(known))
    for quantity, power in POWERS:
        fitted = [factor / float(QUANTITIES[quantity](sample.question) ** power) for sample, factor in known[::2]]
        chosen = Multiple(float(np.median(fitted)), quantity, power)
        if isfinite(chosen.factor) and all(sample.fits(chosen.at(sample.question)) for sample in samples):
            return Fit(chosen, len(fitted), len(known) - len(fitted))
    return None


def _holds_again(subject: Subject, value: Multiple, gradient: Multiple) -> bool:
    """Return whether both multiples hold at the second call too, where the first one, being wrong, was the only one."""
    codepath_of = subject.codepath_under(subject.profile)
    for one in (one for one in subject.failing if len(one.answers) == 1):
        how = {"dtype": subject.dtype, "mode": subject.mode, "device": subject.device}
        try:
            answer = second_answer(subject.backend, codepath_of(one.case.question), one.case, **how)
        except KeyboardInterrupt:
            raise
        except BaseException:
            return False
        for name, multiple in (("value", value), ("gradient", gradient)):
            sample = _sample(one, answer, subject.dtype, name)
            if sample is None or not sample.fits(multiple.at(one.case.question)):
                return False
    return True


def _on_the_others(subject: Subject, others: Sequence[Examination], value: Multiple, gradient: Multiple) -> int | None:
    """Return on how many answers to cases that were not asked both multiples hold; None where one does not."""
    count = 0
    for name, multiple in (("value", value), ("gradient", gradient)):
        samples = _samples(others, subject.dtype, name)
        if samples is None or not all(sample.fits(multiple.at(sample.question)) for sample in samples):
            return None
        count = len(samples)
    return count


def linear_relation(subject: Subject, pool: Sequence[Case]) -> list[Finding]:
    """Return how value and gradient are multiples of the true ones, if they are in every answer, and not both by 1.

    The golden cases that were not asked are asked too: shapes that few cases share explain many a factor. One factor
    for both is said wherever it fits both: the two estimates differ by rounding.
    """
    values, gradients = (_samples(subject.examinations, subject.dtype, name) for name in ("value", "gradient"))
    value, gradient = (None if samples is None else _fit(samples) for samples in (values, gradients))
    if value is None or gradient is None or gradients is None:
        return []
    if not _holds_again(subject, value.multiple, gradient.multiple):
        return []
    if value.multiple != ONE and all(one.fits(value.multiple.at(one.question)) for one in gradients):
        gradient = value
    if value.multiple == ONE and gradient.multiple == ONE:
        return []
    others = [] if subject.ships_here else not_asked(subject, pool)
    verified = _on_the_others(subject, others, value.multiple, gradient.multiple)
    if verified is None:
        return []
    digits = 12 if subject.dtype == "float64" else 6
    told = [("value", value.multiple), ("gradient", gradient.multiple)]
    if value.multiple == gradient.multiple:
        sentence = f"value and gradient = {value.multiple.described(digits)} x the reference"
    else:
        sentence = ", ".join(
            f"the {name} is right" if multiple == ONE else f"the {name} = {multiple.described(digits)} x the reference"
            for name, multiple in told
        )
    name = ", ".join(f"{name} {multiple.described(digits)}" for name, multiple in told)
    decisive = gradient if value.multiple == ONE else value
    evidence = f"fitted on {decisive.fitted} answers, verified on {decisive.verified} others"
    evidence += f", and on {verified} to cases that were not asked" if verified else ""
    return [Finding("factor", name, sentence, (evidence,))]
