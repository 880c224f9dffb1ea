"""docs/normalization.md: what cancels, row by row, and every number of the worked example."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from conformance.case import Array
from conformance.codepaths.torch_losses import amplitude_l2_mae, amplitude_mae, intensity_scale, poisson_nll
from conformance.rollout.migration import from_l2_match, l2_matched
from conformance.tolerance import ARITHMETICS

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "normalization.md").read_text(encoding="utf-8")
Inputs = tuple[Array, Array, float]
ROUNDED = ARITHMETICS["float64"].grow(32)
"""Relative error of a sum of eight terms, its roots and quotients, in float64."""


def _rows(heading: str) -> dict[str, list[str]]:
    """The table below a line of the page that starts so."""
    lines = PAGE[PAGE.index(f"\n| {heading} |") + 1 :].splitlines()
    table = lines[: lines.index("")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return {row[0]: row[1:] for row in (cells[0], *cells[2:])}


def _losses(prediction: Array, target: Array, s: float) -> dict[str, float]:
    p, t = torch.tensor(prediction), torch.tensor(target)
    scopes = {f"l2_{scope}": amplitude_l2_mae(p, t, scope=scope).item() for scope in ("patch", "sample", "batch")}
    legacy = amplitude_mae(p, t, s).item()
    mean = float(np.mean(target)) + 1e-8
    return {"legacy": legacy, "legacy / mean": legacy / mean, "nll": poisson_nll(p, t, s).item(), **scopes}


def _part(*index: int) -> Array:
    """A factor of 2 on one sample, or on one pattern of one sample."""
    factor = np.ones((3, 2, 1, 1))
    factor[index] = 2
    return factor


PIXEL = np.where(np.arange(30).reshape(6, 5) == 7, 2.0, 1.0)
CHANGES: dict[str, Callable[[Array, Array, float], Inputs]] = {
    "on s": lambda p, t, s: (p, t, 2 * s),
    "on every target": lambda p, t, s: (p, 2 * t, s),
    "on every prediction: object, probe, output gain": lambda p, t, s: (2 * p, t, s),
    "on one sample's prediction": lambda p, t, s: (p * _part(1), t, s),
    "on one sample's prediction and target": lambda p, t, s: (p * _part(1), t * _part(1), s),
    "on one pattern's prediction": lambda p, t, s: (p * _part(1, 0), t, s),
    "on one pattern's prediction and target": lambda p, t, s: (p * _part(1, 0), t * _part(1, 0), s),
    "on one pixel of every pattern: flat field": lambda p, t, s: (p * PIXEL, t * PIXEL, s),
    "a background added to the predictions": lambda p, t, s: (p + 0.25, t, s),
    "intensities given as amplitudes, both": lambda p, t, s: (p**2, t**2, s),
}


def test_the_table_of_what_cancels_has_these_rows() -> None:
    assert list(_rows("a factor"))[1:] == [*list(CHANGES)[:8], "and what is no factor", *list(CHANGES)[8:]]


@pytest.mark.parametrize("change", CHANGES)
def test_what_cancels_and_what_stays(change: str) -> None:
    """Factors of 2 cancel in every bit, or not at all."""
    draw = np.random.default_rng(8)
    p, t, s = draw.uniform(0.5, 2, (3, 2, 6, 5)), draw.uniform(0.5, 2, (3, 2, 6, 5)), 3.0
    before, after = _losses(p, t, s), _losses(*CHANGES[change](p, t, s))
    table = _rows("a factor")
    for name, said in zip(table["a factor"], table[change]):
        assert said in ("cancels", "stays")
        assert (after[name] == before[name]) == (said == "cancels"), name
        assert said == "cancels" or abs(after[name] / before[name] - 1) > 1e-3, name


def _example() -> tuple[Array, Array]:
    (block,) = re.findall(r"```text\n(t = .*?)```", PAGE, flags=re.DOTALL)
    arrays = {}
    for line in block.splitlines():
        name, numbers = line.split(" = ")
        arrays[name] = np.array([ast.literal_eval(part) for part in numbers.split("   ")], float)[:, None]
    return arrays["p"], arrays["t"]


def test_the_norms_and_the_losses_by_hand() -> None:
    p, t = _example()
    energy = np.sum(t**2, axis=(1, 2, 3))
    assert np.array_equal(np.sqrt(energy), [5, 10]) and np.mean(energy) == 62.5
    assert np.array_equal(np.sum(p**2, axis=(1, 2, 3)), [25, 25])
    legacy, matched = (
        amplitude_mae(torch.tensor(q), torch.tensor(t), 4.0, reduction="sample").numpy() for q in (p, l2_matched(p, t))
    )
    assert np.array_equal(legacy, [2, 9]) and np.array_equal(matched, [2, 0])
    assert np.array_equal(from_l2_match(matched, t, 4.0), [0.1, 0])
    both = [amplitude_l2_mae(torch.tensor(p), torch.tensor(t), gain=gain).item() for gain in ("unit_l2", "unit_rms")]
    assert all(abs(found / wanted - 1) <= ROUNDED for found, wanted in zip(both, (0.05, 0.1)))
    for line in ("= 2        4 (4 + 2 + 2 + 1) / 4 = 9          mean 5.5", "mean 0.05", "mean 0.1", "||t|| = 5, 10"):
        assert line in PAGE


def test_the_four_meanings_of_the_scale() -> None:
    _, t = _example()
    data_set, closed = (
        float(intensity_scale(torch.tensor(t), 1000.0, source=source)) for source in ("dataset", "closed_form")
    )
    numbers = [row[0] for row in _rows("meaning").values()][1:]
    assert numbers == [f"{x:.4g}" for x in (data_set, closed, 1.0, 1 / np.mean(np.sum(t, axis=(1, 2, 3))))]
    said = " ".join(PAGE.split())
    assert f"{closed / data_set:.4g} times too large" in said and f"{(closed / data_set) ** 2:.4g} times too" in said
    normalised = torch.tensor(t / np.sqrt(62.5))
    assert abs(float(intensity_scale(normalised, 1000.0)) / closed - 1) <= ROUNDED


def test_every_number_of_the_last_table() -> None:
    p, t = _example()
    s, closed, unit = 4.0, float(np.sqrt(1000.0)), float(np.sqrt(62.5))
    second = np.array([1.0, 2.0])[:, None, None, None]
    changed = {
        "none": (p, t, s),
        "s = 31.62, of the second meaning": (p, t, closed),
        "t and p in the unit sqrt(62.5), s = 31.62": (p / unit, t / unit, closed),
        "second prediction times 2": (p * second, t, s),
        "both predictions times 2": (2 * p, t, s),
        "second prediction and target times 2": (p * second, t * second, s),
    }
    table = _rows("change")
    columns = table.pop("change")
    assert list(table) == list(changed)
    for name, inputs in changed.items():
        found = _losses(*inputs)
        assert table[name] == [f"{found[column]:.4g}" for column in columns], name
