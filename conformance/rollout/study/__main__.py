"""`python -m conformance.rollout.study run|smoke|report`: the study, from its runs to its page."""

import argparse
import os
import sys
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory

from conformance.exit_codes import ConformanceError, ExitCode
from conformance.rollout.study.plan import FULL, PARTS, settings
from conformance.rollout.study.records import read
from conformance.rollout.study.report import write
from conformance.rollout.study.work import do

EVIDENCE = Path("docs/evidence")
RUNS = "rollout.jsonl"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m conformance.rollout.study", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="do the runs that are not on record yet")
    run.add_argument("--part", action="append", choices=sorted(PARTS), help=f"default: {', '.join(FULL)}")
    run.add_argument("--to", type=Path, default=EVIDENCE / RUNS)
    run.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    report = commands.add_parser("report", help="write the page and its figures from the records")
    report.add_argument("--runs", type=Path, default=EVIDENCE / RUNS)
    report.add_argument("--docs", type=Path, default=EVIDENCE.parent)
    commands.add_parser("smoke", help="a few short runs through every part, kept nowhere")
    return parser.parse_args()


def main() -> int:
    """Return 0 when everything asked for is on record or written, 2 for records or a page that cannot be."""
    given = _arguments()
    try:
        return {"run": _run, "report": _report, "smoke": _smoke}[given.command](given)
    except ConformanceError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _report(given: argparse.Namespace) -> int:
    for path in write(given.runs, given.docs):
        print(path)
    return ExitCode.CONFORMANT


def _smoke(_: argparse.Namespace) -> int:
    """Do the short runs, see that each is on record and finite, and that a second call finds nothing to do."""
    wanted = settings(("smoke",))
    with TemporaryDirectory() as folder:
        path = Path(folder) / RUNS
        done = do(wanted, path, os.cpu_count() or 1)
        again = do(wanted, path, 1)
        found = read(path)
    broken = [run for run, record in found.items() if not isfinite(float(record["metrics"]["loss_last"]))]
    if done != len(wanted) or again != 0 or set(found) != {setting.run_id for setting in wanted} or broken:
        print(f"smoke: {done} of {len(wanted)} runs done, {again} done twice, not finite: {broken}", file=sys.stderr)
        return ExitCode.NOT_CONFORMANT
    print(f"{done} short runs done and on record, none of them twice, all finite")
    return ExitCode.CONFORMANT


def _run(given: argparse.Namespace) -> int:
    wanted = settings(tuple(given.part or FULL))
    done = do(wanted, given.to, given.processes)
    print(f"{done} runs done, {len(wanted) - done} were on record: {given.to}")
    return ExitCode.CONFORMANT


if __name__ == "__main__":
    sys.exit(main())
