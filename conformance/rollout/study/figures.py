"""The figures of the page, which the same records give byte for byte."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from conformance.rollout.study.plan import WRONG_SCALES
from conformance.rollout.study.settings import ARMS
from conformance.rollout.study.statistics import MARGINS
from conformance.rollout.study.tables import Records, by_seed, comparisons, values
from conformance.rollout.study.thumbnails import unpacked

COLOURS = dict(zip(ARMS, ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")))
SCALES = sorted({1.0, *WRONG_SCALES})
CELLS: list[dict[str, Any]] = [
    {"data": data, "channels": channels, "photons": photons}
    for data in ("synthetic", "real-like")
    for channels in (4, 1)
    for photons in (1e6, 1e3)
]


def title_of(cell: Mapping[str, Any]) -> str:
    """Return a cell's factors in words."""
    return f"{cell['data']}, C = {cell['channels']}, {cell['photons']:.0e} photons".replace("+0", "")


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None, "Creator": None, "Title": path.stem})


def draw_sweep(records: Records, path: Path) -> None:
    """Draw correlation of the canvas, dispersion and amplitude ratio against the wrong scale."""
    with mpl.rc_context({"svg.hashsalt": path.stem, "svg.fonttype": "none", "font.size": 8}):
        figure = Figure(figsize=(10.0, 5.5), layout="constrained")
        axes = figure.subplots(2, 3, sharex=True)
        for row, data in zip(axes, ("synthetic", "real-like")):
            for axis, metric in zip(row, ("canvas_correlation", "dispersion", "amplitude_ratio")):
                for arm in ARMS:
                    runs = [
                        by_seed(records, range(3), data=data, channels=4, photons=1e6, arm=arm, k=k) for k in SCALES
                    ]
                    reached = [(k, values(found, metric)) for k, found in zip(SCALES, runs)]
                    points = [(k, np.mean(numbers)) for k, numbers in reached if numbers]
                    axis.plot(*np.array(points).reshape(-1, 2).T, "o-", ms=3, lw=1, color=COLOURS[arm], label=arm)
                axis.set(xscale="log", title=f"{data}: {metric.replace('_', ' ')}")
                axis.grid(linewidth=0.3)
            row[2].set(yscale="log")
        for axis in axes[1]:
            axis.set_xlabel("k, the factor by which the assumed scale is wrong")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(ARMS))
        _save(figure, path)


def draw_differences(records: Records, path: Path) -> None:
    """Draw every difference to the legacy loss at the right scale, seed by seed, in units of its margin."""
    with mpl.rc_context({"svg.hashsalt": path.stem, "svg.fonttype": "none", "font.size": 7}):
        figure = Figure(figsize=(11.0, 9.0), layout="constrained")
        for axis, cell in zip(figure.subplots(4, 2, sharex=True).ravel(), CELLS):
            metrics = [metric for metric in MARGINS if metric != "amplitude_ratio"]
            for one in comparisons(records, **cell):
                if one.metric not in metrics:
                    continue
                height = metrics.index(one.metric) + 0.14 * (ARMS.index(one.arm) - 3)
                units = np.clip(np.array(one.differences) / MARGINS[one.metric], -6, 6)
                axis.plot(units, np.full(len(units), height), ".", ms=3, color=COLOURS[one.arm])
                axis.plot(
                    [units.mean()] if len(units) else [],
                    [height] if len(units) else [],
                    "|",
                    ms=8,
                    color=COLOURS[one.arm],
                )
            axis.axvline(0, color="grey", linewidth=0.5)
            axis.axvline(1, color="black", linewidth=1)
            axis.set(yticks=range(len(metrics)), yticklabels=metrics, title=title_of(cell), xlim=(-6.3, 6.3))
        handles = [mpl.lines.Line2D([], [], marker=".", ls="", color=COLOURS[arm], label=arm) for arm in ARMS[1:]]
        figure.legend(
            handles=handles, loc="outside upper center", ncols=5, title="difference to mae / margin; right is worse"
        )
        _save(figure, path)


def draw_reconstructions(records: Records, path: Path) -> None:
    """Draw the modulus that each arm ends with, one gauge each, at three scales, seed 0."""
    with mpl.rc_context({"svg.hashsalt": path.stem, "svg.fonttype": "none", "font.size": 7}):
        figure = Figure(figsize=(9.0, 8.0), layout="constrained")
        axes = figure.subplots(6, 1 + len(ARMS))
        rows = [(data, k) for data in ("synthetic", "real-like") for k in (0.1, 1.0, 10.0)]
        for row, (data, k) in zip(axes, rows):
            for axis in row:
                axis.set(xticks=[], yticks=[])
            row[0].set_ylabel(f"{data}, k = {k:g}")
            for axis, arm in zip(row[1:], ARMS):
                runs = by_seed(records, [0], data=data, channels=4, photons=1e6, arm=arm, k=k)
                if "image" in runs.get(0, {}):
                    axis.imshow(unpacked(runs[0]["image"]), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
                    row[0].imshow(
                        unpacked(runs[0]["image_truth"]), cmap="gray", vmin=0, vmax=255, interpolation="nearest"
                    )
        for axis, name in zip(axes[0], ("truth", *ARMS)):
            axis.set_title(name)
        _save(figure, path)


def draw_frc(records: Records, path: Path) -> None:
    """Draw the mean Fourier ring correlation of each arm in each cell."""
    with mpl.rc_context({"svg.hashsalt": path.stem, "svg.fonttype": "none", "font.size": 7}):
        figure = Figure(figsize=(11.0, 4.6), layout="constrained")
        for axis, cell in zip(figure.subplots(2, 4, sharex=True, sharey=True).ravel(), CELLS):
            for arm in ARMS:
                runs = by_seed(records, arm=arm, **cell)
                curves = [run["frc"] for run in runs.values() if "frc" in run]
                if curves:
                    axis.plot(
                        (np.arange(len(curves[0])) + 0.5) / len(curves[0]),
                        np.mean(curves, 0),
                        lw=1,
                        color=COLOURS[arm],
                        label=arm,
                    )
            axis.axhline(0.5, color="grey", linewidth=0.5)
            axis.set(title=title_of(cell))
        figure.axes[0].legend(fontsize=6)
        figure.supxlabel("frequency / Nyquist's")
        _save(figure, path)


FIGURES = {
    "rollout-sweep": draw_sweep,
    "rollout-differences": draw_differences,
    "rollout-reconstructions": draw_reconstructions,
    "rollout-frc": draw_frc,
}
