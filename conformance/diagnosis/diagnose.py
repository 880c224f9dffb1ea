"""What a failing codepath most resembles, and how that is known."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from conformance.backends import Backend
from conformance.case import Case
from conformance.diagnosis.clues import clues
from conformance.diagnosis.compiler import compiler_faults, where_compiled
from conformance.diagnosis.conventions import other_conventions
from conformance.diagnosis.findings import Diagnosis
from conformance.diagnosis.known import known_liars
from conformance.diagnosis.relation import linear_relation
from conformance.diagnosis.subject import CodepathOf, Subject, subjects
from conformance.judge import Examination
from conformance.liars.liar import Liar
from conformance.profile import Profile


def diagnose(subject: Subject, pool: Sequence[Case], bank: Iterable[Liar]) -> Diagnosis:
    """Return every explanation of all failing cases of one codepath, and clues.

    Parameters
    ----------
    subject : Subject
        The codepath, and what it answered in one dtype and mode.
    pool : sequence of Case
        The golden cases, for judging under another convention.
    bank : iterable of Liar
        The known wrong losses.

    Returns
    -------
    Diagnosis
        Declared conventions first, then known wrong losses, then a linear relation; none of them unless it explains
        every failing case and contradicts no passing one. A known fault of the compiler that does is the only one: the
        loss is not wrong then.
    """
    if faults := compiler_faults(subject):
        return Diagnosis(subject.backend.name, subject.dtype, subject.mode, tuple(faults), clues(subject))
    conventions, near = other_conventions(subject, pool)
    found = (*conventions, *known_liars(subject, bank, pool), *linear_relation(subject, pool))
    said = (*where_compiled(subject), *((near,) if near and not found else ()), *clues(subject))
    return Diagnosis(subject.backend.name, subject.dtype, subject.mode, found, said)


def _elsewhere(examinations: Iterable[Examination]) -> tuple[str, ...]:
    """Say in which dtypes and modes the codepath fails, where it does not fail in all of them."""
    failed: dict[str, bool] = {}
    for one in examinations:
        if one.verdict.status != "skip":
            name = f"{one.verdict.dtype} {one.verdict.mode}"
            failed[name] = failed.get(name, False) or one.verdict.status != "pass"
    if all(failed.values()):
        return ()
    wrong, right = ([name for name in failed if failed[name] is side] for side in (True, False))
    return (f"fails in {', '.join(wrong)}; conformant in {', '.join(right)}",)


def diagnose_first(
    examinations: Sequence[Examination],
    backend: Backend,
    loss: str,
    profile: Profile,
    codepath_under: Callable[[Profile], CodepathOf],
    *,
    device: str,
    ties: str,
    pool: Sequence[Case],
    ships_here: bool = False,
) -> Diagnosis | None:
    """Diagnose one loss in the dtype and mode that tell most: float64 and eager, if it fails there.

    Parameters
    ----------
    examinations : sequence of Examination
        Of one loss, in any dtypes and modes.
    codepath_under : Profile -> Question -> Codepath
        The codepath behind the contract's own call, if it had this convention.
    pool : sequence of Case
        The golden cases.
    ships_here : bool
        Whether the codepath is itself what this project ships.

    Returns
    -------
    Diagnosis or None
        None where nothing failed.
    """
    from conformance.liars.bank import bank  # a few hundred losses, built when they are wanted

    failed = subjects(examinations, backend, loss, profile, codepath_under, device, ties, ships_here)
    if not failed:
        return None
    found = diagnose(failed[0], pool, bank(backend.name))
    return replace(found, clues=(*_elsewhere(examinations), *found.clues))
