"""Gradient parity: the frameworks' codepaths against one another, pair by pair."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from conformance.backends import Backend
from conformance.backends.answer import Answer
from conformance.case import Case
from conformance.tolerance.inputs import components_of
from conformance.verdict import Worst, tolerances, worst_element

AnswerOf = Callable[[Backend, Case, str], Answer]


@dataclass(frozen=True)
class Parity:
    """The largest difference of two backends' gradients over one loss and dtype, in tolerances of their difference."""

    loss: str
    dtype: str
    left: str
    right: str
    cases: int
    case_id: str
    worst: Worst

    @property
    def holds(self) -> bool:
        """True if something was compared and nothing is further apart than two correct gradients can be."""
        return self.cases > 0 and self.worst.margin <= 1


def ask(backend: Backend, case: Case, dtype: str) -> Answer:
    """Run the shipped codepath of one backend, eager, on the CPU."""
    question = case.question
    return backend.answer(backend.shipped(question), question, dtype=dtype, mode="eager", device="cpu")


def _compare(case: Case, dtype: str, left: Answer, right: Answer) -> Worst:
    """Two gradients that are each within the tolerance of the truth differ by at most twice the tolerance.

    Elements that no number is asked of are left out.
    """
    derived, _, tolerance = tolerances(case, dtype)
    ours, theirs = components_of(left.gradient), components_of(right.gradient)
    asked = ~np.isnan(components_of(case.truth.gradient)) & (
        np.isfinite(ours) & np.isfinite(theirs) | ~derived.overflow
    )
    return worst_element(np.where(asked, ours, 0.0), np.where(asked, theirs, 0.0), 2 * tolerance)


def parity(
    backends: Sequence[Backend], cases: Sequence[Case], dtypes: Sequence[str], answer_of: AnswerOf = ask
) -> list[Parity]:
    """Return, per loss, dtype and pair of backends, where their gradients differ most."""
    rows = []
    for loss in dict.fromkeys(case.question.loss for case in cases):
        for dtype in dtypes:
            of_loss = [case for case in cases if case.question.loss == loss and case.question.holds(dtype)]
            if not of_loss:
                continue
            answers = {
                (backend.name, case.question.case_id): answer_of(backend, case, dtype)
                for case in of_loss
                for backend in backends
            }
            for left, right in combinations([backend.name for backend in backends], 2):
                ranked = [
                    (
                        _compare(
                            case, dtype, answers[left, case.question.case_id], answers[right, case.question.case_id]
                        ),
                        case.question.case_id,
                    )
                    for case in of_loss
                ]
                worst, case_id = max(ranked, key=lambda pair: pair[0].margin)
                rows.append(Parity(loss, dtype, left, right, len(ranked), case_id, worst))
    return rows
