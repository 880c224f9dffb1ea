"""Under which other declared convention the codepath would be conformant."""

from collections.abc import Sequence

from conformance.affine import MAPPED, describe_map, under_profile
from conformance.case import Case
from conformance.diagnosis.findings import Finding
from conformance.diagnosis.neighbours import MOST_CHANGES, changed, neighbours
from conformance.diagnosis.subject import Subject
from conformance.diagnosis.trial import Trial
from conformance.judge import Examination
from conformance.profile import PROFILES, Profile, is_asked

PROBES = 3
"""A convention is tried on all cases if it explains one of so many failing ones, the smallest."""
NAMED = 5


def other_conventions(subject: Subject, pool: Sequence[Case]) -> tuple[list[Finding], str]:
    """Return the conventions with the fewest changes under which every case passes; else the nearest miss, in words.

    The truth under other options is computed in float64 with its own proven tolerance, or mapped exactly; then the
    codepath is judged once more on the golden cases of that convention, as it would be if it were declared.
    """
    declared = subject.profile.parameters.described()
    if subject.ships_here or any(one.case.question.parameters.described() != declared for one in subject.examinations):
        return [], ""  # what is given its options with each question has no convention of its own
    trial, findings = Trial(subject, pool), list[Finding]()
    fewest, nearest, near = MOST_CHANGES, len(subject.failing) // 2, ""
    for settings in neighbours(subject.profile, subject.loss):
        if len(settings) > fewest:
            break
        profile = changed(subject.profile, settings)
        if not any(trial.passes(one, profile) for one in subject.failing[:PROBES]):
            continue
        if not trial.matters(profile):
            continue
        left = [one for one in (*subject.failing, *subject.passing) if not trial.passes(one, profile)]
        if not left:
            own = [case for case in pool if is_asked(case.question, subject.loss, profile)]
            judged = [subject.again(case, profile) for case in under_profile(own, profile)]
            statuses = [one.verdict.status for one in judged if one.verdict.status != "skip"]
            if set(statuses) == {"pass"}:
                fewest = len(settings)
                findings.append(_finding(subject, profile, settings, len(statuses)))
        elif len(subject.failing) - len(left) > nearest:
            nearest = len(subject.failing) - len(left)
            near = _near(profile, settings, left, len(subject.examinations))
    return findings, "" if findings else near


def _near(profile: Profile, settings: dict[str, str], left: Sequence[Examination], total: int) -> str:
    named = ", ".join(one.case.question.case_id for one in left[:NAMED]) + (", ..." if len(left) > NAMED else "")
    return f"with {_how(profile, settings)} all but {len(left)} of {total} cases pass: {named} would be left"


def _how(profile: Profile, settings: dict[str, str]) -> str:
    """Return the options of the command line that declare a convention."""
    if profile.name in PROFILES:
        return f"--profile {profile.name}"
    return " ".join(f"--set {name}={choice}" for name, choice in settings.items())


def _finding(subject: Subject, profile: Profile, settings: dict[str, str], count: int) -> Finding:
    said = " ".join(f"{name}={choice}" for name, choice in settings.items())
    wanted = _how(profile, settings)
    evidence = [
        f"{wanted} makes it conformant in {subject.dtype}: {count} golden case{'s' if count > 1 else ''}; "
        f"and in all {len(subject.examinations)} that were asked it is right under that convention"
    ]
    if set(settings) <= set(MAPPED):
        evidence += describe_map(subject.profile, profile)
    return Finding(
        "convention", said, f"computes another declared convention: {said.replace(' ', ', ')}", tuple(evidence)
    )
