"""How much of its tolerance a right codepath uses: every strategy in every framework, mode, dtype and case.

Prints one line per framework, mode and dtype, and exits with 1 if a right codepath is rejected or uses more than
LARGEST_MARGIN of a tolerance outside declared ties.

What compiles is given all strategies of a case as one program, each with operands of its own: a compiler takes seconds
for each program, and less than one for each loss in it. Cases that differ in nothing but their numbers share it.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from math import isnan
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent))  # the parallel workers import this file by its path

from margins_record import Line, Worst, added_up, keep, kept, table
from right_codepaths import STRATEGIES, Strategy, kind, turns

from conformance.backends import Answer, Backend, load_backend
from conformance.case import ALL_DTYPES, Case, Question
from conformance.check import select
from conformance.golden import load
from conformance.judge import judge_case, modes_of
from conformance.liars.operations import FRAMEWORKS
from conformance.tolerance import loss_scale
from conformance.verdict import Verdict, judge_answer

SHARE = {
    "torch": {"compile": 1},
    "tensorflow": {"eager": 4, "persistent": 4, "xla": 4},
    "jax": {"eager": 4, "vmap": 4, "jit": 4, "grad_of_jit": 4},
}
"""How many strategies a case is put to in each dtype unless every one is asked for, other ones in other dtypes."""
TOGETHER = {
    ("torch", "compile"): ("conformance.liars.torch_together", "inductor"),
    ("tensorflow", "function"): ("conformance.liars.tensorflow_together", "function"),
    ("tensorflow", "xla"): ("conformance.liars.tensorflow_together", "xla"),
    ("jax", "jit"): ("jax_together", "jit"),
    ("jax", "grad_of_jit"): ("jax_together", "grad_of_jit"),
}
"""What compiles the strategies of one kind of case as one program: a module with `program`, and its compiler."""
SLOWEST_FIRST = ("compile", "vmap", "eager", "xla")
THREADS = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
"""The arrays are small, and each mode has a process of its own."""


@dataclass(frozen=True)
class Task:
    """One framework in one mode, and what it is asked."""

    framework: str
    mode: str
    dtypes: tuple[str, ...]
    strategies: tuple[str, ...]
    patterns: tuple[str, ...]
    device: str
    every: bool
    turn: int
    record: Path | None


def _share(task: Task) -> int:
    """Return how many strategies a case is put to."""
    everything = len(task.strategies)
    return everything if task.every else min(everything, SHARE[task.framework].get(task.mode, everything))


def _ways(task: Task) -> tuple[int, ...]:
    """Return in which turns each case is asked, of as many as there are strategies."""
    share = _share(task)
    return tuple(sorted({(task.turn * share + step) % len(task.strategies) for step in range(share)}))


def asked(task: Task, cases: Sequence[Case], dtype: str) -> Iterator[tuple[Strategy, Case]]:
    """Return the pairs of strategy and case that a task is made of."""
    strategies = [strategy for strategy in STRATEGIES if strategy.name in task.strategies]
    return turns(strategies, cases, dtype, _share(task), task.turn)


def _one_by_one(
    task: Task, backend: Backend, dtype: str, pairs: Iterable[tuple[Strategy, Case]]
) -> Iterator[tuple[str, Verdict]]:
    for strategy, case in pairs:
        codepath = strategy.codepath(task.framework, case.question, task.mode)
        ties = strategy.ties(task.framework, task.mode)
        yield (
            strategy.name,
            judge_case(backend, codepath, case, dtype=dtype, mode=task.mode, device=task.device, ties=ties),
        )


def _together(
    task: Task, backend: Backend, dtype: str, pairs: Iterable[tuple[Strategy, Case]]
) -> Iterator[tuple[str, Verdict]]:
    """Judge what one program answers for all strategies of a case; one by one where there is no such program."""
    module, compiler = TOGETHER[task.framework, task.mode]
    program = import_module(module).program
    strategies_of: dict[str, tuple[Case, list[Strategy]]] = {}
    for strategy, case in pairs:
        strategies_of.setdefault(case.question.case_id, (case, []))[1].append(strategy)
    made: dict[object, Callable[[Question, float], list[Answer]]] = {}
    for case, strategies in sorted(strategies_of.values(), key=lambda pair: str(kind(pair[0]))):
        question = case.question
        codepaths = [strategy.codepath(task.framework, question, task.mode) for strategy in strategies]
        answers: list[Answer] = []
        try:
            if question.holds(dtype):
                alike = kind(case), *codepaths
                if alike not in made:  # those before are of no more use
                    made = {alike: program(codepaths, question, dtype, compiler)}
                answers = made[alike](question, loss_scale(case.truth.gradient, dtype))
        except Exception as error:
            print(f"    one by one, {question.case_id} {dtype}: {type(error).__name__}", flush=True)
        if not answers:
            yield from _one_by_one(task, backend, dtype, [(strategy, case) for strategy in strategies])
        for strategy, answer in zip(strategies, answers):
            ties = strategy.ties(task.framework, task.mode)
            status, value, gradient, message = judge_answer(case, answer, dtype, ties)
            names = question.case_id, question.loss, task.framework, dtype, task.mode, task.device
            yield strategy.name, Verdict(*names, status, value, gradient, has_ties=case.has_ties, message=message)


def _summary(task: Task, suite: str, dtype: str, found: Sequence[tuple[str, Verdict]], seconds: float) -> Line:
    judged = [(name, verdict) for name, verdict in found if verdict.status != "skip"]

    def worst(margins: Iterable[Worst]) -> Worst:
        return max(((margin, name, case) for margin, name, case in margins if not isnan(margin)), default=(0.0, "", ""))

    return Line(
        suite,
        task.framework,
        task.mode,
        dtype,
        _ways(task),
        len(judged),
        len(found) - len(judged),
        worst((v.value_margin, name, v.case_id) for name, v in judged),
        worst((v.gradient_margin, name, v.case_id) for name, v in judged if not v.has_ties),
        worst((v.gradient_margin, name, v.case_id) for name, v in judged if v.has_ties),
        tuple(f"{name} {v.case_id}: {v.message}" for name, v in judged if v.status != "pass"),
        seconds,
    )


def _described(worst: Worst) -> str:
    margin, name, case = worst
    return f"{margin:5.3f} {f'{name} {case}' if case else '-':44}"


def show(line: Line) -> None:
    """Print one line of the table, and beneath it what was rejected."""
    print(
        f"{line.framework:10} {line.mode:13} {line.dtype:8} {line.judged:6} {line.skipped:5}  {_described(line.value)} "
        f"{_described(line.gradient)} {_described(line.tied)} {line.seconds:6.0f}"
        f"{'' if line.good else '  <-- not good'}",
        flush=True,
    )
    for text in line.rejected:
        print(f"    rejected: {text}", flush=True)


def measure(task: Task) -> list[Line]:
    """Judge one framework in one mode, dtype by dtype, and show each as soon as it is there."""
    backend = load_backend(task.framework)
    backend.environment(task.device)
    golden = load()
    cases = select(golden.cases, task.patterns)
    lines = []
    for dtype in task.dtypes:
        start = perf_counter()
        judge = _one_by_one
        if (task.framework, task.mode) in TOGETHER and task.device == "cpu":
            judge = _together
        found = list(judge(task, backend, dtype, asked(task, cases, dtype)))
        lines.append(_summary(task, golden.digest[:12], dtype, found, perf_counter() - start))
        show(lines[-1])
        if task.record is not None:
            keep(task.record, lines[-1])
    return lines


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--framework", action="append", choices=FRAMEWORKS)
    parser.add_argument("--mode", action="append", help="all by default")
    parser.add_argument("--dtype", action="append", choices=ALL_DTYPES)
    parser.add_argument("--strategy", action="append", choices=[strategy.name for strategy in STRATEGIES])
    parser.add_argument("--case", action="append", default=[], help="shell pattern of case ids")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--every", action="store_true", help="every strategy in every mode")
    parser.add_argument("--turn", type=int, default=0, help="other strategies where not every one is asked")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--record", type=Path, metavar="FILE", help="add each line to FILE; leave out what it holds")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print what FILE holds as a table, and stop")
    parser.add_argument("--list", action="store_true", help="say how the strategies are written, and stop")
    return parser.parse_args()


def _apart(framework: str, mode: str, dtypes: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return dtypes that share a process: all of them, but where all is compiled anew for each."""
    return [(dtype,) for dtype in dtypes] if (framework, mode) in TOGETHER else [dtypes]


def not_on_record(tasks: Sequence[Task], lines: Sequence[Line]) -> list[Task]:
    """Return the tasks without the dtypes that have been asked.

    Raises
    ------
    ValueError
        Only some of the ways that a task would ask are on record: it would count them twice, hours later.
    """
    known = {line.what: set(line.ways) for line in lines}
    left = []
    for task in tasks:
        asked, dtypes = set(_ways(task)), list[str]()
        for dtype in task.dtypes:
            have = known.get((task.framework, task.mode, dtype), set())
            if asked & have and not asked <= have:
                raise ValueError(
                    f"{task.framework} {task.mode} {dtype}: ways {sorted(asked & have)} of {sorted(asked)} are "
                    "on record; ask for the others with --turn"
                )
            if not asked <= have:
                dtypes.append(dtype)
        if dtypes:
            left.append(replace(task, dtypes=tuple(dtypes)))
    return left


def main() -> int:
    """Return 0 if every line of the table is good."""
    given = _arguments()
    if given.list:
        for strategy in STRATEGIES:
            traced = f"; where masks and ids are not at hand: {strategy.traced}" if strategy.traced else ""
            print(f"{strategy.name}: {strategy.written}{traced}")
        return 0
    names = tuple(given.strategy or [strategy.name for strategy in STRATEGIES])
    file, on_record = given.table or given.record, list[Line]()
    if given.record and (given.strategy or given.case or given.device != "cpu"):
        print("--record keeps whole runs on a CPU: leave out --strategy, --case and --device", file=sys.stderr)
        return 2
    tasks = [
        Task(framework, mode, dtypes, names, tuple(given.case), given.device, given.every, given.turn, given.record)
        for framework in given.framework or FRAMEWORKS
        for mode in modes_of(load_backend(framework), given.mode or ("all",))
        for dtypes in _apart(framework, mode, tuple(given.dtype or ALL_DTYPES))
    ]
    try:
        if file:
            on_record = added_up(kept(file, load().digest[:12]))
        if given.record and not given.table:
            tasks = not_on_record(tasks, on_record)
    except ValueError as error:
        print(f"{file}: {error}", file=sys.stderr)
        return 2
    if given.table:
        print(table(on_record), end="")
        return 0
    tasks.sort(key=lambda task: SLOWEST_FIRST.index(task.mode) if task.mode in SLOWEST_FIRST else len(SLOWEST_FIRST))
    os.environ.update(THREADS)
    print(
        f"{'framework':10} {'mode':13} {'dtype':8} {'judged':>6} {'skips':>5}  {'worst value margin':50} "
        f"{'worst gradient margin, no ties':50} {'worst gradient margin, ties':50} {'s':>6}",
        flush=True,
    )
    good = bool(tasks or on_record) and all(line.good for line in on_record)
    with get_context("spawn").Pool(max(1, min(given.processes, len(tasks))), maxtasksperchild=1) as pool:
        for lines in pool.imap_unordered(measure, tasks, chunksize=1):
            good = good and all(line.good for line in lines)
    print("no right codepath is rejected" if good else "NOT GOOD: see above")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
