"""What the commands share: their options, the console, the backends, and how a judgement ends."""

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from rich.console import Console

from conformance.backends import BACKENDS, DEVICES, Backend, load_backend
from conformance.check import require
from conformance.cli.diagnosis import Ask, diagnosed
from conformance.exit_codes import ExitCode
from conformance.golden import load
from conformance.judge import exit_code
from conformance.report import header, write_report
from conformance.table import FAILURES_SHOWN, FEW_FAILURES, print_failures, print_table
from conformance.verdict import Verdict

WIDTH = 150
Backends = Annotated[
    Optional[list[str]], typer.Option("--backend", help="jax, torch, tensorflow; repeatable (default: all)")
]
Dtypes = Annotated[
    Optional[list[str]],
    typer.Option("--dtype", help="float32, float64, bfloat16, float16, all; repeatable (default: float32, float64)"),
]
Modes = Annotated[
    Optional[list[str]],
    typer.Option("--mode", help="eager, compiled, all, or by name: see docs/usage.md; repeatable (default: eager)"),
]
Device = Annotated[str, typer.Option(help="cpu or cuda")]
Ties = Annotated[str, typer.Option(help="strict: sign(0) = 0 at exact ties; subgradient: any subgradient there")]
Report = Annotated[Optional[Path], typer.Option(help="write all verdicts to this file as JSON lines")]
Cases = Annotated[Optional[list[str]], typer.Option("--case", help="judge only case ids of this pattern; repeatable")]


def console() -> Console:
    """Return a console that is wide where nobody is looking."""
    found = Console()
    return found if found.is_terminal else Console(width=WIDTH)


def loaded_backends(names: Sequence[str] | None, device: str) -> dict[str, tuple[Backend, dict[str, str]]]:
    """Return the named backends, all by default, each with its environment on the device."""
    require("device", (device,), DEVICES)
    loaded = {name: load_backend(name) for name in dict.fromkeys(names or BACKENDS)}
    return {name: (backend, backend.environment(device)) for name, backend in loaded.items()}


def unmatched(patterns: Sequence[str]) -> str:
    """Return, where patterns matched nothing that is asked, what the golden set holds in their place."""
    ids = [case.question.case_id for case in load().cases]
    idle = [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in ids)]
    if not idle:
        return f"case: {', '.join(map(repr, patterns))} matches only cases of another loss or convention"
    near = get_close_matches(idle[0].lower(), ids) or ids[:3]
    return f"case: {idle[0]!r} matches none of the {len(ids)} cases; there are {', '.join(near)}, ... (docs/cases.md)"


def finish(
    verdicts: Sequence[Verdict],
    report: Path | None,
    subject: dict[str, Any],
    environments: dict[str, dict[str, str]],
    why: Sequence[Ask] = (),
) -> None:
    """Write the report, print the table, what failed and what it resembles, and leave with the exit code."""
    code = exit_code(verdicts)
    if report is not None:
        write_report(report, header(subject, environments), verdicts, code)
    out = console()
    print_table(out, verdicts)
    print_failures(out, verdicts, FEW_FAILURES if why else FAILURES_SHOWN)
    for ask in why:
        for text in diagnosed(ask):
            out.print(text, markup=False, highlight=False, soft_wrap=True)
    judged = sum(verdict.status != "skip" for verdict in verdicts)
    said = {ExitCode.CONFORMANT: "conformant", ExitCode.NOTHING_CHECKED: "nothing was checked"}
    line = f"{said.get(code, 'NOT conformant')}: {judged} verdicts, {subject['subject']}, ties {subject['ties']}"
    out.print(line, markup=False, highlight=False, soft_wrap=True)
    if code == ExitCode.NOTHING_CHECKED and subject.get("case"):
        out.print(unmatched(subject["case"]), markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(int(code))
