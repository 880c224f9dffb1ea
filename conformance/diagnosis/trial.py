"""One codepath judged as if another convention had been declared."""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from conformance.affine import MAPPED, under_profile
from conformance.backends import Answer, Backend, Codepath
from conformance.backends.answer import takes_scale
from conformance.case import Case, Question
from conformance.computed import computed_case
from conformance.diagnosis.neighbours import options_of
from conformance.diagnosis.subject import Subject
from conformance.judge import Examination
from conformance.profile import CALLS, Profile, adapted, taking
from conformance.squares import has_squares, through_squares
from conformance.verdict import judge_answer


def _called_alike(one: Profile, other: Profile) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in CALLS)


@lru_cache(maxsize=2048)
def _truth(case: Case, options: tuple[tuple[str, str], ...], exact: Case | None, backend: Backend) -> Case | None:
    """Return a case under other options: mapped exactly, or computed; None where they have no truth in it.

    It depends on nothing that is diagnosed, and is most of the work: it is kept.
    """
    question = case.question
    chosen: dict[str, Any] = dict(options)
    asked = replace(question, parameters=replace(question.parameters, **chosen))
    try:
        for mapped in under_profile([exact] if exact else [], _declaring(options)):
            if mapped.question.parameters == asked.parameters:
                return mapped
        return computed_case(asked, backend)
    except Exception:  # negative intensities, a loss that has no such option, numbers out of range
        return None


def _declaring(options: tuple[tuple[str, str], ...]) -> Profile:
    return Profile("", mask="keyword", options=dict(options))


class Trial:
    """Judges the codepath's answers as if another convention had been declared."""

    def __init__(self, subject: Subject, pool: Sequence[Case]) -> None:
        self.subject = subject
        ids = Counter(case.question.case_id for case in pool)
        self.golden = {case.question.case_id: case for case in pool if ids[case.question.case_id] == 1}
        self.asked: dict[tuple[str, ...], dict[Case, Examination]] = {}

    def _answered(self, one: Examination, profile: Profile, case: Case) -> Examination:
        subject = self.subject
        if _called_alike(profile, subject.profile):
            return one
        calls = tuple(getattr(profile, name) for name in CALLS)
        known = self.asked.setdefault(calls, {})
        if one.case not in known:
            known[one.case] = subject.again(case, profile)
        return known[one.case]

    @cached_property
    def fails_again(self) -> bool:
        """Whether the codepath, asked once more as it was judged, fails where it failed.

        One that does not has a memory, or is random: what it answers to another call is no evidence.
        """
        return all(self.subject.again(one.case).verdict.status == one.verdict.status for one in self.subject.failing)

    def matters(self, profile: Profile) -> bool:
        """Return whether a right loss of this convention, called in the declared one, is wrong where the codepath is.

        Wrong by the truth of this convention: where other options are computed too, they are no evidence of another
        layout. Nor is a loss that is the same in any layout.
        """
        declared = self.subject.profile
        if _called_alike(profile, declared):
            return True
        if not self.fails_again:
            return False
        scaled = any(takes_scale(one.case.question) for one in self.subject.examinations)
        if profile.inputs != declared.inputs and not scaled:
            return False
        if (profile.order, profile.layout) == (declared.order, declared.layout):
            return True
        subject, own = self.subject, options_of(declared)
        options: dict[str, Any] = {k: own[k] if k in MAPPED else v for k, v in options_of(profile).items()}

        def mistaken(question: Question) -> Codepath:
            asked = replace(question, parameters=replace(question.parameters, **options))
            right = taking(subject.backend.shipped(asked), profile, subject.backend.transpose)
            return adapted(right, subject.profile, subject.backend.transpose)

        for one in subject.failing:
            case = self._case_under(one, options_of(profile))
            if case is None or self._right(case, one.answers):
                continue
            case = self._case_under(one, options)  # an exact map moves right and wrong alike
            if case is not None and subject.ask(mistaken, case).verdict.status == "pass":
                return False
        return True

    def _case_under(self, one: Examination, options: dict[str, str]) -> Case | None:
        """Return a case with other options; None where they have no truth in it."""
        exact = self.golden.get(one.case.question.case_id)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # roots of negative amplitudes, if they were intensities
            return _truth(one.case, tuple(options.items()), exact, self.subject.backend)

    def _right(self, case: Case, answers: Sequence[Answer]) -> bool:
        with np.errstate(all="ignore"):
            return bool(answers) and all(
                judge_answer(case, answer, self.subject.dtype, self.subject.ties)[0] == "pass" for answer in answers
            )

    def passes(self, one: Examination, profile: Profile) -> bool:
        """Return whether the codepath is right in one case under another convention."""
        case = self._case_under(one, options_of(profile))
        if case is None or not has_squares(case.question, profile):
            return False
        case = through_squares(case, profile)
        answered = self._answered(one, profile, case)
        return answered.verdict.status != "error" and self._right(case, answered.answers)
