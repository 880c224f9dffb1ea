"""The smallest question that the codepath still gets wrong: samples, channels, rows and columns are cut away."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from conformance.case import Question, Scale
from conformance.computed import computed_case
from conformance.diagnosis.subject import Subject
from conformance.judge import Examination

MOST_TRIALS = 200


def _cut(question: Question, axis: int, chosen: slice) -> Question:
    """Return the question on a part of one axis; what the data decided about the scale stays as it was."""
    at = tuple(chosen if a == axis else slice(None) for a in range(4))
    mask = question.mask
    if mask is not None and mask.shape[axis] > 1:
        mask = mask[at]
    ids = question.view_ids[chosen] if question.view_ids is not None and axis == 0 else question.view_ids
    scale = question.parameters.scale
    parameters = replace(question.parameters, scale=Scale(scale.value) if scale else None)
    return replace(
        question,
        parameters=parameters,
        prediction=question.prediction[at],
        target=question.target[at],
        mask=mask,
        view_ids=ids,
    )


def _smaller(question: Question) -> Iterator[Question]:
    """Yield the halves of the question along each axis, then those without one end."""
    for axis, length in enumerate(question.prediction.shape):
        if length > 1:
            yield _cut(question, axis, slice(0, length // 2))
            yield _cut(question, axis, slice(length // 2, length))
    for axis, length in enumerate(question.prediction.shape):
        if length > 2:
            yield _cut(question, axis, slice(0, length - 1))
            yield _cut(question, axis, slice(1, length))


def shrunk(subject: Subject, one: Examination) -> Examination | None:
    """Return the smallest part of a failing question that fails too; None where not even the whole does so again.

    The truth of a part is the shipped codepath's in float64, with its proven tolerance.
    """
    codepath_of = subject.codepath_under(subject.profile)

    def failing(question: Question) -> Examination | None:
        try:
            with np.errstate(all="ignore"):
                found = subject.ask(codepath_of, computed_case(question, subject.backend))
        except Exception:  # the shipped codepath refuses such a question, so there is no truth to hold against it
            return None
        return found if found.verdict.status == "fail" else None

    smallest, trials = failing(one.case.question), 0
    while smallest is not None:
        for question in _smaller(smallest.case.question):
            trials += 1
            found = failing(question)
            if found is not None or trials >= MOST_TRIALS:
                break
        else:
            return smallest
        if found is None:
            return smallest
        smallest = found
    return None
