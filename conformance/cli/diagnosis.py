"""The diagnosis on the command line: of anybody's loss in `check`, of a shipped codepath in `run`."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated

import typer

from conformance.backends import Backend
from conformance.case import Case, Question
from conformance.diagnosis import CodepathOf, Diagnosis, diagnose_first
from conformance.judge import examine_all
from conformance.profile import Profile, adapted
from conformance.verdict import Verdict

Diagnose = Annotated[bool, typer.Option(help="say what a failing loss most resembles")]
Ask = Callable[[], Diagnosis | None]


def diagnosed(ask: Ask) -> tuple[str, ...]:
    """Return the lines of a diagnosis; none where nothing failed, and an honest one where the diagnosis itself did.

    The verdict stands without it, so nothing that goes wrong here may cost the report or the exit code.
    """
    try:
        found = ask()
    except Exception as error:  # it is said aloud, and the verdict stands
        return (f"no diagnosis: it ended in {type(error).__name__}: {error}; please report it with --report's file",)
    return found.lines if found else ()


def _diagnose_shipped(backend: Backend, cases: Sequence[Case], first: Verdict, ties: str) -> Diagnosis | None:
    """Examine a shipped codepath again, in the dtype and mode in which it failed, and diagnose that."""

    def codepath_under(profile: Profile) -> CodepathOf:
        def codepath(question: Question) -> Callable[..., object]:
            return adapted(backend.shipped(question), profile, backend.transpose)

        return codepath

    found = examine_all(
        backend,
        backend.shipped,
        [case for case in cases if case.question.loss == first.loss],
        dtypes=(first.dtype,),
        modes=(first.mode,),
        device=first.device,
        ties=ties,
    )
    return diagnose_first(
        tuple(found),
        backend,
        first.loss,
        Profile(),
        codepath_under,
        device=first.device,
        ties=ties,
        pool=cases,
        ships_here=True,
    )


def diagnoses_of_shipped(
    verdicts: Sequence[Verdict], backends: Mapping[str, Backend], cases: Sequence[Case], ties: str
) -> list[Ask]:
    """Return one question for each backend and loss that failed: float64 and eager, if it failed there."""
    failed = [verdict for verdict in verdicts if verdict.status in ("fail", "error") and verdict.backend in backends]
    failed.sort(key=lambda verdict: (verdict.dtype != "float64", verdict.mode != "eager"))
    first: dict[tuple[str, str], Verdict] = {}
    for verdict in failed:
        first.setdefault((verdict.backend, verdict.loss), verdict)
    return [partial(_diagnose_shipped, backends[verdict.backend], cases, verdict, ties) for verdict in first.values()]
