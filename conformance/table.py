"""The table a person reads: per backend, dtype and mode the outcomes and the worst margins."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isnan

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from conformance.verdict import Verdict

FAILURES_SHOWN = 12
FEW_FAILURES = 3
"""Shown where a diagnosis follows."""
FULL_WIDTH = 124


@dataclass(frozen=True)
class Group:
    """Verdicts of one backend, dtype and mode. Margins are the worst error over tolerance; at most 1 passes."""

    backend: str
    dtype: str
    mode: str
    cases: int
    passed: int
    failed: int
    errors: int
    skipped: int
    value_margin: float
    gradient_margin: float
    tie_margin: float
    worst_case: str


def _worst(margins: Sequence[float]) -> float:
    return max((inf if isnan(margin) else margin for margin in margins), default=0.0)


def _group(key: tuple[str, str, str], verdicts: Sequence[Verdict]) -> Group:
    judged = [v for v in verdicts if v.status != "skip"]
    settled = [v for v in judged if not v.has_ties]
    tied = [v for v in judged if v.has_ties]
    ranked = sorted(settled or tied, key=lambda v: -_worst([v.value_margin, v.gradient_margin]))
    statuses = [verdict.status for verdict in verdicts]
    return Group(
        *key,
        cases=len(verdicts),
        passed=statuses.count("pass"),
        failed=statuses.count("fail"),
        errors=statuses.count("error"),
        skipped=statuses.count("skip"),
        value_margin=_worst([v.value_margin for v in settled]),
        gradient_margin=_worst([v.gradient_margin for v in settled]),
        tie_margin=_worst([m for v in tied for m in (v.value_margin, v.gradient_margin)]),
        worst_case=ranked[0].case_id if ranked else "",
    )


def summarise(verdicts: Sequence[Verdict]) -> list[Group]:
    """Group verdicts by backend, dtype and mode, in the order in which they came."""
    groups: dict[tuple[str, str, str], list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault((verdict.backend, verdict.dtype, verdict.mode), []).append(verdict)
    return [_group(key, members) for key, members in groups.items()]


def print_table(console: Console, verdicts: Sequence[Verdict]) -> None:
    """Print one row per group; margins without ties and with ties apart."""
    table = Table(title="worst margin = largest error / tolerance; above 1 fails")
    wide = console.width >= FULL_WIDTH
    for name in ("backend", "dtype", "mode"):
        table.add_column(name, no_wrap=True)
    for name in ("cases", "pass", "fail", "error", "skip", "value", "gradient", "ties"):
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column("worst case", no_wrap=True)
    else:
        table.padding, table.box = (0, 0), SIMPLE
    for group in summarise(verdicts):
        style = "red" if group.failed or group.errors else None
        counts = (group.cases, group.passed, group.failed, group.errors, group.skipped)
        margins = (group.value_margin, group.gradient_margin, group.tie_margin)
        table.add_row(
            group.backend,
            group.dtype,
            group.mode,
            *(str(count) for count in counts),
            *(f"{margin:.3g}" for margin in margins),
            *([group.worst_case] if wide else []),
            style=style,
        )
    console.print(table)


def print_failures(console: Console, verdicts: Sequence[Verdict], shown: int = FAILURES_SHOWN) -> None:
    """Print what is wrong, case by case and with the case's reason; the same words once, the first ones in full."""
    same: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.status in ("fail", "error"):
            same.setdefault((verdict.status, verdict.message), []).append(verdict)
    for (status, message), members in list(same.items())[:shown]:
        first = members[0]
        line = f"{status} {first.case_id} ({first.backend} {first.dtype} {first.mode}): {message}"
        line += f" [case: {first.why}]" if len(members) == 1 and first.why else ""
        line += f" [and in {len(members) - 1} more]" if len(members) > 1 else ""
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if len(same) > shown:
        console.print(f"... and {len(same) - shown} more; --report writes all of them")
