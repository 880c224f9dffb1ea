"""What can be said of a failure whose cause is not known: the sharpest facts, each of them true."""

from collections.abc import Sequence

import numpy as np

from conformance.backends.answer import operand_dtype
from conformance.case import Float64
from conformance.diagnosis.agreement import examinations_agree
from conformance.diagnosis.places import by_case, by_place, by_range, wrong_elements
from conformance.diagnosis.shrink import shrunk
from conformance.diagnosis.subject import Subject
from conformance.judge import CALLS, Examination, factors_of, own_copy, weights
from conformance.tolerance import computing_dtype
from conformance.tolerance.inputs import components_of
from conformance.uneven import of_gradient
from conformance.verdict import margins, tolerances

ONE_FACTOR = 2.0**-8
"""Relative spread of one factor: gradients of half types are that coarse."""
ASKED_AGAIN = 3
"""So many cases are asked once more before it is said that only calls without a gradient are wrong."""
NO_TENSOR = "TypeError: returned "
"""What a message says of a loss that returned something else; nothing was raised by the loss itself."""
SHOWN = 4
"""A question of at most so many elements is printed in full."""


def _has_numbers(one: Examination) -> bool:
    """Return whether every number of a failing answer can be held against the truth: nothing raised, no other form."""
    return one.verdict.status == "fail" and not form_faults(one)


def _kinds(failing: Sequence[Examination]) -> str:
    """Say whether values or gradients are wrong, of the answers whose numbers can be compared."""
    compared = [one for one in failing if _has_numbers(one)]
    asked_of = [one for one in failing if one.answers and one.verdict.status == "fail"]
    if asked_of and all(one.verdict.value_margin <= 1 and one.verdict.gradient_margin <= 1 for one in asked_of):
        return "every number that came back is right"
    value = sum(one.verdict.value_margin > 1 for one in compared)
    gradient = sum(one.verdict.gradient_margin > 1 for one in compared)
    if len(compared) == len(failing) and value and not gradient:
        asked = any(np.any(np.isfinite(one.case.truth.gradient)) for one in compared)
        return (
            f"only values are wrong, {'every gradient compared is right' if asked else 'of no gradient was one asked'}"
        )
    if len(compared) == len(failing) and gradient and not value:
        return "only gradients are wrong, every value compared is right"
    if not compared:
        return "in none of them are the numbers all that is wrong"
    compares = f"{len(compared)} whose numbers can be compared"
    return f"the value is wrong in {value}, the gradient in {gradient} of the {compares}"


def form_faults(one: Examination) -> list[str]:
    """Return what is wrong with an answer beside its numbers: shapes, dtypes, misdeeds."""
    if not one.answers:
        return []
    answer, question = one.answers[-1], one.case.question
    dtypes = computing_dtype(one.verdict.dtype), operand_dtype(question, one.verdict.dtype)
    faults = list(answer.misdeeds)
    for name, array, got, wanted, shape in (
        ("value", answer.value, answer.value_dtype, dtypes[0], question.value_shape),
        ("gradient", answer.gradient, answer.gradient_dtype, dtypes[1], question.prediction.shape),
    ):
        faults += [f"{name}: dtype {got}, wanted {wanted}"] if got != wanted else []
        faults += [f"{name}: shape {array.shape}, wanted {shape}"] if array.shape != shape else []
    return faults


DIGITS = {"float64": 17}
"""Of an enclosure; 9 tell any two numbers of the narrower dtypes apart."""


def _first(name: str, digits: int, got: Float64, true: Float64, tolerance: Float64) -> str:
    """Describe the first element beyond its tolerance."""
    with np.errstate(all="ignore"):
        margin = margins(got, true, tolerance)
    beyond = np.argwhere(margin > 1)
    if beyond.size == 0 and margin.ndim:
        return ""
    at = tuple(int(i) for i in beyond[0]) if margin.ndim else ()
    if not margin[at] > 1:
        return ""
    where = f"{name}[{', '.join(map(str, at))}]" if at else name
    low, high = true[at] - tolerance[at], true[at] + tolerance[at]
    return (
        f"{where}: got {got[at]:.{digits}g}, wanted within [{low:.{digits}g}, {high:.{digits}g}] "
        f"(tolerance {tolerance[at]:.3g}, margin {margin[at]:.3g})"
    )


def first_mismatch(one: Examination, dtype: str, ties: str = "strict") -> list[str]:
    """Return the first wrong element of value and gradient of one case, with the interval that was wanted.

    Where any subgradient is accepted, an exact tie has no interval of its own.
    """
    if not one.answers:
        return [one.verdict.message]
    answer, truth, verdict = one.answers[-1], one.case.truth, one.verdict
    _, of_value, of_gradient = tolerances(one.case, dtype)
    said = form_faults(one)
    for name, tolerance, margin in (
        ("value", of_value, verdict.value_margin),
        ("gradient", of_gradient, verdict.gradient_margin),
    ):
        got, true = components_of(getattr(answer, name)), components_of(getattr(truth, name))
        if margin > 1 and got.shape == true.shape and np.all(np.isfinite(true)):
            if name == "gradient" and ties == "subgradient" and one.case.truth.sign is not None:
                tied = one.case.truth.sign == 0
                tolerance = np.where(tied if tied.ndim == got.ndim else tied[..., None], np.inf, tolerance)
            text = _first(name, DIGITS.get(dtype, 9), got, true, tolerance)
            said += [text] if text else []
    return said or [one.verdict.message]


def _numbers(array: np.ndarray) -> str:
    return "[" + ", ".join(f"{number:.9g}" for number in array.ravel()) + "]"


def _unstable(one: Examination) -> bool:
    """Return whether two calls differ by more than what the second one's weight is to blame for."""
    if one.verdict.repeatable is not False:
        return False
    first, other = one.answers[:2]
    judged = one.verdict.status == "pass" and bool(np.all(np.isfinite(one.case.truth.gradient)))
    return judged or not np.array_equal(first.value, other.value, equal_nan=True)


def _another_answer(subject: Subject) -> bool:
    """Return whether the smallest failing case, whose first answer was wrong, gets another answer once more."""
    one = subject.failing[0]
    if len(one.answers) > 1 or subject.ships_here:
        return False
    again = subject.again(one.case)
    if again.verdict.status != one.verdict.status:
        return True
    return bool(one.answers) and examinations_agree(subject.dtype, one, again) is None


def _smallest(subject: Subject) -> list[str]:
    """Describe the smallest failing case, and the smallest part of it that fails."""
    one = subject.failing[0]
    question = one.case.question
    shape = "x".join(map(str, question.prediction.shape))
    said = [f"smallest failing case: {question.case_id}, {shape} [{one.case.why}]"]
    said += [f"  {text}" for text in first_mismatch(one, subject.dtype, subject.ties)]
    steady = len(one.answers) == 1 and not any(other.verdict.repeatable is False for other in subject.examinations)
    part = shrunk(subject, one) if steady and not subject.ships_here and not _another_answer(subject) else None
    if part is not None and part.case.question.prediction.size < question.prediction.size:
        small = part.case.question
        text = f"it still fails when cut to {'x'.join(map(str, small.prediction.shape))}"
        if small.prediction.size <= SHOWN:
            text += f": p = {_numbers(small.prediction)}, t = {_numbers(small.target)}"
            text += f", s = {small.parameters.scale.value:.9g}" if small.parameters.scale else ""
            text += f", mask = {small.valid.ravel().tolist()}" if small.mask is not None else ""
            text += f", view_ids = {small.view_ids.tolist()}" if small.view_ids is not None else ""
        said.append(text)
        said += [f"  {line}" for line in first_mismatch(part, subject.dtype, subject.ties)]
    return said


def _upstream(one: Examination) -> float | None:
    """Return by what the gradient of the second call's multiple of the loss is longer than the first one's.

    None where the values differ, or the gradients by no one factor.
    """
    first, other = one.answers
    own = factors_of(one.case.question, one.verdict.mode)
    lit = np.isfinite(first.gradient) & (first.gradient != 0)
    if not np.array_equal(first.value, other.value, equal_nan=True) or not np.any(lit):
        return None
    with np.errstate(all="ignore"):
        got = other.gradient if own is None else other.gradient * of_gradient(own)
        factors = np.real(got[lit] * weights(one.verdict.dtype)[1] / first.gradient[lit])
    low, high = float(np.min(factors)), float(np.max(factors))
    return low if high - low <= ONE_FACTOR * abs(low) else None


def _why(second: Sequence[Examination]) -> str:
    """Return why only the second calls may be wrong."""
    found = {None if factor is None else round(factor, 6) for factor in map(_upstream, second)}
    if None not in found and all(factors_of(one.case.question, one.verdict.mode) is not None for one in second):
        return (
            "several returned numbers that each have a weight train as if they had one in common: the backward pass "
            "mixes, clips or leaves out the gradients that it is given"
        )
    if len(found) == 1 and None not in found:
        (factor,) = found
        multiple = weights(second[0].verdict.dtype)[1]
        return (
            f"the gradient of {multiple:g} times the loss is {factor:g} times that of the loss, so the backward pass "
            "does not multiply by the gradient that it is given"
        )
    if all(np.array_equal(one.answers[0].value, one.answers[1].value, equal_nan=True) for one in second):
        return (
            "the values are the same and the gradients are not, so the backward pass is not linear in the gradient "
            "that it is given, as where it clips, or it keeps a state"
        )
    return "it keeps a state, draws, or reads memory that it has not written"


def _again_alone(subject: Subject, one: Examination) -> bool:
    """Return whether the call without a gradient says what it said once more, and is still the only wrong one."""
    question = one.case.question
    codepath = subject.codepath_under(subject.profile)(question)
    said = one.answers[2].value if len(one.answers) == len(CALLS) else None
    try:
        found = subject.backend.value(codepath, own_copy(question), dtype=subject.dtype, device=subject.device).value
    except KeyboardInterrupt:
        raise
    except BaseException:  # as it did before, or not
        found = None
    same = found is said if found is None or said is None else np.array_equal(found, said, equal_nan=True)
    return same and subject.again(one.case).verdict.message.startswith(CALLS[2])


def _without_gradient(subject: Subject, alone: Sequence[Examination]) -> str:
    """Return what only the third calls have wrong: the call is another one, or the loss is at another time."""
    if not all(_again_alone(subject, one) for one in alone[:ASKED_AGAIN]):
        return (
            f"in {len(alone)} of them the last of three calls on the same inputs is wrong, and asked again not that "
            "one alone: it keeps a state, counts its calls or draws"
        )
    raises = all(one.verdict.status == "error" for one in alone)
    values = all(one.verdict.value_margin > 1 for one in alone)
    what = "it raises" if raises else "its value is wrong" if values else "it is wrong"
    return f"in {len(alone)} of them {what} only where it is called without a gradient, as in validation"


def clues(subject: Subject) -> tuple[str, ...]:
    """Return what is known of a failure: which quantity, where, in which cases, and the smallest example."""
    failing = subject.failing
    said = [f"{len(failing)} of {len(subject.examinations)} cases fail; {_kinds(failing)}"]
    errors = [one.verdict.message for one in failing if one.verdict.status == "error"]
    others = sum(NO_TENSOR in message for message in errors)
    said += [f"it returns no tensor of the framework in {others} of them"] if others else []
    said += [f"it raises in {len(errors) - others} of them"] if len(errors) > others else []
    beginning = CALLS[1].partition("{")[0]
    second = [one for one in failing if one.verdict.message.startswith(beginning) and len(one.answers) == 2]
    if second:
        said.append(
            f"in {len(second)} of them only the second of two calls on the same inputs is wrong: {_why(second)}"
        )
    alone = [one for one in failing if one.verdict.message.startswith(CALLS[2])]
    said += [_without_gradient(subject, alone)] if alone else []
    unstable = sum(map(_unstable, subject.examinations))
    if unstable:
        said.append(f"two calls on the same inputs gave different bits in {unstable} cases")
    if _another_answer(subject):
        said.append(
            f"asked once more, {failing[0].case.question.case_id} gets another answer: it keeps a state, draws, or "
            "reads memory that it has not written"
        )
    found = wrong_elements(failing, subject.dtype)
    if found and len(found) == len(failing):
        values = any(one.verdict.value_margin > 1 and one.answers[-1].value.ndim == 0 for one in failing)
        where = "in the gradient " if values else ""
        said += [*by_place(found, where), *by_range(found, where)]
    return (*said, *by_case(subject), *_smallest(subject))
