"""`python -m conformance.rollout.study run|smoke|report`: the study, from its runs to its page."""

import argparse
import os
import sys
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory

from conformance.exit_codes import ConformanceError, ExitCode, UsageError
from conformance.rollout.study.cropping import ORIENTATIONS
from conformance.rollout.study.measured import SIZE, Source, read_measured
from conformance.rollout.study.plan import FULL, PARTS, measured, settings
from conformance.rollout.study.records import read
from conformance.rollout.study.report import differences, write
from conformance.rollout.study.settings import ARMS, COMBINED, HEADS
from conformance.rollout.study.work import do

EVIDENCE = Path("docs/evidence")
RUNS = "rollout.jsonl"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m conformance.rollout.study", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="do the runs that are not on record yet")
    run.add_argument("--part", action="append", choices=sorted(PARTS), help=f"default: {', '.join(FULL)}")
    run.add_argument("--to", type=Path, help=f"default: {EVIDENCE / RUNS}; for --data there is none")
    run.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    scan = run.add_argument_group("a measured scan, in place of the parts")
    scan.add_argument("--data", type=Path, help="NPZ or NPZ.bz2 with patterns, probe and positions")
    scan.add_argument("--size", type=int, help="pixels a side that are kept of the patterns (64)")
    scan.add_argument("--orientation", choices=ORIENTATIONS, help="reading of the positions (++: rows, columns)")
    scan.add_argument("--arm", action="append", choices=ARMS + COMBINED, help="default: all but the combinations")
    scan.add_argument("--seeds", type=int, help="how many (1); they draw weights and batches")
    scan.add_argument("--channels", type=int, choices=(1, 4), help="patterns of a sample (4)")
    scan.add_argument("--steps", type=int, help="of training (500)")
    scan.add_argument("--head", choices=HEADS, help="unbounded: the probe is scaled for a mean transmission of 1")
    report = commands.add_parser("report", help="write the page and its figures from the records")
    report.add_argument("--runs", type=Path, default=EVIDENCE / RUNS)
    report.add_argument("--docs", type=Path, default=EVIDENCE.parent)
    report.add_argument("--check", action="store_true", help="write nothing; exit 1 if anything would change")
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
    if given.check:
        stale = differences(given.runs, given.docs)
        for path in stale:
            print(f"{path}: not what {given.runs} gives; run `nox -s study -- report`", file=sys.stderr)
        return ExitCode.NOT_CONFORMANT if stale else ExitCode.CONFORMANT
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
    if given.data is not None:
        return _run_measured(given)
    names = ("size", "orientation", "arm", "seeds", "channels", "steps", "head")
    astray = [f"--{name}" for name in names if getattr(given, name) is not None]
    if astray:
        raise UsageError(f"{', '.join(astray)}: of a measured scan only; pass --data")
    wanted, path = settings(tuple(given.part or FULL)), given.to or EVIDENCE / RUNS
    done = do(wanted, path, given.processes)
    print(f"{done} runs done, {len(wanted) - done} were on record: {path}")
    return ExitCode.CONFORMANT


def _run_measured(given: argparse.Namespace) -> int:
    if given.part or given.to is None:
        raise UsageError("--data: wanted --to, a file for the records of this scan alone, and no --part")
    for name in ("seeds", "steps"):
        if getattr(given, name) is not None and getattr(given, name) < 1:
            raise UsageError(f"--{name}: got {getattr(given, name)}, wanted at least 1")
    source = Source(given.data, SIZE if given.size is None else given.size, given.orientation or "++")
    channels = given.channels or 4
    found = read_measured(source, channels)
    arms, head = tuple(given.arm or ARMS), given.head or "unbounded"
    wanted = list(dict.fromkeys(measured(found.photons, channels, arms, given.seeds or 1, head, given.steps or 500)))
    for name, fact in found.facts.items():
        print(f"{name}: {fact}")
    done = do(wanted, given.to, given.processes, source, found.facts)
    print(f"{done} runs done, {len(wanted) - done} were on record: {given.to}")
    return ExitCode.CONFORMANT


if __name__ == "__main__":
    sys.exit(main())
