"""Write the generated pages of docs/ and the figure, or prove with `--check` that they are what they would be."""

import argparse
import difflib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from cases_page import cases_page
from contract_page import COLUMN_DTYPES, COLUMNS, contract_page
from liars_page import liars_page, whole

from conformance.backends import load_backend
from conformance.golden import GoldenSet, load
from conformance.judge import judge_all
from conformance.verdict import Verdict

FOLDER = Path(__file__).resolve().parent
FIGURE = Path("figures") / "margins.svg"
CONTRACT_PAGE, CASES_PAGE, LIARS_PAGE = "contract.md", "cases.md", "liars.md"


def judged(golden: GoldenSet) -> list[Verdict]:
    """Judge the shipped codepaths of every framework over every case, eager, here and now."""
    verdicts: list[Verdict] = []
    for name in COLUMNS:
        backend = load_backend(name)
        backend.environment("cpu")
        print(f"judging {name}", file=sys.stderr, flush=True)
        verdicts += judge_all(
            backend, backend.shipped, golden.cases, dtypes=COLUMN_DTYPES, modes=("eager",), device="cpu", ties="strict"
        )
    return verdicts


def statuses(verdicts: Iterable[Verdict]) -> dict[tuple[str, str], dict[str, str]]:
    """Return the status of each case, per backend and dtype."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for verdict in verdicts:
        found.setdefault((verdict.backend, verdict.dtype), {})[verdict.case_id] = verdict.status
    return found


def pages(golden: GoldenSet, verdicts: Iterable[Verdict]) -> dict[str, str]:
    """Return the pages that follow from the suite and a run, by file name."""
    return {
        CASES_PAGE: cases_page(golden),
        CONTRACT_PAGE: contract_page(golden, statuses(verdicts), FOLDER.parent / "oracle"),
    }


def differences(folder: Path, wanted: dict[str, str]) -> list[str]:
    """Return the lines of a diff from what the folder holds to what it would hold; none where they agree."""
    lines: list[str] = []
    for name, text in wanted.items():
        path = folder / name
        held = path.read_text(encoding="utf-8") if path.is_file() else ""
        new = text.splitlines(keepends=True)
        lines += difflib.unified_diff(held.splitlines(keepends=True), new, f"docs/{name}", f"docs/{name} as generated")
    return lines


def is_current(figure: Path, golden: GoldenSet) -> bool:
    """Return whether the figure is there and was drawn for this suite; its margins differ a little between machines."""
    return figure.is_file() and f"suite {golden.digest[:12]}" in figure.read_text(encoding="utf-8")


def check(folder: Path, golden: GoldenSet, wanted: dict[str, str]) -> int:
    """Print what is out of date and return 1, or 0 where nothing is; writes nothing."""
    lines = differences(folder, wanted)
    sys.stdout.writelines(lines)
    stale = not is_current(folder / FIGURE, golden)
    if stale:
        print(f"docs/{FIGURE.as_posix()}: missing, or not of suite {golden.digest[:12]}")
    if lines or stale:
        print("out of date: run `nox -s docs -- write` and read what changed", file=sys.stderr)
    return 1 if lines or stale else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script; exit code 0 where the pages are, or now are, up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 with a diff where a page differs")
    options = parser.parse_args(arguments)
    golden = load()
    verdicts = judged(golden)
    wanted = {**pages(golden, verdicts), LIARS_PAGE: liars_page(golden, whole())}
    if options.check:
        return check(FOLDER, golden, wanted)
    from margin_figure import write_margins  # needs matplotlib, which proving does not

    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    write_margins(FOLDER / FIGURE, golden, verdicts)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
