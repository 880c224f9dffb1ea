"""The bank where it is compiled: many wrong losses in few programs, asked the cases that killed them elsewhere."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module

import numpy as np

from conformance.backends import Answer, Backend, Codepath, load_backend
from conformance.backends.answer import kind, takes_scale
from conformance.case import DTYPES, Case, Question
from conformance.exit_codes import BackendError
from conformance.judge import weights
from conformance.liars.liar import Liar
from conformance.liars.operations import operations
from conformance.liars.score import HONEST, Kill, Score, score
from conformance.verdict import TIES, judge_answer

COMPILERS = {"aot_eager": "aot_eager_default_partitioner", "compile": "inductor", "function": "function", "xla": "xla"}
"""What compiles many losses at once, by mode. The default partitioner saves an eighth: nothing is to be optimised."""
ALONE = {"aot_eager": "compile"}
"""The mode of the backend in which one that survives among others is asked again."""
TOGETHER = 24
"""How many losses share a compiled graph: more save nothing, and where one does not compile all are asked alone."""
A_FEW = 3
"""How many of the cases that killed a liar elsewhere it is asked: one may not kill it here."""
EPSILONS_APART = 2.0**29
"""How many times that of float64 the machine epsilon of float32 is."""
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
    """Return case ids in the order to ask them: what killed the liar elsewhere, in this dtype or another.

    A kill in float64 is one in float32 too where the error is as many times its tolerance as the epsilons are apart.
    """
    known = kills.get((liar.name, dtype), ())
    others = [kill for other in DTYPES if other != dtype for kill in kills.get((liar.name, other), ())]
    sure = [kill for kill in others if kill.margin > EPSILONS_APART]
    return [kill.case_id for kill in known or sure or others]


def _length(question: Question) -> float:
    """Return about how long the program is that a compiler makes of a loss for this question, 1 for the shortest."""
    field, masked = question.parameters.domain == "field", question.mask is not None
    return (2.0 if field else 1.0) * (1.3 if masked else 1.0) * (1.3 if question.view_ids is not None else 1.0)


def _killing(liar: Liar, cases: Sequence[Case], dtype: str, kills: Kills) -> list[Case]:
    """Return the cases that killed a liar elsewhere, or where that is not known all that it can be asked."""
    asked = {case.question.case_id: case for case in liar.asked(cases)}
    return [asked[name] for name in hint(liar, dtype, kills) if name in asked] or [*asked.values()]


def _few(killing: Sequence[Sequence[Case]]) -> tuple[tuple[Case, ...], ...]:
    """Return A_FEW of each liar's cases, or all, out of as few as kill everyone."""
    names = [{case.question.case_id for case in cases} for cases in killing]
    chosen = set[str]()
    while left := [own for own in names if len(own & chosen) < min(A_FEW, len(own))]:
        counted = Counter(name for own in left for name in own - chosen)
        chosen.add(max(counted, key=lambda name: (counted[name], name)))
    return tuple(tuple(case for case in cases if case.question.case_id in chosen) for cases in killing)


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
            of_kind = [[case for case in killing[liar.name] if kind(case.question) == best] for liar in some]
            yield Shared(some, _few(of_kind))


def _right(question: Question, backend: Backend) -> Codepath:
    """Return a right loss: what wrong ones are made of, which compiles faster, or where that cannot a shipped one."""
    if question.parameters.canonical and (question.loss == "poisson_nll" or not takes_scale(question)):
        return HONEST[question.loss](operations(backend.name))
    return backend.shipped(question)


def ties_of_right(case: Case, answer: Answer, dtype: str) -> str:
    """Return how a right loss, compiled beside the wrong ones, answers at ties: `strict`, or any `subgradient`.

    A compiler may round the two sides of a tie apart: no wrong loss dies of that.

    Raises
    ------
    BackendError
        It is rejected either way.
    """
    for ties in TIES:
        status, *_, message = judge_answer(case, answer, dtype, ties)
        if status == "pass":
            return ties
    raise BackendError(
        f"case {case.question.case_id}: the right loss, compiled beside wrong ones, is rejected too ({message}); "
        "their deaths prove nothing"
    )


Said = tuple[Case, str, Answer]
"""What a loss answers to one multiple of a case, and how it is judged at ties."""


@np.errstate(all="ignore")
def _kill(said: Sequence[Said], dtype: str) -> Kill | None:
    """Return the first wrong one of a loss's answers; None where there is none."""
    for case, ties, answer in said:
        status, value, gradient, _ = judge_answer(case, answer, dtype, ties)
        if status != "pass":
            return Kill(case.question.case_id, max(value, gradient), "together")
    return None


def _answers(shared: Shared, backend: Backend, dtype: str, modes: Sequence[str]) -> dict[str, list[list[Said]]]:
    """Return what each liar answers in each mode; nothing where they do not compile together."""
    programs = import_module(f"conformance.liars.{backend.name}_together").programs
    asked = shared.asked
    first = next(iter(asked.values())).question
    codepaths = [*(liar.codepaths(backend)(first) for liar in shared.liars), _right(first, backend)]
    made = programs(codepaths, first, dtype, [COMPILERS[mode] for mode in modes])
    found: dict[str, list[list[Said]]] = {mode: [[] for _ in shared.liars] for mode in modes}
    for mode in modes:
        program = made[COMPILERS[mode]]
        try:
            calls = [(case, program(case.question, weight)) for case in asked.values() for weight in weights(dtype)]
        except Exception:  # one of them does not compile, or not beside the others
            continue
        for case, answers in calls:
            ties = ties_of_right(case, answers.pop(), dtype)
            for own, killing, answer in zip(found[mode], shared.cases, answers, strict=True):
                own += [(one, ties, answer) for one in killing if one.question.case_id == case.question.case_id]
    return found


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
    framework: str, dtype: str, lying: Mapping[str, Sequence[Liar]], cases: Sequence[Case], kills: Kills
) -> Iterator[Score]:
    """Compile many liars at once, for all the modes that they lie in, and yield who dies.

    Whoever that does not kill is asked alone.

    Raises
    ------
    BackendError
        A right loss is rejected beside them.
    """
    backend = load_backend(framework)
    everyone = {liar.name: liar for liars in lying.values() for liar in liars}
    for shared in gathered([*everyone.values()], cases, dtype, kills):
        for mode, answers in _answers(shared, backend, dtype, [*lying]).items():
            for liar, said in zip(shared.liars, answers, strict=True):
                if liar not in lying[mode]:
                    continue
                kill = _kill(said, dtype)
                if kill is None:
                    yield _alone(liar, backend, cases, dtype, mode, kills)
                else:
                    yield Score(liar.name, framework, dtype, mode, (kill,), 1)
