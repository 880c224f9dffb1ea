"""The report: whole or void, and the table that a person reads."""

from dataclasses import replace
from math import inf, nan
from pathlib import Path

import pytest
from rich.console import Console

from conformance.exit_codes import ExitCode, UsageError
from conformance.report import header, read_report, write_report
from conformance.table import print_failures, print_table, summarise
from conformance.verdict import Verdict

GOOD = Verdict("a", "amplitude_mae", "torch", "float32", "eager", "cpu", "pass", 0.25, 0.5)
VERDICTS = [
    GOOD,
    replace(GOOD, case_id="b", status="fail", value_margin=inf, message="value: got nan"),
    replace(GOOD, case_id="c", status="error", value_margin=nan, gradient_margin=nan, message="RuntimeError: no"),
    replace(GOOD, case_id="d", has_ties=True, gradient_margin=0.75),
    replace(GOOD, case_id="e", status="skip", value_margin=nan, gradient_margin=nan, message="why"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "report.jsonl"
    write_report(target, header({"command": "run"}, {"torch": {"torch": "2"}}), VERDICTS, ExitCode.NOT_CONFORMANT)
    return target


def test_what_is_written_is_read(path: Path) -> None:
    head, verdicts, foot = read_report(path)
    assert head["command"] == "run" and head["backends"] == {"torch": {"torch": "2"}}
    assert [row["case_id"] for row in verdicts] == list("abcde")
    assert verdicts[1]["value_margin"] == "inf" and verdicts[2]["value_margin"] is None
    assert foot["counts"] == {"error": 1, "fail": 1, "pass": 2, "skip": 1}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda lines: lines[:-1], "header or footer is missing"),
        (lambda lines: lines[1:], "header or footer is missing"),
        (lambda lines: lines[:2] + lines[3:], "does not count its 4 verdicts"),
        (lambda lines: [*lines[:1], lines[1].replace("pass", "fail"), *lines[2:]], "does not count"),
        (lambda lines: lines[:1], "header or footer is missing"),
        (lambda lines: [line[:20] for line in lines], "not a report"),
        (lambda lines: [], "header or footer is missing"),
    ],
    ids=["no-footer", "no-header", "verdict-lost", "verdict-altered", "header-only", "cut", "empty"],
)
def test_a_report_that_is_not_whole_is_void(path: Path, spoil: object, said: str) -> None:
    lines = path.read_text().splitlines()
    path.write_text("\n".join(spoil(lines)))  # type: ignore[operator]
    with pytest.raises(UsageError, match=said):
        read_report(path)


def test_a_failed_write_leaves_the_old_report(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_text()

    def refuse(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="no space"):
        write_report(path, {"kind": "header"}, [GOOD], ExitCode.CONFORMANT)
    assert path.read_text() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_missing_folder_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write there"):
        write_report(tmp_path / "no" / "report.jsonl", {"kind": "header"}, [GOOD], ExitCode.CONFORMANT)


def test_groups_count_every_status_and_hide_no_margin() -> None:
    (group,) = summarise(VERDICTS)
    assert (group.cases, group.passed, group.failed, group.errors, group.skipped) == (5, 2, 1, 1, 1)
    assert group.value_margin == inf and group.gradient_margin == inf
    assert group.tie_margin == 0.75
    assert group.worst_case in ("b", "c")


def test_the_table_and_the_failures_are_legible() -> None:
    console = Console(width=132, record=True)
    print_table(console, VERDICTS)
    many = [replace(VERDICTS[1], message=f"value: got {number}") for number in range(19)]
    print_failures(console, [*VERDICTS, *many])
    text = console.export_text()
    assert "torch" in text and "float32" in text and "inf" in text
    assert "fail b (torch float32 eager): value: got nan" in text
    assert "... and 9 more" in text


def test_the_same_words_are_printed_once_and_a_single_failure_says_why_its_case_exists() -> None:
    console = Console(width=132, record=True)
    print_failures(console, [replace(VERDICTS[2], case_id=f"c{number}") for number in range(50)])
    assert console.export_text() == "error c0 (torch float32 eager): RuntimeError: no [and in 49 more]\n"
    print_failures(console, [replace(VERDICTS[1], why="k = lambda = 0")])
    assert console.export_text().endswith("value: got nan [case: k = lambda = 0]\n")


@pytest.mark.parametrize("width", [80, 100, 160])
def test_no_number_is_cut_on_a_narrow_terminal(width: int) -> None:
    console = Console(width=width, record=True)
    print_table(console, [replace(GOOD, backend="tensorflow", mode="function", value_margin=1.23e-5)])
    text = console.export_text()
    assert all(word in text for word in ("tensorflow", "float32", "function", "1.23e-05", "0.5", "gradient"))
