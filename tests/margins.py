"""How much of its tolerance a right codepath uses: every strategy in every framework, mode, dtype and case.

Prints one line per framework, mode and dtype, and exits with 1 if a right codepath is rejected or uses more than
LARGEST_MARGIN of a tolerance outside declared ties.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import isnan
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent))  # the parallel workers import this file by its path

from margins_judged import TOGETHER, Task, judged
from margins_record import Line, Worst, added_up, asked_of_this_suite, by_part, folded, keep, recorded, table, write
from right_codepaths import STRATEGIES

from conformance.backends import load_backend
from conformance.case import ALL_DTYPES
from conformance.check import select
from conformance.golden import load
from conformance.judge import modes_of
from conformance.liars.operations import FRAMEWORKS
from conformance.verdict import Verdict

SHARE = {
    "torch": {"compile": 1},
    "tensorflow": {"xla": 4},
    "jax": {"eager": 4, "vmap": 4, "jit": 4, "grad_of_jit": 4},
}
"""How many strategies a case is put to in each dtype unless others are asked for; every one in the other modes."""
MANIFEST = Path(__file__).resolve().parent.parent / "fixtures" / "golden" / "manifest.json"
SLOWEST_FIRST = ("compile", "vmap", "eager", "xla")
THREADS = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
"""The arrays are small, and each mode has a process of its own."""


def _summary(
    task: Task, suite: str, dtype: str, found: Sequence[tuple[str, Verdict]], miscompiled: Sequence[str], seconds: float
) -> Line:
    answered = [(name, verdict) for name, verdict in found if verdict.status != "skip"]

    def worst(margins: Iterable[Worst]) -> Worst:
        return max(((margin, name, case) for margin, name, case in margins if not isnan(margin)), default=(0.0, "", ""))

    return Line(
        suite,
        task.framework,
        task.mode,
        dtype,
        task.ways,
        len(answered),
        len(found) - len(answered),
        worst((v.value_margin, name, v.case_id) for name, v in answered),
        worst((v.gradient_margin, name, v.case_id) for name, v in answered if not v.has_ties),
        worst((v.gradient_margin, name, v.case_id) for name, v in answered if v.has_ties),
        tuple(f"{name} {v.case_id}: {v.message}" for name, v in answered if v.status != "pass"),
        seconds,
        task.since,
        tuple(miscompiled),
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
    for text in line.miscompiled:
        print(f"    miscompiled, and right with the compiler's fault mended: {text}", flush=True)


def measure(task: Task) -> list[Line]:
    """Judge one framework in one mode, dtype by dtype, and show each as soon as it is there."""
    backend = load_backend(task.framework)
    backend.environment(task.device)
    golden = load()
    cases = select(golden.cases, task.patterns)
    lines = []
    for dtype in task.dtypes:
        start = perf_counter()
        found, miscompiled = judged(task, backend, dtype, cases)
        lines.append(_summary(task, golden.digest[:12], dtype, found, miscompiled, perf_counter() - start))
        show(lines[-1])
        if task.record is not None:
            keep(task.record, lines[-1])
    return lines


def _range(text: str) -> tuple[int, ...]:
    """Return the ways that `FIRST-LAST` means."""
    first, _, last = text.partition("-")
    found = tuple(range(int(first), int(last or first) + 1))
    if not found or found[-1] >= len(STRATEGIES):
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted FIRST-LAST within 0-{len(STRATEGIES) - 1}")
    return found


def _ways(given: argparse.Namespace, framework: str, mode: str, strategies: int) -> tuple[int, ...]:
    """Return which strategies each case is put to, counted from its first one."""
    wanted = given.ways or range(min(strategies, SHARE[framework].get(mode, strategies)))
    return tuple(sorted({way % strategies for way in wanted}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--framework", action="append", choices=FRAMEWORKS)
    parser.add_argument("--mode", action="append", help="all by default")
    parser.add_argument("--dtype", action="append", choices=ALL_DTYPES)
    parser.add_argument("--strategy", action="append", choices=[strategy.name for strategy in STRATEGIES])
    parser.add_argument("--case", action="append", default=[], help="shell pattern of case ids")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument(
        "--ways", type=_range, metavar="FIRST-LAST", help="of 0-11: which strategies each case is put to"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--added", action="store_true", help="only the cases added since the suite on record, for --record"
    )
    parser.add_argument("--record", type=Path, metavar="FILE", help="add each line to FILE; leave out what it holds")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print what FILE holds as a table, and stop")
    parser.add_argument("--fold", type=Path, metavar="FILE", help="add up what FILE holds in it, before the set grows")
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
    known = {(*line.what, line.since): set(line.ways) for line in by_part(lines)}
    left = []
    for task in tasks:
        asked, dtypes = set(task.ways), list[str]()
        for dtype in task.dtypes:
            have = known.get((task.framework, task.mode, dtype, task.since), set())
            if asked & have and not asked <= have:
                raise ValueError(
                    f"{task.framework} {task.mode} {dtype}: ways {sorted(asked & have)} of {sorted(asked)} are "
                    "on record; ask for the others with --ways"
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
    file = given.table or given.fold or given.record
    if given.record and (given.strategy or given.case or given.device != "cpu"):
        print("--record keeps whole runs on a CPU: leave out --strategy, --case and --device", file=sys.stderr)
        return 2
    golden = load()
    try:
        grown, on_record = recorded(file, MANIFEST, golden.digest)
        added = added_up(on_record, grown)
    except ValueError as error:
        print(f"{file}: {error}", file=sys.stderr)
        return 2
    if given.added:
        if given.case or not grown.added:
            print("--added: the golden set must have only grown, and takes no --case; ask all cases", file=sys.stderr)
            return 2
        given.case = list(grown.added)
    tasks = [
        Task(
            framework,
            mode,
            dtypes,
            names,
            tuple(given.case),
            given.device,
            _ways(given, framework, mode, len(names)),
            given.record,
            grown.before if given.added else "",
        )
        for framework in given.framework or FRAMEWORKS
        for mode in modes_of(load_backend(framework), given.mode or ("all",))
        for dtypes in _apart(framework, mode, tuple(given.dtype or ALL_DTYPES))
    ]
    if given.table:
        print(table(added, grown), end="")
        return 0
    if given.fold:
        together = folded(on_record, grown)
        if not together:
            print(f"{given.fold}: holds no line of every case of suite {grown.suite}; left as it is", file=sys.stderr)
            return 2
        write(given.fold, together)
        return 0
    try:
        tasks = not_on_record(tasks, asked_of_this_suite(on_record, grown))
    except ValueError as error:
        print(f"{file}: {error}", file=sys.stderr)
        return 2
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
