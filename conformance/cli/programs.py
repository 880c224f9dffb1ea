"""`export-program`: TensorFlow's programs for machines on which TensorFlow does not run."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from conformance.exit_codes import BackendError
from conformance.golden import load


def export_program(
    folder: Annotated[Path, typer.Argument(help="an empty or missing folder, or one of earlier programs")],
) -> None:
    """Write the shipped TensorFlow losses as XLA programs, which `run --backend tensorflow-program` judges.

    Needs tensorflow and jax, and no GPU; takes minutes. To run them needs jax alone.
    """
    golden = load()
    try:
        from conformance.backends.program_export import export_programs, kinds_of
    except Exception as error:  # either framework may fail to import in any way
        raise BackendError(
            f"export-program: does not import ({type(error).__name__}: {error}); install tensorflow and jax"
        ) from error
    progress = Console(stderr=True)
    wanted = len(kinds_of(golden.cases))
    steps = export_programs(folder, golden.cases, golden.digest)
    done = sum(1 for _ in track(steps, "programs", wanted, console=progress, disable=not progress.is_terminal))
    typer.echo(f"{done} programs for suite {golden.digest[:12]} in {folder}")
