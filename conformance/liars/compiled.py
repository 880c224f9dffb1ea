"""The bank where it is compiled: many wrong losses in few programs, each asked the cases that it has killed elsewhere."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module

import numpy as np

from conformance.backends import Answer, Backend, load_backend
from conformance.backends.answer import kind
from conformance.case import Case, Question
from conformance.exit_codes import BackendError
from conformance.judge import weights
from conformance.liars.liar import Liar
from conformance.liars.score import Kill, Score, score
from conformance.verdict import judge_answer

COMPILERS = {"aot_eager": "aot_eager_default_partitioner", "compile": "inductor", "function": "function", "xla": "xla"}
"""What compiles many losses at once, by mode. The default partitioner saves an eighth: nothing is to be optimised."""
ALONE = {"aot_eager": "compile"}
"""The mode of the backend in which one that survives among others is asked again."""
TOGETHER = 12
"""How many losses share a compiled graph: more take longer than one by one."""
UNDONE = (
    "Inductor leaves out a cast to a narrower dtype and back: the liar passes every case, and dies where it may not"
)

Kills = Mapping[tuple[str, str], tuple[Kill, ...]]
"""(liar, dtype) -> what killed it, eager."""


@dataclass(frozen=True)
class Shared:
    """One program: the liars in it, and for each the cases of one kind that may kill it."""

    liars: tuple[Liar, ...]
    cases: tuple[tuple[Case, ...], ...]

    @property
    def asked(self) -> dict[str, Case]:
        """Return every case that the program is asked, by its id."""
        return {case.question.case_id: case for cases in self.cases for case in cases}


def hint(liar: Liar, dtype: str, kills: Kills) -> list[str]:
    """Return case ids in the order to ask them: what killed the liar elsewhere."""
    return [kill.case_id for kill in kills.get((liar.name, dtype), ())]


def _length(question: Question) -> float:
    """Return about how long the program is that a compiler makes of a loss for this question, 1 for the shortest."""
    field, masked = question.parameters.domain == "field", question.mask is not None
    return (2.0 if field else 1.0) * (1.3 if masked else 1.0) * (1.3 if question.view_ids is not None else 1.0)


def _killing(liar: Liar, cases: Sequence[Case], dtype: str, kills: Kills) -> list[Case]:
    """Return the cases that killed a liar elsewhere, or where that is not known all that it can be asked."""
    asked = {case.question.case_id: case for case in liar.asked(cases)}
    return [asked[name] for name in hint(liar, dtype, kills) if name in asked] or [*asked.values()]


def gathered(liars: Sequence[Liar], cases: Sequence[Case], dtype: str, kills: Kills) -> Iterator[Shared]:
    """Divide liars among few programs, and short ones, a handful to each.

    Raises
    ------
    ValueError
        A liar that can be asked nothing.
    """
    left = {liar.name: liar for liar in liars}
    killing = {liar.name: _killing(liar, cases, dtype, kills) for liar in liars}
    lengths = {kind(case.question): _length(case.question) for found in killing.values() for case in found}
    kinds = {name: {kind(case.question) for case in found} for name, found in killing.items()}
    if unasked := [name for name, found in killing.items() if not found]:
        raise ValueError(f"liars {', '.join(unasked)}: no case can be asked of them")
    while left:
        counted = Counter(one for name in left for one in kinds[name])
        best = max(counted, key=lambda one: (counted[one] / lengths[one], str(one)))
        members = [liar for name, liar in left.items() if best in kinds[name]]
        for liar in members:
            del left[liar.name]
        for start in range(0, len(members), TOGETHER):
            some = tuple(members[start : start + TOGETHER])
            of_kind = (tuple(case for case in killing[liar.name] if kind(case.question) == best) for liar in some)
            yield Shared(some, tuple(of_kind))


def require_right(case: Case, answer: Answer, dtype: str) -> None:
    """Raise BackendError unless the right loss that was compiled beside the wrong ones is right."""
    status, *_, message = judge_answer(case, answer, dtype, "strict")
    if status != "pass":
        raise BackendError(
            f"case {case.question.case_id}: the shipped loss, compiled beside wrong ones, is rejected too ({message}); "
            "their deaths prove nothing"
        )


@np.errstate(all="ignore")
def _kill(cases: Sequence[Case], answers: Mapping[str, Sequence[Answer]], dtype: str) -> Kill | None:
    """Return the first wrong one of a loss's answers, by case id; None where there is none."""
    for case in cases:
        for answer in answers.get(case.question.case_id, ()):
            status, value, gradient, _ = judge_answer(case, answer, dtype, "strict")
            if status != "pass":
                return Kill(case.question.case_id, max(value, gradient), "together")
    return None


def _answers(shared: Shared, backend: Backend, dtype: str, compiler: str) -> list[dict[str, list[Answer]]]:
    """Return what each liar answers to both multiples of each case; nothing where they do not compile together."""
    program = import_module(f"conformance.liars.{backend.name}_together").program
    asked = shared.asked
    first = next(iter(asked.values())).question
    try:
        codepaths = [liar.codepaths(backend)(first) for liar in shared.liars]
        compiled = program([*codepaths, backend.shipped(first)], first, dtype, compiler)
        calls = {name: [compiled(case.question, weight) for weight in weights(dtype)] for name, case in asked.items()}
    except Exception:  # one of them does not compile, or not beside the others
        return [{} for _ in shared.liars]
    for name, answers in calls.items():
        for of_all in answers:
            require_right(asked[name], of_all[-1], dtype)
    return [
        {name: [of_all[place] for of_all in answers] for name, answers in calls.items()}
        for place in range(len(shared.liars))
    ]


def _alone(liar: Liar, backend: Backend, cases: Sequence[Case], dtype: str, mode: str, kills: Kills) -> Score:
    """Ask a liar that survived among others every case until one kills it; and whether the compiler undid the lie."""
    backend_mode, first = ALONE.get(mode, mode), hint(liar, dtype, kills)
    alone = replace(score(liar, backend, cases, dtype, backend_mode, first=first), mode=mode)
    if alone.kills or mode != "compile":
        return alone
    with import_module(f"conformance.liars.{backend.name}_together").casts_kept():
        again = score(liar, backend, cases, dtype, backend_mode, first=first)
    undone = any(kill.by != "error" for kill in again.kills)  # a compiler that fails proves nothing
    return replace(alone, equivalent=UNDONE) if undone else alone


def scores(
    framework: str, mode: str, dtype: str, liars: Sequence[Liar], cases: Sequence[Case], kills: Kills
) -> Iterator[Score]:
    """Compile many liars at once and yield who dies; whoever that does not kill is asked alone.

    Raises
    ------
    BackendError
        A right loss is rejected beside them.
    """
    backend = load_backend(framework)
    for shared in gathered(liars, cases, dtype, kills):
        for liar, own, answers in zip(
            shared.liars, shared.cases, _answers(shared, backend, dtype, COMPILERS[mode]), strict=True
        ):
            kill = _kill(own, answers, dtype)
            if kill is None:
                yield _alone(liar, backend, cases, dtype, mode, kills)
            else:
                yield Score(liar.name, framework, dtype, mode, (kill,), 1)
