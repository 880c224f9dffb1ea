"""What the README prints is what the code does: commands, numbers and the failing example."""

import re
import subprocess
import sys
from pathlib import Path

from conformance.case import DTYPES
from conformance.golden import GoldenSet

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_first_block_holds_the_two_commands() -> None:
    commands = _blocks("sh")[0].strip().splitlines()
    sessions = [re.findall(r'nox -s "?(\w+)', command) for command in commands]
    assert sessions == [["conformance"], ["tests"]]
    defined = re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(encoding="utf-8"), flags=re.MULTILINE)
    named = re.findall(r"^\| `nox -s \"?(\w+)", README, flags=re.MULTILINE)
    assert {"conformance", "tests", *named} <= set(defined)


def test_the_tables_are_of_this_suite(golden: GoldenSet) -> None:
    printed = _blocks("text")
    assert len(printed) == 2 and all(f"suite {golden.digest[:12]}" in block for block in printed)
    rows = re.findall(r"│ (\w+) +│ (float\d\d) │ (\w+) +│ +(\d+) │ +(\d+) │", printed[0])
    assert len({row[:3] for row in rows}) == 14
    held = {dtype: sum(case.question.holds(dtype) for case in golden.cases) for dtype in DTYPES}
    assert all(row[3:] == (str(len(golden.cases)), str(held[row[1]])) for row in rows)
    assert f"conformant: {7 * sum(held.values())} verdicts" in printed[0]


def test_the_failing_example_fails_as_printed(tmp_path: Path) -> None:
    (tmp_path / "my_losses.py").write_text(_blocks("python")[0])
    printed = _blocks("text")[1]
    command = printed.splitlines()[0].removeprefix("$ ptycho-oracle ")
    done = subprocess.run(
        [sys.executable, "-m", "conformance", *command.split()],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    failures = re.findall(r"^fail (\S+) \(.*?\): (\w+)", printed, flags=re.MULTILINE)
    assert failures == re.findall(r"^fail (\S+) \(.*?\): (\w+)", done.stdout, flags=re.MULTILINE)
    told = (
        "diagnosis (",
        "  agrees with ",
        "    seen in ",
        "  smallest failing case: ",
        "  it still fails when cut to ",
    )
    diagnosed = [line for line in printed.splitlines() if line.startswith(told)]
    assert diagnosed == [line for line in done.stdout.splitlines() if line.startswith(told)]
    assert len(diagnosed) == len(told)
    assert printed.splitlines()[-1] == done.stdout.splitlines()[-1]
