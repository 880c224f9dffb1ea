"""The command `migrate`: settings of a run with the legacy MAE, and their equivalents under the normalised one."""

from math import sqrt
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import typer
from rich.table import Table

from conformance.check import require
from conformance.cli.options import console
from conformance.exit_codes import UsageError
from conformance.frames import DEFAULT_NPHOTONS, read_frames
from conformance.measured import intensity_scale
from conformance.rollout.migration import (
    NORMALIZATIONS,
    OPTIMIZERS,
    SHARED,
    Ratios,
    Settings,
    equivalent_settings,
    equivalent_weight,
    patterns_in_scope,
    ratios_of_data,
    ratios_of_photons,
)

DEFAULT_BATCH_SIZE = 16
DIVISORS = ("none", "batch_mean_amplitude")
MEAN_FLOOR = 1e-8
"""What the codepath that divides its MAE by the mean amplitude of the batch adds to that mean."""
DEFAULT_EPSILON = 1e-8


def _positive(**numbers: float | None) -> None:
    for name, number in numbers.items():
        if number is not None and not 0 < number < float("inf"):
            raise UsageError(f"--{name.replace('_', '-')}: got {number}, wanted a finite number above 0")


def _shape(n: int | None, height: int | None, width: int | None) -> tuple[int, int]:
    if n is not None and (height is not None or width is not None):
        raise UsageError("--n, --height, --width: wanted --n for square patterns, or the two others")
    if n is None and (height is None or width is None):
        raise UsageError("--n: got none, wanted the side of the patterns in pixels, or --height and --width, or --data")
    return (n or height or 0, n or width or 0)


def _of_data(
    data: Path,
    frames: int | None,
    channels: int,
    nphotons: float | None,
    scale: float | None,
    divisor: str,
    scope: dict[str, Any],
) -> tuple[Ratios, tuple[int, int], str]:
    found = read_frames(data, frames, together=channels)
    count, height, width = found.amplitudes.shape
    samples = count // channels
    target = found.amplitudes.reshape(samples, channels, height, width)
    s = intensity_scale(found, nphotons).value if scale is None else scale
    try:
        ratios = ratios_of_data(target, s, **scope)
    except ValueError as error:
        raise UsageError(f"{data}: {error}") from error
    if divisor == "batch_mean_amplitude":
        ratios = ratios.times(float(np.mean(target)) + MEAN_FLOOR)
    return ratios, (height, width), f"{data.name}: {found.source}, {samples} samples, scale {s:.6g}"


def _show(legacy: Settings, gains: dict[str, Ratios], about: str) -> None:
    each = list(gains.values())
    kept = [equivalent_settings(legacy, ratios) for ratios in each]
    table = Table(title="legacy MAE and its equivalents under the normalised one")
    table.add_column("", no_wrap=True)
    for name in ("legacy", *gains):
        table.add_column(name, justify="right", no_wrap=True)

    def row(what: str, *numbers: float | None) -> None:
        if numbers[0] is not None:
            table.add_row(what, *("-" if number is None else f"{number:.4g}" for number in numbers))

    row("value of the loss, legacy = 1", 1.0, *(ratios.loss for ratios in each))
    row("norm of its gradient where ||p|| = ||t||, at most", 1.0, *(ratios.gradient for ratios in each))
    if each[0].least != each[0].largest:
        row("  least factor of what shares a norm", 1.0, *(ratios.least for ratios in each))
        row("  largest factor of what shares a norm", 1.0, *(ratios.largest for ratios in each))
    table.add_section()
    row("either: weight", legacy.mae_weight, *(equivalent_weight(legacy.mae_weight, ratios) for ratios in each))
    table.add_row("  and every other setting", "as it is", *("as it is" for _ in gains))
    table.add_section()
    row("or: weight as it is", legacy.mae_weight, *(one.mae_weight for one in kept))
    row(f"  learning rate, {legacy.optimizer}", legacy.learning_rate, *(one.learning_rate for one in kept))
    row("  Adam's epsilon", legacy.adam_epsilon, *(one.adam_epsilon for one in kept))
    row("  clip norm", legacy.clip_norm, *(one.clip_norm for one in kept))
    row("  absolute min_delta", legacy.min_delta, *(one.min_delta for one in kept))
    out = console()
    out.print(table)
    out.print(about, markup=False, highlight=False, soft_wrap=True)


def migrate(
    mae_weight: Annotated[float, typer.Option(help="weight of the legacy MAE in the training loss")] = 1.0,
    normalization: Annotated[
        str, typer.Option(help="what is to share a norm: l2_batch, l2_view, l2_sample or l2_patch")
    ] = "l2_batch",
    batch_size: Annotated[
        Optional[int], typer.Option(help="samples that share a norm with l2_batch or l2_view, for unit_l2 (16)")
    ] = None,
    n: Annotated[Optional[int], typer.Option(help="side N of square patterns, in pixels")] = None,
    channels: Annotated[int, typer.Option(help="patterns of one sample: gridsize squared")] = 1,
    height: Annotated[Optional[int], typer.Option(help="of patterns that are not square")] = None,
    width: Annotated[Optional[int], typer.Option(help="of patterns that are not square")] = None,
    data: Annotated[Optional[Path], typer.Option(help="the run's diffraction frames, instead of --n")] = None,
    frames: Annotated[Optional[int], typer.Option(help="how many frames of --data (all, at most 64)")] = None,
    nphotons: Annotated[
        Optional[float], typer.Option(help="photons of a mean pattern (the file's own, else 1e9)")
    ] = None,
    scale: Annotated[
        Optional[float],
        typer.Option("--intensity-scale", help="the run's own scale, instead of --nphotons; with --data"),
    ] = None,
    divisor: Annotated[
        str, typer.Option(help="what the legacy MAE is divided by: none or batch_mean_amplitude; with --data")
    ] = "none",
    optimizer: Annotated[str, typer.Option(help="adam or sgd")] = "adam",
    learning_rate: Annotated[float, typer.Option(help="the run's")] = 1e-3,
    adam_epsilon: Annotated[Optional[float], typer.Option(help="Torch has 1e-8, Keras 1e-7 (1e-8)")] = None,
    clip_norm: Annotated[Optional[float], typer.Option(help="largest gradient norm, where the run clips")] = None,
    min_delta: Annotated[float, typer.Option(help="of ReduceLROnPlateau or early stopping, where absolute")] = 1e-4,
) -> None:
    """Print what weight, or else which other settings, make a run with the normalised MAE step like a legacy one."""
    _positive(mae_weight=mae_weight, n=n, channels=channels, height=height, width=width, nphotons=nphotons)
    _positive(batch_size=batch_size)
    require("normalization", (normalization,), NORMALIZATIONS)
    _positive(intensity_scale=scale, learning_rate=learning_rate, adam_epsilon=adam_epsilon)
    _positive(clip_norm=clip_norm, min_delta=min_delta)
    require("optimizer", (optimizer,), OPTIMIZERS)
    require("divisor", (divisor,), DIVISORS)
    if optimizer == "sgd" and adam_epsilon is not None:
        raise UsageError("--adam-epsilon: got one with --optimizer sgd, which has none; leave it out")
    if scale is not None and nphotons is not None:
        raise UsageError("--intensity-scale, --nphotons: each says what the other does; give one")
    if batch_size is not None and normalization not in SHARED:
        raise UsageError(
            f"--batch-size: got {batch_size}, but with {normalization} samples share no norm; leave it out"
        )
    batch_size = batch_size or DEFAULT_BATCH_SIZE
    scope: dict[str, Any] = {"normalization": normalization, "batch_size": batch_size}
    if data is None:
        if frames is not None or scale is not None or divisor != "none":
            raise UsageError("--frames, --intensity-scale, --divisor: say something about --data only; give a file")
        rows, columns = _shape(n, height, width)
        photons = nphotons or DEFAULT_NPHOTONS
        ratios, about = ratios_of_photons(photons, channels, **scope), f"every pattern of {photons:g} photons"
    else:
        ratios, (rows, columns), about = _of_data(data, frames, channels, nphotons, scale, divisor, scope)
        for name, asked, held in (
            ("n", n, rows),
            ("n", n, columns),
            ("height", height, rows),
            ("width", width, columns),
        ):
            if asked not in (None, held):
                raise UsageError(
                    f"--{name}: got {asked}, but the frames of {data} are {rows} x {columns}; leave it out"
                )
    patterns = patterns_in_scope(channels, normalization, batch_size)
    elements = patterns * rows * columns
    epsilon = None if optimizer == "sgd" else adam_epsilon or DEFAULT_EPSILON
    legacy = Settings(mae_weight, learning_rate, optimizer, epsilon, clip_norm, min_delta)
    scope_name = normalization.removeprefix("l2_")
    if normalization in SHARED:
        shape, whose = f"{batch_size} x {channels} x {rows} x {columns}", f"{batch_size} samples of one {scope_name}"
    else:
        shape, whose = f"{patterns} x {rows} x {columns}", f"one {scope_name}"
    about += f"; one norm over {shape} = {elements} elements, {whose}"
    if divisor != "none":
        about += "; the legacy MAE is divided by the mean amplitude"
    _show(legacy, {"unit_l2": ratios, "unit_rms": ratios.times(sqrt(elements))}, about)
