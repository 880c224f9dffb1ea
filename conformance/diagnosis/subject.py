"""What a diagnosis is made from: everything that one codepath was asked in one dtype and mode, and how to ask again."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from conformance.affine import under_profile
from conformance.backends import Backend, Codepath
from conformance.case import Case, Question
from conformance.judge import Examination, examine
from conformance.profile import Profile, is_asked

CodepathOf = Callable[[Question], Codepath]


@dataclass(frozen=True)
class Subject:
    """One codepath in one dtype and mode.

    Parameters
    ----------
    backend : Backend
        The framework that it is written in; hypotheses are computed with it too.
    loss : str
        What it is meant to be.
    profile : Profile
        The convention that it was judged under.
    codepath_under : Profile -> Question -> Codepath
        The codepath behind the contract's own call, if it had this convention.
    examinations : sequence of Examination
        All that was asked, in that order; skipped cases left out.
    dtype, mode, device, ties : str
        As it was judged.
    ships_here : bool
        Whether it is itself what this project ships: then nothing that is made of that can tell what is wrong with it.
    """

    backend: Backend
    loss: str
    profile: Profile
    codepath_under: Callable[[Profile], CodepathOf]
    examinations: tuple[Examination, ...]
    dtype: str
    mode: str
    device: str
    ties: str
    ships_here: bool = False

    @property
    def failing(self) -> tuple[Examination, ...]:
        """What was not green, the smallest first."""
        found = (one for one in self.examinations if one.verdict.status in ("fail", "error"))
        return tuple(sorted(found, key=lambda one: one.case.question.prediction.size))

    @property
    def passing(self) -> tuple[Examination, ...]:
        """What was green."""
        return tuple(one for one in self.examinations if one.verdict.status == "pass")

    @property
    def asking_mode(self) -> str:
        """The mode in which hypotheses are asked."""
        return "eager" if self.mode in SAME_AS_EAGER else self.mode

    def again(self, case: Case, profile: Profile | None = None) -> Examination:
        """Examine the codepath itself once more, in its own mode, as it was judged or under another convention."""
        return self.ask(self.codepath_under(profile or self.profile), case, self.mode)

    def ask(self, codepath_of: CodepathOf, case: Case, mode: str = "") -> Examination:
        """Examine another codepath as this one was."""
        with np.errstate(all="ignore"):
            return examine(
                self.backend,
                codepath_of(case.question),
                case,
                dtype=self.dtype,
                mode=mode or self.asking_mode,
                device=self.device,
                ties=self.ties,
            )


def not_asked(subject: Subject, pool: Sequence[Case]) -> list[Examination]:
    """Examine the codepath on those golden cases that it was not asked: a few alone are easily agreed upon."""
    asked = {one.case.question.case_id for one in subject.examinations}
    own = [case for case in pool if is_asked(case.question, subject.loss, subject.profile)]
    found = [case for case in under_profile(own, subject.profile) if case.question.case_id not in asked]
    return [one for one in map(subject.again, found) if one.verdict.status != "skip"]


SAME_AS_EAGER = ("compile", "function", "xla", "jit", "grad_of_jit", "vmap", "func")
"""Modes in which a hypothesis is asked eagerly: the same function, without a compilation for each."""


def subjects(
    examinations: Iterable[Examination],
    backend: Backend,
    loss: str,
    profile: Profile,
    codepath_under: Callable[[Profile], CodepathOf],
    device: str,
    ties: str,
    ships_here: bool = False,
) -> list[Subject]:
    """Return one subject for each dtype and mode in which something failed: double precision and eager first."""
    groups: dict[tuple[str, str], list[Examination]] = {}
    for one in examinations:
        if one.verdict.status != "skip":
            groups.setdefault((one.verdict.dtype, one.verdict.mode), []).append(one)
    found = [
        Subject(backend, loss, profile, codepath_under, tuple(members), dtype, mode, device, ties, ships_here)
        for (dtype, mode), members in groups.items()
    ]
    failed = [subject for subject in found if subject.failing]
    return sorted(failed, key=lambda subject: (_rank(subject.dtype, DTYPES_FIRST), subject.mode != "eager"))


DTYPES_FIRST = ("float64", "float32")


def _rank(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)
