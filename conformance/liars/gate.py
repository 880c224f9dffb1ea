"""The CPU-only gate against the whole bank: the plan of who is asked what, in processes side by side."""

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from conformance.backends import load_backend
from conformance.case import DTYPES
from conformance.golden import load
from conformance.liars.bank import bank
from conformance.liars.compiled import ALONE, COMPILERS, Kills, hint
from conformance.liars.compiled import scores as compiled
from conformance.liars.score import Score, modes_to_try, score
from conformance.liars.universal import survivors

MODES = {"torch": ("eager", "aot_eager", "compile"), "tensorflow": ("eager", "function", "xla")}
ON_REQUEST = ("compile",)
"""Inductor took 20 minutes for the bank on two busy cores. `aot_eager` is torch.compile without generated code."""
SLOWEST_FIRST = ("compile", "xla", "aot_eager", "function", "eager")
THREADS = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
"""The arrays are small, and each process has a core of its own."""
WHOLE = "torch"
"""The framework in which every liar is asked every case, eager; elsewhere the first kill is enough."""

@dataclass(frozen=True)
class Task:
    """A framework in one mode and dtype, the liars that it is asked about, and the cases that killed them elsewhere."""

    framework: str
    mode: str
    dtype: str
    names: tuple[str, ...]
    hints: Kills


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
        others = [liar for liar in lying if liar not in proven]
        return scores + list(compiled(task.framework, task.mode, task.dtype, others, cases, task.hints))
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
