"""The CPU-only gate against the whole bank: the plan of who is asked what, in processes side by side."""

import gc
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context

from conformance.backends import load_backend
from conformance.case import DTYPES
from conformance.golden import load
from conformance.liars.bank import bank
from conformance.liars.compiled import ALONE, Kills, hint
from conformance.liars.compiled import scores as compiled
from conformance.liars.score import Score, lies_in, modes_to_try, score
from conformance.liars.universal import survivors

MODES = {"torch": ("eager", "aot_eager", "compile"), "tensorflow": ("eager", "function", "xla")}
SHARING: dict[str, tuple[tuple[str, ...], ...]] = {
    "torch": (("eager",), ("aot_eager",), ("compile",)),
    "tensorflow": (("eager",), ("xla", "function")),
}
"""Modes that share what they trace."""
ON_REQUEST = ("compile",)
"""Inductor took 20 minutes for the bank on two busy cores. `aot_eager` is torch.compile without generated code."""
SLOWEST_FIRST = ("compile", "xla", "aot_eager", "function", "eager")
THREADS = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
"""The arrays are small, and each process has a core of its own."""
FIRST = "torch", "float64"
"""Where every liar is asked first, eager: elsewhere one kill is enough, and what killed it here goes first."""
ENOUGH = 12
"""How many kills leave a choice of cases to compile. Who dies more often is asked no more."""


@dataclass(frozen=True)
class Task:
    """A framework in modes that share what they trace and one dtype, the liars that it is asked about, and hints.

    Without hints, which are what killed a liar elsewhere, it is asked in eager mode until `enough` cases kill it, or
    every case.
    """

    framework: str
    modes: tuple[str, ...]
    dtype: str
    names: tuple[str, ...]
    hints: Kills
    enough: int | None = None


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
    gc.freeze()  # what is loaded stays: whoever traces makes many objects, and each collection would visit all
    gc.set_threshold(100_000, 50, 100)
    liars = [liar for liar in bank(task.framework) if liar.name in task.names]
    if task.modes == ("eager",):
        return [
            score(liar, backend, cases, task.dtype, mode, first=first, enough=task.enough)
            for liar, first in ((liar, hint(liar, task.dtype, task.hints) if task.hints else None) for liar in liars)
            for mode in modes_to_try(liar, backend, task.modes)
        ]
    lying = {mode: [liar for liar in liars if lies_in(liar, ALONE.get(mode, mode))] for mode in task.modes}
    proven = {liar.name for liar in liars if task.dtype in liar.equivalent}  # eagerly, on every case
    scores = [
        Score(liar.name, task.framework, task.dtype, mode, (), 0, liar.equivalent[task.dtype])
        for mode, some in lying.items()
        for liar in some
        if liar.name in proven
    ]
    others = {mode: [liar for liar in some if liar.name not in proven] for mode, some in lying.items()}
    return scores + list(compiled(task.framework, task.dtype, others, cases, task.hints))


def _first(names: Sequence[str], dtypes: Sequence[str]) -> list[Task]:
    """Return what is asked first: everyone in one dtype, and in others those who are no liars in that one."""
    framework, first = FIRST
    half = len(names) // 2
    tasks = [Task(framework, ("eager",), first, tuple(part), {}, ENOUGH) for part in (names[:half], names[half:])]
    honest = tuple(liar.name for liar in bank(framework) if first in liar.equivalent)
    return tasks + [Task(framework, ("eager",), dtype, honest, {}, ENOUGH) for dtype in dtypes if dtype != first]


def _rest(frameworks: Sequence[str], modes: Sequence[str], dtypes: Sequence[str], kills: Kills) -> list[Task]:
    """Return what is asked with the help of what is known, the slowest first."""
    tasks = []
    for framework, dtype in product(frameworks, dtypes):
        known = {name for name, of_dtype in kills if of_dtype == dtype} if framework == FIRST[0] else set()
        names = tuple(liar.name for liar in bank(framework))
        for sharing in SHARING[framework]:
            wanted = tuple(mode for mode in sharing if mode in modes)
            unknown = tuple(name for name in names if wanted != ("eager",) or name not in known)
            if wanted and unknown:
                tasks.append(Task(framework, wanted, dtype, unknown, kills))
    return sorted(tasks, key=lambda task: SLOWEST_FIRST.index(task.modes[0]))


def run_gate(
    frameworks: Sequence[str], modes: Sequence[str], dtypes: Sequence[str] = DTYPES
) -> tuple[list[Score], list[str]]:
    """Return every score, first what is asked everything and then the rest with its help; and complaints."""
    os.environ.update(THREADS)
    names = [liar.name for liar in bank(FIRST[0])]
    with ProcessPoolExecutor(min(os.cpu_count() or 1, 8), mp_context=get_context("spawn")) as pool:
        scores = [entry for part in pool.map(perform, _first(names, dtypes)) for entry in part]
        kills = {(entry.liar, entry.dtype): entry.kills for entry in scores}
        everywhere = [Task(framework, ("eager",), dtype, (), {}) for framework in frameworks for dtype in dtypes]
        others = [pool.submit(perform, task) for task in _rest(frameworks, modes, dtypes, kills)]
        universal = [pool.submit(perform_universal, task) for task in everywhere]
        scores += [entry for part in others for entry in part.result()]
        said = [text for part in universal for text in part.result()]
    wanted = [
        entry
        for entry in scores
        if entry.framework in frameworks and entry.dtype in dtypes and (entry.mode in modes or "eager" in modes)
    ]
    return wanted, said
