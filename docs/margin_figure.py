"""docs/figures/margins.svg: error over tolerance of value and gradient, case by case, for each backend and dtype."""

from collections.abc import Sequence
from math import inf
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from conformance.case import LOSSES
from conformance.golden import GoldenSet
from conformance.verdict import Verdict

COLOURS = {"jax": "#0072b2", "torch": "#d55e00", "tensorflow": "#009e73"}  # told apart without red and green too
OFFSETS = {"jax": -0.25, "torch": 0.0, "tensorflow": 0.25}
FILLED = {"float64": True, "float32": False}
LEAST, LIMIT = 1e-4, 1.0
"""Smaller margins, and exact hits, are drawn at the left edge."""
INCHES_PER_CASE, INCHES_AROUND, INCHES_WIDE = 0.13, 1.6, 11.0


def write_margins(path: Path, golden: GoldenSet, verdicts: Sequence[Verdict]) -> None:
    """Draw what a run found; the same verdicts give the same bytes."""
    names = [case.question.case_id for loss in LOSSES for case in golden.cases if case.question.loss == loss]
    height = INCHES_AROUND + INCHES_PER_CASE * len(names)
    with mpl.rc_context({"svg.hashsalt": "margins", "svg.fonttype": "none", "font.size": 8}):
        figure = Figure(figsize=(INCHES_WIDE, height), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        for axis, quantity in zip(axes, ("value", "gradient")):
            for (backend, dtype), points in _points(verdicts, names, quantity).items():
                face = COLOURS[backend] if FILLED[dtype] else "none"
                axis.scatter(*points, s=9, linewidths=0.7, facecolors=face, edgecolors=COLOURS[backend])
            axis.axvline(LIMIT, color="black", linewidth=1)
            axis.set(xscale="log", xlim=(LEAST / 1.3, LIMIT * 2), xlabel=f"{quantity}: error / tolerance")
            axis.grid(axis="both", linewidth=0.3)
        axes[0].set(ylim=(len(names) - 0.5, -0.5), yticks=range(len(names)), yticklabels=names)
        axes[0].tick_params(axis="y", labelsize=6)
        figure.legend(
            handles=_legend(),
            loc="outside upper center",
            ncols=len(COLOURS) * len(FILLED),
            title=f"Eager, suite {golden.digest[:12]}. Left edge: exact, or below {LEAST:g}. Right of the line: fails.",
        )
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, metadata={"Date": None, "Creator": None, "Title": f"suite {golden.digest[:12]}"})


def _points(
    verdicts: Sequence[Verdict], names: Sequence[str], quantity: str
) -> dict[tuple[str, str], tuple[list[float], list[float]]]:
    rows = {name: row for row, name in enumerate(names)}
    found: dict[tuple[str, str], tuple[list[float], list[float]]] = {}
    for verdict in verdicts:
        margin = verdict.value_margin if quantity == "value" else verdict.gradient_margin
        xs, ys = found.setdefault((verdict.backend, verdict.dtype), ([], []))
        xs.append(min(max(margin, LEAST), LIMIT * 1.9) if margin < inf else LIMIT * 1.9)
        ys.append(rows[verdict.case_id] + OFFSETS[verdict.backend])
    return found


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], linestyle="", marker="o", color=colour, label=f"{backend} {dtype}",
               markerfacecolor=colour if filled else "none", markersize=4)
        for backend, colour in COLOURS.items()
        for dtype, filled in FILLED.items()
    ]  # fmt: skip
