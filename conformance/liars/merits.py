"""What a golden case is good for: the wrong losses that it alone kills in its group, or the sentence that it holds."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from conformance.case import Case
from conformance.contract import CLAUSES, named_cases
from conformance.liars.score import Score
from conformance.liars.universal import group_of


def killed_alone(scores: Iterable[Score], cases: Sequence[Case]) -> dict[str, tuple[str, ...]]:
    """Return, by case, the liars that it kills in some dtype and that no other case of its group kills there."""
    group = {case.question.case_id: group_of(case.question) for case in cases}
    found: dict[str, dict[str, None]] = {case.question.case_id: {} for case in cases}
    for score in scores:
        by_group: dict[str, list[str]] = defaultdict(list)
        for kill in score.kills:
            by_group[group[kill.case_id]].append(kill.case_id)
        for ids in by_group.values():
            if len(ids) == 1:
                found[ids[0]][score.liar] = None
    return {case_id: tuple(names) for case_id, names in found.items()}


def sentences(cases: Sequence[Case]) -> dict[str, tuple[str, ...]]:
    """Return, by case, the sentences of the contract that name it."""
    ids = [case.question.case_id for case in cases]
    found: dict[str, list[str]] = {case_id: [] for case_id in ids}
    for clause in CLAUSES:
        for case_id in named_cases(clause, ids):
            found[case_id].append(clause.sentence)
    return {case_id: tuple(said) for case_id, said in found.items()}
