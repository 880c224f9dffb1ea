"""The commands `check`, for anybody's loss under a declared convention, and `map`, between two conventions."""

from collections.abc import Sequence
from typing import Annotated, Optional

import typer

from conformance.affine import describe_map
from conformance.backends import BACKENDS, DEVICES, load_backend
from conformance.case import DTYPES, dtypes_of
from conformance.check import check_loss, require
from conformance.cli.diagnosis import Diagnose
from conformance.cli.options import Cases, Device, Dtypes, Modes, Report, Ties, finish
from conformance.exit_codes import UsageError
from conformance.golden import load
from conformance.locate import locate
from conformance.profile import PROFILES, declare
from conformance.report import require_report_path


def _settings(given: Sequence[str] | None) -> dict[str, str]:
    settings = {}
    for entry in given or ():
        name, equals, value = entry.partition("=")
        if not equals:
            raise UsageError(f"--set {entry}: wanted NAME=CHOICE, such as reduction=sum")
        settings[name] = value
    return settings


def check(
    target: Annotated[str, typer.Argument(metavar="MODULE:ATTR", help="the loss, or FILE.py:ATTR")],
    loss: Annotated[str, typer.Option(help="amplitude_l2_mae, amplitude_mae or poisson_nll")],
    framework: Annotated[str, typer.Option(help="torch, tensorflow or jax")] = "torch",
    dtype: Dtypes = None,
    mode: Modes = None,
    device: Device = "cpu",
    ties: Ties = "strict",
    case: Cases = None,
    profile: Annotated[str, typer.Option(help=f"declared convention: {', '.join(PROFILES)}")] = "contract",
    settings: Annotated[
        Optional[list[str]], typer.Option("--set", help="change the convention: NAME=CHOICE, such as reduction=sum")
    ] = None,
    diagnose: Diagnose = True,
    report: Report = None,
) -> None:
    """Judge any loss f(prediction, target), for poisson_nll f(prediction, target, scale), on (B, C, H, W) tensors."""
    require("framework", (framework,), tuple(BACKENDS))
    require("device", (device,), DEVICES)
    if report is not None:
        require_report_path(report)
    convention = declare(profile, _settings(settings))
    golden = load()
    environment = load_backend(framework).environment(device)
    dtypes, modes = dtypes_of(dtype or DTYPES), tuple(mode or ("eager",))
    result = check_loss(
        locate(target),
        loss=loss,
        framework=framework,
        dtype=dtypes,
        mode=modes,
        device=device,
        ties=ties,
        cases=tuple(case or ()),
        profile=convention,
    )
    subject = f"{target} as {loss}, {convention.described()}, suite {golden.digest[:12]}"
    about = {
        "command": "check", "subject": subject, "sha256": golden.digest,
        "ties": ties, "device": device, "dtypes": dtypes, "modes": modes, "case": case,
    }  # fmt: skip
    why = [lambda: result.diagnosis] if diagnose else []
    finish(result.verdicts, report, about, {framework: environment}, why)


def map_conventions(
    source: Annotated[str, typer.Argument(help="profile")], target: Annotated[str, typer.Argument(help="profile")]
) -> None:
    """Print the exact map of value and gradient from one declared convention to another."""
    for line in describe_map(declare(source, {}), declare(target, {})):
        typer.echo(line)
