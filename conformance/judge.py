"""Runs codepaths over cases and returns a verdict for each; a codepath never sees more than the question."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from time import perf_counter

from conformance.backends import Backend, Codepath
from conformance.case import Case, Question
from conformance.exit_codes import BackendError, ExitCode
from conformance.verdict import Verdict, judge_answer

LONGEST_MESSAGE = 400


def _own_copy(question: Question) -> Question:
    """Return a question on fresh arrays, so that nothing a codepath does to them reaches the judge."""
    return replace(question, prediction=question.prediction.copy(), target=question.target.copy())


def judge_case(
    backend: Backend, codepath: Codepath, case: Case, *, dtype: str, mode: str, device: str, ties: str
) -> Verdict:
    """Ask one question and compare the answer. An exception inside the codepath is the verdict `error`."""
    question = case.question
    unjudged = Verdict(
        question.case_id, question.loss, backend.name, dtype, mode, device, "error", has_ties=case.has_ties
    )
    start = perf_counter()
    try:
        answer = backend.answer(codepath, _own_copy(question), dtype=dtype, mode=mode, device=device)
    except Exception as error:  # whatever a codepath raises is its verdict, not the judge's end
        text = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_MESSAGE]
        return replace(unjudged, message=text, seconds=perf_counter() - start)
    status, value, gradient, message = judge_answer(case, answer, dtype, ties)
    return replace(
        unjudged,
        status=status,
        value_margin=value,
        gradient_margin=gradient,
        message=message,
        seconds=perf_counter() - start,
    )


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
        if "all" in requested or mode in requested or ("compiled" in requested and mode != "eager")
    )
    if not chosen:
        raise BackendError(
            f"backend {backend.name}: has no mode {' or '.join(requested)}, only {', '.join(backend.modes)}"
        )
    return chosen


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
    cases = tuple(cases)
    for mode in modes:
        for dtype in dtypes:
            for case in cases:
                yield judge_case(
                    backend, codepath_of(case.question), case, dtype=dtype, mode=mode, device=device, ties=ties
                )


def exit_code(verdicts: Sequence[Verdict]) -> ExitCode:
    """Return 0 only if something was judged and everything judged passed; skips alone are 'nothing checked'."""
    judged = [verdict for verdict in verdicts if verdict.status != "skip"]
    if not judged:
        return ExitCode.NOTHING_CHECKED
    if all(verdict.status == "pass" for verdict in judged):
        return ExitCode.CONFORMANT
    return ExitCode.NOT_CONFORMANT
