"""Which known wrong losses answer every question as the codepath does."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from conformance.affine import MAPPED, affine
from conformance.backends import COMPILED, Backend, Codepath
from conformance.case import Case, Parameters, Question
from conformance.diagnosis.agreement import Agreement, examinations_agree, sharp
from conformance.diagnosis.findings import Finding
from conformance.diagnosis.subject import CodepathOf, Subject, not_asked
from conformance.judge import Examination, examine
from conformance.liars.liar import Liar
from conformance.liars.score import HONEST
from conformance.profile import Profile


@cache
def _plain_options(parameters: Parameters) -> tuple[Parameters, str]:
    """Return parameters with those options at their defaults that an exact affine map brings back, and in words."""
    default = Parameters()
    plain = replace(parameters, **{name: getattr(default, name) for name in MAPPED})
    return plain, plain.described()


def _plain(question: Question) -> Question:
    """Return the question under its plain options."""
    return replace(question, parameters=_plain_options(question.parameters)[0])


def _can_be_asked(liar: Liar, question: Question, judged_under: Profile) -> bool:
    """A loss written on its own knows the default options, or those of the convention that it pretends to.

    What an exact affine map makes of them is asked too, where that is the convention that was judged.
    """
    if liar.swap is not None:
        return True
    plain, in_words = _plain_options(question.parameters)
    if plain != question.parameters:
        declared = judged_under.parameters
        same = all(getattr(question.parameters, name) == getattr(declared, name) for name in MAPPED)
        covered = all(getattr(declared, name) in choices for name, choices in MAPPED.items())
        if not same or not covered or question.mask is not None:
            return False
    return liar.profile.parameters.described() == in_words


def _codepath_of(liar: Liar, subject: Subject) -> CodepathOf:
    """Return the liar behind the contract's own call, mapped to the convention that the codepath was judged under."""
    own = liar.codepaths(subject.backend)

    def codepath(question: Question) -> Codepath:
        plain = _plain(question)
        if liar.swap is not None or plain.parameters == question.parameters:
            return own(question)
        lie, found = own(plain), affine(plain, subject.profile)

        def mapped(*operands: Any, **arrays: Any) -> Any:
            return found.alpha * lie(*operands, **arrays) + found.beta

        return mapped

    return codepath


@cache
def _first_answer(
    liar: Liar, backend: Backend, case: Case, dtype: str, mode: str, device: str, ties: str
) -> Examination:
    """Examine a liar without a memory; its answer to a golden case is wanted again for the next codepath."""
    with np.errstate(all="ignore"):
        return examine(
            backend, liar.codepaths(backend)(case.question), case, dtype=dtype, mode=mode, device=device, ties=ties
        )


def _could_be(liar: Liar, subject: Subject) -> bool:
    """Return whether a liar agrees on the smallest failing case, where nearly all of them leave.

    One with a memory answers otherwise when it is asked out of turn, and stays.
    """
    mine = subject.failing[0]
    if liar.kind == "state":
        return True
    parameters = mine.case.question.parameters
    if liar.swap is None and _plain_options(parameters)[0] != parameters:
        return _examined(liar, subject, [mine]) is not None
    theirs = _first_answer(
        liar, subject.backend, mine.case, subject.dtype, subject.asking_mode, subject.device, subject.ties
    )
    return examinations_agree(subject.dtype, mine, theirs) is not None


def _examined(liar: Liar, subject: Subject, asked: Sequence[Examination]) -> list[Agreement] | None:
    """Return the agreement on each case, in this order, of a fresh liar; None at the first disagreement."""
    codepath_of, found = _codepath_of(liar, subject), list[Agreement]()
    for mine in asked:
        try:
            theirs = subject.ask(codepath_of, mine.case)
        except ArithmeticError:  # a map to the declared convention that is out of range
            return None
        part = examinations_agree(subject.dtype, mine, theirs)
        if part is None:
            return None
        found.append(part)
    return found


def _candidates(subject: Subject, bank: Iterable[Liar]) -> list[Liar]:
    lies_here = {"", subject.mode} | ({"compiled"} if subject.mode in COMPILED else set())
    questions, failing = ([one.case.question for one in side] for side in (subject.examinations, subject.failing))
    return [
        liar
        for liar in bank
        if liar.loss == subject.loss
        and liar.mode in lies_here
        and subject.backend.name in liar.frameworks
        and all(_can_be_asked(liar, question, subject.profile) for question in failing)
        and (liar.swap is None or not subject.ships_here)
        and (liar.swap is None or any(liar.swap(question.parameters) is not None for question in questions))
    ]


def right_but_for_its_form(subject: Subject) -> bool:
    """Return whether the right formula, as it stands, answers as the codepath does: then no lie explains anything.

    That is so in half precision: computed there, it is returned there.
    """
    if subject.loss not in HONEST:
        return False
    honest = Liar("honest", subject.loss, "value", "nothing is", "own", HONEST[subject.loss])
    if not all(_can_be_asked(honest, one.case.question, subject.profile) for one in subject.examinations):
        return False
    return _examined(honest, subject, subject.examinations) is not None


def known_liars(subject: Subject, bank: Iterable[Liar], pool: Sequence[Case]) -> list[Finding]:
    """Return the liars of the bank that agree with the codepath on every case, failing and passing, asked and not.

    Each is asked everything in the order that the codepath was asked.
    """
    if not subject.failing or right_but_for_its_form(subject):
        return []
    findings, others = [], None
    for liar in _candidates(subject, bank):
        if not _could_be(liar, subject):
            continue
        asked = [one for one in subject.examinations if _can_be_asked(liar, one.case.question, subject.profile)]
        parts = _examined(liar, subject, asked)
        if parts is None or not sharp(parts):
            continue
        if others is None:
            others = [] if subject.ships_here else not_asked(subject, pool)
        more = [one for one in others if _can_be_asked(liar, one.case.question, subject.profile)]
        if more and _examined(liar, subject, more) is None:
            continue
        apart = max(part.relative for part in parts)
        findings.append(
            Finding(
                "liar",
                liar.name,
                f"agrees with the known wrong loss '{liar.name}': {liar.wrong}",
                (
                    f"{f'to {apart:.1g} of the largest element' if apart else 'bit for bit'} on all "
                    f"{len(subject.failing)} failing cases, and passes the same {len(asked) - len(subject.failing)}",
                    f"seen in {liar.seen}",
                ),
            )
        )
    return findings
