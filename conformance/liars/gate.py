"""The CPU-only gate against the whole bank: the plan of who is asked what, in processes side by side."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from importlib import import_module
from multiprocessing import get_context

import numpy as np

from conformance.backends import Answer, Backend, load_backend
from conformance.case import DTYPES, Case, Question
from conformance.exit_codes import BackendError
from conformance.golden import load
from conformance.judge import weights
from conformance.liars.bank import bank
from conformance.liars.liar import Liar
from conformance.liars.score import Kill, Score, modes_to_try, score
from conformance.liars.universal import survivors
from conformance.verdict import judge_answer

MODES = {"torch": ("eager", "aot_eager", "compile"), "tensorflow": ("eager", "function", "xla")}
ON_REQUEST = ("compile",)
"""Inductor took 20 minutes for the bank on two busy cores. `aot_eager` is torch.compile without generated code."""
COMPILERS = {"aot_eager": "aot_eager_default_partitioner", "compile": "inductor", "function": "function", "xla": "xla"}
"""What compiles many losses at once, by mode. The default partitioner saves an eighth: nothing is to be optimised."""
ALONE = {"aot_eager": "compile"}
"""The mode of the backend in which one that survives among others is asked again."""
SLOWEST_FIRST = ("compile", "xla", "aot_eager", "function", "eager")
TOGETHER = 12
"""How many losses share a compiled graph: more take longer than one by one."""
THREADS = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
"""The arrays are small, and each process has a core of its own."""
UNDONE = (
    "Inductor leaves out a cast to a narrower dtype and back: the liar passes every case, and dies where it may not"
)
WHOLE = "torch"
"""The framework in which every liar is asked every case, eager; elsewhere the first kill is enough."""

Kills = Mapping[tuple[str, str], tuple[Kill, ...]]
"""(liar, dtype) -> its kills in WHOLE."""


@dataclass(frozen=True)
class Task:
    """A framework in one mode and dtype, the liars that it is asked about, and the cases that killed them elsewhere."""

    framework: str
    mode: str
    dtype: str
    names: tuple[str, ...]
    hints: Kills


def hint(liar: Liar, dtype: str, kills: Kills) -> list[str]:
    """Return case ids in the order to ask them: what killed the liar elsewhere."""
    return [kill.case_id for kill in kills.get((liar.name, dtype), ())]


def _length(question: Question) -> float:
    """Return about how long the program is that a compiler makes of a loss for this question, 1 for the shortest."""
    field, masked = question.parameters.domain == "field", question.mask is not None
    return (2.0 if field else 1.0) * (1.3 if masked else 1.0) * (1.3 if question.view_ids is not None else 1.0)


def gathered(
    liars: Sequence[Liar], cases: Sequence[Case], dtype: str, kills: Kills
) -> Iterator[tuple[Case, list[Liar]]]:
    """Return liars by a case that kills them, in few cases that compile to short programs, a handful at a time."""
    left = {liar.name: liar for liar in liars}
    asked = {liar.name: {case.question.case_id: case for case in liar.asked(cases)} for liar in liars}
    known = {case_id: case for of_liar in asked.values() for case_id, case in of_liar.items()}
    killing = {
        name: {case_id for case_id in hint(liar, dtype, kills) or asked[name] if case_id in asked[name]}
        for name, liar in left.items()
    }
    while left:
        counted = Counter(case_id for name in left for case_id in killing[name])
        if not counted:
            raise ValueError(f"liars {', '.join(left)}: no case can be asked of them")
        best = max(counted, key=lambda case_id: (counted[case_id] / _length(known[case_id].question), case_id))
        members = [liar for name, liar in left.items() if best in killing[name]]
        for liar in members:
            del left[liar.name]
        for start in range(0, len(members), TOGETHER):
            some = members[start : start + TOGETHER]
            yield asked[some[0].name][best], some


def _require_right(case: Case, answer: Answer, dtype: str) -> None:
    """Raise BackendError unless the right loss that was compiled beside the wrong ones is right."""
    status, *_, message = judge_answer(case, answer, dtype, "strict")
    if status != "pass":
        raise BackendError(
            f"case {case.question.case_id}: the shipped loss, compiled beside wrong ones, is rejected too ({message}); "
            "their deaths prove nothing"
        )


@np.errstate(all="ignore")
def _killed(case: Case, answers: Sequence[Answer], dtype: str) -> float | None:
    """Return by which margin the first wrong one of these answers is wrong, None where there is none."""
    for answer in answers:
        status, value, gradient, _ = judge_answer(case, answer, dtype, "strict")
        if status != "pass":
            return max(value, gradient)
    return None


def _alone(task: Task, liar: Liar, backend: Backend, cases: Sequence[Case]) -> Score:
    """Ask a liar that survived among others every case until one kills it; and whether the compiler undid the lie."""
    mode, first = ALONE.get(task.mode, task.mode), hint(liar, task.dtype, task.hints)
    alone = replace(score(liar, backend, cases, task.dtype, mode, first=first), mode=task.mode)
    if alone.kills or task.mode != "compile":
        return alone
    with import_module(f"conformance.liars.{task.framework}_together").casts_kept():
        again = score(liar, backend, cases, task.dtype, mode, first=first)
    undone = any(kill.by != "error" for kill in again.kills)  # a compiler that fails proves nothing
    return replace(alone, equivalent=UNDONE) if undone else alone


def _together(task: Task, liars: Sequence[Liar], cases: Sequence[Case]) -> Iterator[Score]:
    """Compile many liars at once; whoever that does not kill is asked alone."""
    program = import_module(f"conformance.liars.{task.framework}_together").program
    backend = load_backend(task.framework)
    for case, members in gathered(liars, cases, task.dtype, task.hints):
        try:
            codepaths = [liar.codepaths(backend)(case.question) for liar in members]
            codepaths.append(backend.shipped(case.question))
            compiled = program(codepaths, case.question, task.dtype, COMPILERS[task.mode])
            calls = [compiled(case.question, weight) for weight in weights(task.dtype)]
        except Exception:  # one of them does not compile, or not beside the others
            calls = []
        for answers in calls:
            _require_right(case, answers.pop(), task.dtype)
        for liar, *answers in zip(members, *calls):
            margin = _killed(case, answers, task.dtype)
            if margin is None:
                yield _alone(task, liar, backend, cases)
            else:
                kill = Kill(case.question.case_id, margin, "together")
                yield Score(liar.name, task.framework, task.dtype, task.mode, (kill,), 1)


def perform_universal(task: Task) -> list[str]:
    """Return what survives of the lies that no group of cases may let pass, in one framework and dtype."""
    backend = load_backend(task.framework)
    backend.environment("cpu")
    found = survivors(backend, load().cases, task.dtype)
    return [f"survived: {lie} in {group} ({task.framework} {task.dtype})" for lie, group in found]


def perform(task: Task) -> list[Score]:
    """Return the scores of one task."""
    backend = load_backend(task.framework)
    backend.environment("cpu")
    cases = load().cases
    liars = [liar for liar in bank(task.framework) if liar.name in task.names]
    if task.mode in COMPILERS:
        mode = ALONE.get(task.mode, task.mode)
        lying = [liar for liar in liars if mode in modes_to_try(liar, backend, [mode])]
        proven = [liar for liar in lying if task.dtype in liar.equivalent]  # eagerly, on every case
        scores = [
            Score(liar.name, task.framework, task.dtype, task.mode, (), 0, liar.equivalent[task.dtype])
            for liar in proven
        ]
        return scores + list(_together(task, [liar for liar in lying if liar not in proven], cases))
    whole = task.framework == WHOLE and task.mode == "eager"
    return [
        score(liar, backend, cases, task.dtype, mode, first=None if whole else hint(liar, task.dtype, task.hints))
        for liar in liars
        for mode in modes_to_try(liar, backend, [task.mode])
    ]


def run_gate(
    frameworks: Sequence[str], modes: Sequence[str], dtypes: Sequence[str] = DTYPES
) -> tuple[list[Score], list[str]]:
    """Return every score, first the whole matrix of WHOLE and then the rest with its help; and complaints."""
    names = tuple(liar.name for liar in bank(WHOLE))
    os.environ.update(THREADS)
    with ProcessPoolExecutor(min(os.cpu_count() or 1, 8), mp_context=get_context("spawn")) as pool:
        first = [Task(WHOLE, "eager", dtype, names, {}) for dtype in dtypes]
        scores = [entry for part in pool.map(perform, first) for entry in part]
        kills = {(entry.liar, entry.dtype): entry.kills for entry in scores if entry.mode == "eager"}
        rest = [
            Task(framework, mode, dtype, tuple(liar.name for liar in bank(framework)), kills)
            for framework in frameworks
            for mode in MODES[framework]
            for dtype in dtypes
            if mode in modes and (framework, mode) != (WHOLE, "eager")
        ]
        rest.sort(key=lambda task: SLOWEST_FIRST.index(task.mode))
        everywhere = [Task(framework, "eager", dtype, (), {}) for framework in frameworks for dtype in dtypes]
        others = [pool.submit(perform, task) for task in rest]
        universal = [pool.submit(perform_universal, task) for task in everywhere]
        scores += [entry for part in others for entry in part.result()]
        said = [text for part in universal for text in part.result()]
    wanted = [entry for entry in scores if entry.framework in frameworks and (entry.mode in modes or "eager" in modes)]
    return wanted, said
