"""Mutants of the judge itself: a sample of cosmic-ray's, drawn with a literal seed, each put to the tests of its area.

`python tests/mutants.py AREA`, or `nox -s mutants -- AREA`. Prints the survivors and exits with 1 where one is not in
`docs/mutants.md`, which says of each why no test could tell it from the original, or which test has come since.
"""

import argparse
import ast
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parent.parent
EXPLAINED = ROOT / "docs" / "mutants.md"
SEED = 20261126


@dataclass(frozen=True)
class Area:
    """What is mutated, the tests that are to notice, quickest first, and how many mutants are drawn."""

    paths: tuple[str, ...]
    tests: tuple[str, ...]
    drawn: int


AREAS = {
    "verdict": Area(
        ("verdict.py", "subgradient.py"),
        ("test_not_finite.py", "test_subgradient.py", "test_subgradient_cases.py", "test_fail_open.py"),
        60,
    ),
    "runner": Area(
        ("judge.py",),
        (
            "test_judge.py",
            "test_uneven.py",
            "test_wrong_calls.py",
            "test_report.py",
            "test_fail_open.py",
            "test_narrow.py",
        ),
        40,
    ),
    "golden loader": Area(
        ("golden.py", "manifest.py", "npz.py", "forms.py", "record.py"),
        ("test_archives.py", "test_record.py", "test_golden_reader.py", "test_golden_records.py"),
        60,
    ),
    "tolerance": Area(
        ("tolerance",), ("test_pinned.py", "test_tolerance_edges.py", "test_tolerance.py", "test_narrow.py"), 40
    ),
    "diagnosis": Area(
        ("diagnosis",),
        (
            "test_diagnosis_parts.py",
            "test_diagnosis.py",
            "test_diagnosis_restraint.py",
            "test_command_line_diagnosis.py",
        ),
        40,
    ),
}
CONFIGURATION = """\
[cosmic-ray]
module-path = [{paths}]
timeout = 180.0
excluded-modules = []
test-command = "{python} -B -m pytest -q -x -p no:cacheprovider {tests}"
[cosmic-ray.distributor]
name = "local"
"""
Spot = tuple[str, str, int, int]
"""Job, path below the root, line and column of a mutant."""


def _annotated(path: Path) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return the spans of annotations: what stands there is not run."""
    spans = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for name in ("annotation", "returns"):
            found = getattr(node, name, None)
            if isinstance(found, ast.expr) and found.end_lineno is not None and found.end_col_offset is not None:
                spans.append(((found.lineno, found.col_offset), (found.end_lineno, found.end_col_offset)))
    return spans


def _drawn(spots: list[Spot], root: Path, count: int) -> set[str]:
    """Return the jobs to keep: a sample of the mutants outside annotations."""
    spans = {path: _annotated(root / path) for path in {path for _, path, _, _ in spots}}
    real = sorted(
        (path, line, column, job)
        for job, path, line, column in spots
        if not any(start <= (line, column) < end for start, end in spans[path])
    )
    return {job for _, _, _, job in Random(SEED).sample(real, min(count, len(real)))}


def _run(folder: Path, area: Area) -> list[str]:
    """Mutate a copy of the checkout, and return the survivors as `path:line operator`."""
    copy = folder / "checkout"
    ignored = shutil.ignore_patterns(".git", ".venv", ".nox", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=ignored)
    paths = ", ".join(f'"conformance/{path}"' for path in area.paths)
    tests = " ".join(f"tests/{name}" for name in area.tests)
    (copy / "mutants.toml").write_text(CONFIGURATION.format(paths=paths, python=sys.executable, tests=tests))
    environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}

    def tool(*command: str) -> None:
        subprocess.run([sys.executable, "-m", "cosmic_ray.cli", *command], cwd=copy, env=environment, check=True)

    untouched = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests.split()]
    if subprocess.run(untouched, cwd=copy, env=environment).returncode:
        sys.exit("the tests fail without a mutant: they would kill all of them")
    tool("init", "mutants.toml", "mutants.sqlite")
    with sqlite3.connect(copy / "mutants.sqlite") as session:
        rows = session.execute("select job_id, module_path, start_pos_row, start_pos_col from mutation_specs")
        kept = _drawn([(job, str(path), line, column) for job, path, line, column in rows], copy, area.drawn)
        for table in ("mutation_specs", "work_items"):
            jobs = [job for (job,) in session.execute(f"select job_id from {table}") if job not in kept]
            session.executemany(f"delete from {table} where job_id = ?", [(job,) for job in jobs])
    tool("exec", "mutants.toml", "mutants.sqlite")
    with sqlite3.connect(copy / "mutants.sqlite") as session:
        found = session.execute(
            "select m.module_path, m.start_pos_row, m.operator_name, m.occurrence, r.test_outcome "
            "from mutation_specs m left join work_results r on r.job_id = m.job_id order by 1, 2"
        ).fetchall()
    print(f"{len(found)} mutants, {sum('KILLED' in str(outcome) for *_, outcome in found)} killed")
    lines = {path: (copy / path).read_text(encoding="utf-8").splitlines() for path, *_ in found}
    return [
        f"{path}: `{lines[path][line - 1].strip()}` {operator.removeprefix('core/')} {occurrence}"
        for path, line, operator, occurrence, outcome in found
        if "KILLED" not in str(outcome)
    ]


def main() -> int:
    """Return 0 if every survivor is explained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("area", choices=AREAS)
    area = AREAS[parser.parse_args().area]
    with tempfile.TemporaryDirectory() as folder:
        survivors = _run(Path(folder), area)
    explained = EXPLAINED.read_text(encoding="utf-8") if EXPLAINED.is_file() else ""
    new = [survivor for survivor in survivors if survivor not in explained]
    print("\n".join(f"{'new' if survivor in new else 'explained'}: {survivor}" for survivor in survivors))
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main())
