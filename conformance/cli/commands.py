"""The command line: `run` judges the shipped codepaths, `check` anybody's loss, `gradients` compares the frameworks."""

import errno
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from conformance.backends import BACKENDS, Backend, Codepath, load_backend
from conformance.backends.program_folder import VARIABLE
from conformance.case import ALL_DTYPES, DTYPES, Case, Question, dtypes_of
from conformance.check import require, select
from conformance.cli.check import check, map_conventions
from conformance.cli.diagnosis import Diagnose, diagnoses_of_shipped
from conformance.cli.migrate import migrate
from conformance.cli.options import (
    Backends,
    Cases,
    Device,
    Dtypes,
    Modes,
    Report,
    Ties,
    console,
    finish,
    loaded_backends,
)
from conformance.cli.programs import export_program
from conformance.exit_codes import ConformanceError, ExitCode, UsageError
from conformance.frames import read_frames
from conformance.golden import load
from conformance.judge import judge_all, modes_of, require_modes
from conformance.measured import measured_cases
from conformance.parallel import DIVIDED, Share, divided, judge_shares
from conformance.parity import parity
from conformance.report import require_report_path, tool_version
from conformance.verdict import TIES, Verdict

INTERRUPTED = 130
"""What Typer exits with after Ctrl-C, as shells do."""
UNWRITTEN = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO)
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Judge losses of ptychography networks. Exit codes: 0 conformant, 1 not, 2 usage, 3 fixtures missing or "
    "altered, 4 backend or device missing, 5 nothing checked.",
)
app.command()(check)
app.command("map")(map_conventions)
app.command()(migrate)
app.command("export-program")(export_program)


def _judge(
    plan: Iterable[tuple[Backend, Sequence[str]]], cases: Sequence[Case], dtypes: Sequence[str], device: str, ties: str
) -> list[Verdict]:
    verdicts: list[Verdict] = []
    for backend, modes in plan:

        def codepath(question: Question, backend: Backend = backend) -> Codepath:
            return backend.shipped(question)

        stream = judge_all(backend, codepath, cases, dtypes=dtypes, modes=modes, device=device, ties=ties)
        total = len(cases) * len(dtypes) * len(modes)
        progress = Console(stderr=True)
        verdicts += track(
            stream, f"{backend.name}: {', '.join(modes)}", total, console=progress, disable=not progress.is_terminal
        )
    return verdicts


def _judge_apart(
    plan: Iterable[tuple[Backend, Sequence[str]]],
    cases: Sequence[Case],
    dtypes: Sequence[str],
    device: str,
    ties: str,
    processes: int,
) -> list[Verdict]:
    shares = [
        Share(backend.name, mode, dtype, device, ties, ids)
        for backend, modes in plan
        for mode in modes
        for dtype in dtypes
        for ids in divided(cases, processes if mode in DIVIDED else 1)
    ]
    progress = Console(stderr=True)
    stream = judge_shares(shares, processes)
    parts = track(stream, "judging", len(shares), console=progress, disable=not progress.is_terminal)
    found = [verdict for part in parts for verdict in part]
    wholes = list(dict.fromkeys((share.backend, share.mode, share.dtype) for share in shares))
    places = {case.question.case_id: place for place, case in enumerate(cases)}
    return sorted(found, key=lambda one: (wholes.index((one.backend, one.mode, one.dtype)), places[one.case_id]))


@app.command()
def run(
    backend: Backends = None,
    dtype: Dtypes = None,
    mode: Modes = None,
    device: Device = "cpu",
    ties: Ties = "strict",
    case: Cases = None,
    data: Annotated[Optional[Path], typer.Option(help="judge on these diffraction frames instead of fixtures")] = None,
    frames: Annotated[Optional[int], typer.Option(help="how many frames of --data (default: all, at most 64)")] = None,
    nphotons: Annotated[
        Optional[float],
        typer.Option(help="photons of a mean frame of --data (default: the file's own, else 1e9)"),
    ] = None,
    programs: Annotated[
        Optional[Path],
        typer.Option(help="folder of `export-program`, for --backend tensorflow-program", envvar=VARIABLE),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="judge so many of backend, mode and dtype side by side")] = 1,
    diagnose: Diagnose = True,
    report: Report = None,
) -> None:
    """Judge the shipped codepaths of every backend against the golden truth, or on measured frames."""
    dtypes, requested = dtypes_of(dtype or DTYPES), tuple(mode or ())
    require("dtype", dtypes, ALL_DTYPES)
    require("ties", (ties,), TIES)
    if nphotons is not None and not 0 < nphotons < float("inf"):
        raise UsageError(f"--nphotons: got {nphotons}, wanted a finite number above 0")
    if data is None and (frames is not None or nphotons is not None):
        raise UsageError("--frames, --nphotons: say something about --data only; give a file of frames")
    if data is not None and processes > 1:
        raise UsageError("--processes: frames of --data are judged in one process; leave it out")
    if report is not None:
        require_report_path(report)
    cases: Sequence[Case]
    if data is None:
        golden = load()
        cases, subject = select(golden.cases, case or ()), f"suite {golden.digest[:12]}"
        digest = golden.digest
    else:
        found = read_frames(data, frames)
        digest = hashlib.sha256(data.read_bytes()).hexdigest()
        subject = f"{data.name}: {found.source}"
    if programs is not None:
        os.environ[VARIABLE] = str(programs)
    loaded = loaded_backends(backend, device)
    require_modes([entry for entry, _ in loaded.values()], requested)
    plan = [(entry, modes_of(entry, requested or entry.modes[:1])) for entry, _ in loaded.values()]
    if data is not None:
        cases = select(tuple(measured_cases(found, nphotons, load_backend("jax"))), case or ())
    if processes > 1 and cases:
        verdicts = _judge_apart(plan, cases, dtypes, device, ties, processes)
    else:
        verdicts = _judge(plan, cases, dtypes, device, ties)
    about = {
        "command": "run", "subject": subject, "sha256": digest, "ties": ties, "device": device,
        "dtypes": dtypes, "modes": {entry.name: modes for entry, modes in plan}, "case": case, "frames": frames,
        "nphotons": nphotons, "processes": processes,
    }  # fmt: skip
    backends = {name: one for name, (one, _) in loaded.items()}
    why = diagnoses_of_shipped(verdicts, backends, cases, ties) if diagnose else []
    finish(verdicts, report, about, {name: environment for name, (_, environment) in loaded.items()}, why)


@app.command()
def gradients(backend: Backends = None, dtype: Dtypes = None, case: Cases = None) -> None:
    """Compare the gradients of the shipped codepaths pairwise: largest difference over tolerance, and where."""
    dtypes = dtypes_of(dtype or DTYPES)
    require("dtype", dtypes, ALL_DTYPES)
    cases = select(load().cases, case or ())
    names = tuple(dict.fromkeys(backend or BACKENDS))
    if len(names) < 2:
        raise UsageError(f"--backend: got {', '.join(names)}, wanted at least two to compare")
    rows = parity([entry for entry, _ in loaded_backends(names, "cpu").values()], cases, dtypes)
    table = Table(title="largest difference of two gradients / what two correct ones can differ by")
    for name in ("loss", "dtype", "pair", "cases", "margin", "case", "where", "left", "right"):
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(
            row.loss, row.dtype, f"{row.left}-{row.right}", str(row.cases), f"{row.worst.margin:.3g}", row.case_id,
            str(list(row.worst.index)), f"{row.worst.got:.9g}", f"{row.worst.wanted:.9g}",
            style=None if row.holds else "red",
        )  # fmt: skip
    out = console()
    out.print(table)
    if not rows:
        out.print("nothing was checked")
        raise typer.Exit(int(ExitCode.NOTHING_CHECKED))
    agree = all(row.holds for row in rows)
    out.print("gradients agree" if agree else "gradients DIFFER: see the rows with a margin above 1")
    raise typer.Exit(int(ExitCode.CONFORMANT if agree else ExitCode.NOT_CONFORMANT))


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="print the version and exit")] = False) -> None:
    """Say which version this is."""
    if show:
        typer.echo(f"ptycho-loss-oracle {tool_version()}")
        raise typer.Exit


def main() -> None:
    """Run the command line; a ConformanceError becomes one line on stderr and its exit code.

    So does an output that cannot be written: 1 would say that something is not conformant. An interrupt says that
    nothing was decided.
    """
    try:
        app()
    except ConformanceError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(int(error.exit_code)) from error
    except (OSError, SystemExit) as error:
        if isinstance(error, SystemExit) and error.code == INTERRUPTED:
            typer.echo("error: interrupted; this is no verdict, and no report was written", err=True)
            raise
        unwritten = error if isinstance(error, OSError) else error.__context__
        if not isinstance(unwritten, OSError) or unwritten.errno not in UNWRITTEN:
            raise
        typer.echo(f"error: the output cannot be written ({unwritten}); this is no verdict", err=True)
        os._exit(int(ExitCode.USAGE))  # the stream would be flushed once more, and fail again
