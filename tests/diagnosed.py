"""A wrong loss of the bank as a user's: examined in one dtype, ready for a diagnosis."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from conformance import check_loss
from conformance.backends import Backend
from conformance.case import Case, Question
from conformance.diagnosis import Diagnosis, Subject
from conformance.diagnosis.conventions import other_conventions
from conformance.diagnosis.findings import Finding
from conformance.diagnosis.known import known_liars
from conformance.diagnosis.relation import linear_relation
from conformance.diagnosis.subject import CodepathOf
from conformance.judge import examine
from conformance.liars.liar import Liar, Loss
from conformance.liars.operations import operations
from conformance.liars.poisson_parts import NLL_PARTS, poisson_loss
from conformance.liars.score import HONEST
from conformance.profile import Profile, adapted

right_nll = poisson_loss(NLL_PARTS)(operations("torch"))
"""The contract's NLL, of which wrong ones are made."""


def asked_of(liar: Liar, pool: Sequence[Case]) -> list[Case]:
    """Return what is asked of it: all of its loss where it is a shipped codepath with other options."""
    return liar.asked(pool) if liar.swap is None else [case for case in pool if case.question.loss == liar.loss]


def mode_of(liar: Liar, backend: Backend) -> str:
    """Return a mode that it lies in."""
    return liar.mode if liar.mode in backend.modes else "eager"


def _under(liar: Liar, backend: Backend) -> Callable[[Profile], CodepathOf]:
    def under(profile: Profile) -> CodepathOf:
        if liar.make is None:
            return liar.codepaths(backend)
        made = adapted(liar.make(operations(backend.name)), profile, backend.transpose)

        def codepath(question: Question) -> Loss:
            return made

        return codepath

    return under


def subject_of(liar: Liar, backend: Backend, pool: Sequence[Case], dtype: str) -> Subject:
    """Examine a wrong loss on all that it is asked."""
    mode, codepath_of = mode_of(liar, backend), liar.codepaths(backend)
    with np.errstate(all="ignore"):
        found = [
            examine(backend, codepath_of(case.question), case, dtype=dtype, mode=mode, device="cpu", ties="strict")
            for case in asked_of(liar, pool)
        ]
    judged = tuple(one for one in found if one.verdict.status != "skip")
    return Subject(backend, liar.loss, liar.profile, _under(liar, backend), judged, dtype, mode, "cpu", "strict")


def causes(subject: Subject, pool: Sequence[Case], bank: Sequence[Liar]) -> list[Finding]:
    """Return what `diagnose` finds, without its clues."""
    return [*other_conventions(subject, pool)[0], *known_liars(subject, bank, pool), *linear_relation(subject, pool)]


def is_right(liar: Liar, finding: Finding) -> bool:
    """Return whether a finding is what the bank says beforehand: the liar, its kin, or its convention."""
    allowed = {liar.expected, f"liar {liar.name}", *(f"liar {name}" for name in liar.kin)}
    return finding.kind == "factor" or finding.said in allowed


def only(name: str) -> Any:
    return HONEST[name](operations("torch"))


def diagnosis_of(loss: Any, name: str, **how: Any) -> Diagnosis:
    found = check_loss(loss, loss=name, **how).diagnosis
    assert found is not None
    return found
