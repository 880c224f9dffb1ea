"""Runs codepaths over cases and returns a verdict for each; a codepath never sees more than the question."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isnan
from time import perf_counter
from typing import Any

import numpy as np

from conformance.backends import COMPILED, MODES, Answer, Backend, Codepath
from conformance.backends.answer import takes_scale
from conformance.case import Case, Float64, Question
from conformance.exit_codes import BackendError, ExitCode, UsageError
from conformance.tolerance import has_loss_scale, loss_scale, smallest_normal
from conformance.uneven import of_gradient, uneven
from conformance.verdict import Verdict, judge_answer

LONGEST_MESSAGE = 400
CALLS = ("", "on the second call, of {weight:g} times the loss: ", "called without a gradient, as in validation: ")
"""What a message begins with."""
BY_TURNS = "on the second call, of {weight:g}, {half:g} and {quarter:g} times the returned numbers by turns: "
ALONE = "eager"
"""The mode in which a loss is also called with its gradient switched off: it may have a value of its own there."""


def weights(dtype: str) -> tuple[float, float]:
    """Return what the loss is multiplied by at the first and the second call, both exact.

    A backward pass that leaves out the gradient that it is given, its size or its sign, answers the second one wrong,
    and so does one that clips: 65536 is where mixed precision begins to scale a loss. The loss scale of float16 has
    used up its range already.
    """
    return 1.0, -2.0 if has_loss_scale(dtype) else -65536.0


def fmax(left: float, right: float) -> float:
    """Return the larger number; a margin that is not there yet is NaN and counts for nothing."""
    return right if isnan(left) else max(left, right)


def own_copy(question: Question) -> Question:
    """Return a question on fresh arrays, so that nothing a codepath does to them reaches the judge."""
    arrays = {name: getattr(question, name) for name in ("prediction", "target", "mask", "view_ids")}
    return replace(question, **{name: array.copy() for name, array in arrays.items() if array is not None})


def _same_bits(left: Answer, right: Answer, least: float) -> bool:
    """Whether two answers are the same, but for gradients below `least`, where weights that are exact are not."""
    if not np.array_equal(left.value, right.value, equal_nan=True) or left.gradient.shape != right.gradient.shape:
        return False
    small = np.maximum(np.abs(left.gradient), np.abs(right.gradient)) < least
    return np.array_equal(left.gradient[~small], right.gradient[~small], equal_nan=True)


@dataclass(frozen=True)
class Examination:
    """One question put to a codepath: the case, the answers to the calls that it took, and the verdict on them."""

    case: Case
    verdict: Verdict
    answers: tuple[Answer, ...] = ()


def factors_of(question: Question, mode: str) -> Float64 | None:
    """Return what the second call multiplies several returned numbers by, besides; only in the mode `ALONE`."""
    return uneven(question) if mode == ALONE else None


def _plain(
    backend: Backend, codepath: Codepath, question: Question, dtype: str, mode: str, device: str, weight: float
) -> Answer:
    return backend.answer(codepath, question, dtype=dtype, mode=mode, device=device, loss_scale=weight)


def _weighted(
    backend: Backend, codepath: Codepath, question: Question, dtype: str, mode: str, device: str, weight: float
) -> Answer:
    """Return the answer to a weighted loss, its returned numbers with weights of their own, all divided out again."""
    factors = factors_of(question, mode)
    if factors is None:
        return _plain(backend, codepath, question, dtype, mode, device, weight)

    def several(*operands: Any, **arrays: Any) -> Any:
        return backend.times(codepath(*operands, **arrays), factors)

    answer = _plain(backend, several, question, dtype, mode, device, weight)
    return replace(answer, value=answer.value / factors, gradient=answer.gradient / of_gradient(factors))


def second_answer(backend: Backend, codepath: Codepath, case: Case, *, dtype: str, mode: str, device: str) -> Answer:
    """Return the answer to the second call, for a codepath whose first one was wrong already."""
    weight = weights(dtype)[1] * loss_scale(case.truth.gradient, dtype)
    with np.errstate(all="ignore"):
        return _weighted(backend, codepath, own_copy(case.question), dtype, mode, device, weight)


@np.errstate(all="ignore")
def examine(
    backend: Backend, codepath: Codepath, case: Case, *, dtype: str, mode: str, device: str, ties: str
) -> Examination:
    """Ask one question twice and judge both answers: a loss must not depend on what it was asked before.

    The second time the loss is multiplied by another weight, as in a weighted sum of losses, and divided by it again;
    in eager mode several returned numbers have a weight each, see `uneven`. There a third call asks for the value
    alone; its answer has the first one's gradient. NumPy is as silent as it is by default for whoever has it raise, and
    what a loss makes of that is put back.

    An exception inside the codepath is the verdict `error`; inputs that the dtype does not hold are a `skip`.
    BackendError passes through.
    """
    question = case.question
    scale = loss_scale(case.truth.gradient, dtype)
    least = 2 * smallest_normal(dtype) / scale
    unjudged = Verdict(
        question.case_id,
        question.loss,
        backend.name,
        dtype,
        mode,
        device,
        "error",
        has_ties=case.has_ties,
        why=case.why,
    )
    if not question.holds(dtype):
        return Examination(case, replace(unjudged, status="skip", message=f"its inputs are no numbers of {dtype}"))
    start = perf_counter()
    verdict, answers, multiples = unjudged, list[Answer](), weights(dtype)
    for place, text in enumerate(CALLS if mode == ALONE else CALLS[: len(multiples)]):
        text = BY_TURNS if place == 1 and factors_of(question, mode) is not None else text
        own, call = (
            own_copy(question),
            text.format(weight=multiples[1], half=multiples[1] / 2, quarter=multiples[1] / 4),
        )
        try:
            with np.errstate():  # a loss may set them
                if place < len(multiples):
                    asked = (backend, codepath, own, dtype, mode, device, multiples[place] * scale)
                    answer = _plain(*asked) if place == 0 else _weighted(*asked)
                else:
                    alone = backend.value(codepath, own, dtype=dtype, device=device)
                    answer = replace(answers[0], value=alone.value, value_dtype=alone.dtype, misdeeds=alone.misdeeds)
        except (BackendError, KeyboardInterrupt):
            raise
        except BaseException as error:  # whatever a codepath raises is its verdict, not the judge's end
            text = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_MESSAGE]
            if isinstance(error, TypeError) and "positional argument" in text:
                handed = "two arrays and a scale" if takes_scale(question) else "two arrays"
                text += f" [judged as {question.loss}, a loss is called with {handed}]"
            verdict = replace(unjudged, message=call + text)
            break
        answers.append(answer)
        status, value, gradient, message = judge_answer(case, answer, dtype, ties)
        verdict = replace(
            verdict,
            status=status,
            value_margin=fmax(verdict.value_margin, value),
            gradient_margin=fmax(verdict.gradient_margin, gradient),
            message=call + message if message else "",
            repeatable=_same_bits(answers[0], answer, least) if place == 1 else verdict.repeatable,
        )
        if status != "pass":
            break
    return Examination(case, replace(verdict, seconds=perf_counter() - start), tuple(answers))


def judge_case(
    backend: Backend, codepath: Codepath, case: Case, *, dtype: str, mode: str, device: str, ties: str
) -> Verdict:
    """Return the verdict of `examine` alone."""
    return examine(backend, codepath, case, dtype=dtype, mode=mode, device=device, ties=ties).verdict


def require_modes(backends: Sequence[Backend], requested: Sequence[str]) -> None:
    """Refuse unknown modes, and modes that none of the backends has.

    Raises
    ------
    UsageError
        A name that is no mode at all.
    BackendError
        A mode that only other backends have.
    """
    for mode in requested:
        if mode not in (*MODES, "compiled", "all"):
            raise UsageError(f"mode: got {mode!r}, wanted compiled, all or one of {', '.join(MODES)}")
        if mode in MODES and not any(mode in backend.modes for backend in backends):
            known = "; ".join(f"{backend.name} has {', '.join(backend.modes)}" for backend in backends)
            raise BackendError(f"mode {mode}: no requested backend has it ({known})")


def modes_of(backend: Backend, requested: Sequence[str]) -> tuple[str, ...]:
    """Return the backend's modes among those requested: names, `eager`, `compiled` or `all`.

    Raises
    ------
    BackendError
        The backend has none of them.
    """
    chosen = tuple(
        mode
        for mode in backend.modes
        if "all" in requested or mode in requested or ("compiled" in requested and mode in COMPILED)
    )
    if not chosen:
        raise BackendError(
            f"backend {backend.name}: has no mode {' or '.join(requested)}, only {', '.join(backend.modes)}"
        )
    return chosen


def examine_all(
    backend: Backend,
    codepath_of: Callable[[Question], Codepath],
    cases: Iterable[Case],
    *,
    dtypes: Sequence[str],
    modes: Sequence[str],
    device: str,
    ties: str,
) -> Iterator[Examination]:
    """Examine every case in every dtype and mode, in that order of nesting: mode, dtype, case."""
    cases = tuple(cases)
    for mode in modes:
        for dtype in dtypes:
            for case in cases:
                yield examine(
                    backend, codepath_of(case.question), case, dtype=dtype, mode=mode, device=device, ties=ties
                )


def judge_all(
    backend: Backend,
    codepath_of: Callable[[Question], Codepath],
    cases: Iterable[Case],
    *,
    dtypes: Sequence[str],
    modes: Sequence[str],
    device: str,
    ties: str,
) -> Iterator[Verdict]:
    """Judge every case in every dtype and mode, in that order of nesting: mode, dtype, case."""
    for found in examine_all(backend, codepath_of, cases, dtypes=dtypes, modes=modes, device=device, ties=ties):
        yield found.verdict


def exit_code(verdicts: Sequence[Verdict]) -> ExitCode:
    """Return 0 only if something was judged and everything judged passed; skips alone are 'nothing checked'."""
    judged = [verdict for verdict in verdicts if verdict.status != "skip"]
    if not judged:
        return ExitCode.NOTHING_CHECKED
    if all(verdict.status == "pass" for verdict in judged):
        return ExitCode.CONFORMANT
    return ExitCode.NOT_CONFORMANT
