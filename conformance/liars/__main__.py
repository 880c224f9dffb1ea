"""`python -m conformance.liars`: run the gate against the bank, and print who was killed, who survived, and by what."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import product
from time import perf_counter

from conformance.case import DTYPES
from conformance.golden import load
from conformance.liars.gate import MODES, ON_REQUEST, run_gate
from conformance.liars.score import Score
from conformance.liars.universal import UNIVERSAL, group_of

SHORTEST = 60
"""Wrong losses that each framework's bank must hold at least: an empty one would survive anything."""


def table(scores: Sequence[Score]) -> list[str]:
    """Return one line per framework, mode and dtype."""
    counted: dict[tuple[str, str, str], Counter[str]] = {}
    for entry in scores:
        counted.setdefault((entry.framework, entry.mode, entry.dtype), Counter())[entry.status] += 1
    lines = [f"{'framework':10} {'mode':13} {'dtype':8} {'liars':>5} {'killed':>6} {'equivalent':>10} {'survived':>8}"]
    for (framework, mode, dtype), count in sorted(counted.items()):
        alive = count["survived"] + count["refuted"]
        lines.append(
            f"{framework:10} {mode:13} {dtype:8} {sum(count.values()):5} {count['killed']:6} {count['equivalent']:10} "
            f"{alive:8}"
        )
    return lines


def complaints(scores: Sequence[Score], frameworks: Sequence[str], modes: Sequence[str]) -> list[str]:
    """Return what is not as it must be."""
    said = [
        f"{entry.status}: {entry.liar} in {entry.framework} {entry.mode} {entry.dtype}, asked {entry.asked} cases"
        + (f"; said to be equivalent ({entry.equivalent}) and rejected" if entry.status == "refuted" else "")
        for entry in scores
        if entry.status in ("survived", "refuted")
    ]
    said += [
        f"raises instead of lying: {entry.liar} in {entry.framework} {entry.mode} {entry.dtype}"
        for entry in scores
        if entry.kills and all(kill.by == "error" for kill in entry.kills)
    ]
    for framework, mode, dtype in product(frameworks, modes, DTYPES):
        if mode in MODES[framework]:
            asked = sum((entry.framework, entry.mode, entry.dtype) == (framework, mode, dtype) for entry in scores)
            if asked < SHORTEST:
                said.append(f"only {asked} liars were asked in {framework} {mode} {dtype}, wanted at least {SHORTEST}")
    return said


def main() -> int:
    """Return 0 if every liar was killed, or is proven to be none."""
    parser = argparse.ArgumentParser(prog="python -m conformance.liars", description=__doc__)
    parser.add_argument("--framework", action="append", choices=tuple(MODES), help="repeatable [all]")
    known = tuple(dict.fromkeys(mode for modes in MODES.values() for mode in modes))
    parser.add_argument("--mode", action="append", choices=known, help=f"repeatable [all but {', '.join(ON_REQUEST)}]")
    given = parser.parse_args()
    frameworks = tuple(given.framework or MODES)
    everything = (mode for framework in frameworks for mode in MODES[framework] if mode not in ON_REQUEST)
    modes = tuple(given.mode or dict.fromkeys(everything))
    start = perf_counter()
    scores, survived = run_gate(frameworks, modes)
    said = [*complaints(scores, frameworks, modes), *survived]
    groups = len({group_of(case.question) for case in load().cases})
    print("\n".join([*table(scores), *said]))
    lies = f"{', '.join(UNIVERSAL)} in each of {groups} groups of cases"
    print(f"{'NOT GOOD' if said else 'every liar dies'}; {lies}; {perf_counter() - start:.0f} s")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
