"""docs/evidence/rollout.md and its figures, made of a template and the records alone."""

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from conformance.codepaths.config import choose
from conformance.exit_codes import UsageError
from conformance.rollout.study import tables
from conformance.rollout.study.figures import CELLS, FIGURES, title_of
from conformance.rollout.study.plan import FULL, SIMULATED, settings
from conformance.rollout.study.records import read
from conformance.rollout.study.settings import ARMS, Setting
from conformance.rollout.study.statistics import MARGINS, verdicts
from conformance.rollout.study.tables import Records, by_seed, values

PAGE = "evidence/rollout.md"
TEMPLATE = Path(__file__).with_name("page.md")
FACTORS = tuple(field.name for field in fields(Setting) if field.name != "seed")
_PLACE = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)


class ReportError(UsageError):
    """A page that cannot be made: a placeholder that means nothing, or a run it needs that is not on record."""


def _factors(words: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in words:
        name, given, text = word.partition("=")
        if not given or name not in FACTORS:
            raise ValueError(f"got {word!r}, wanted name=value with a name of {', '.join(FACTORS)}")
        found[name] = text if name in ("data", "arm", "head", "generator", "gain", "backend") else float(text)
    found["channels"] = int(found.get("channels", 4))
    return {"data": "synthetic", "photons": 1e6, **found}


def _runs(records: Records, name: str, words: list[str]) -> dict[int, Any]:
    """Return the runs with some factors by seed; `seeds=3` keeps the first three, those of sweep and variations."""
    few = [int(word.removeprefix("seeds=")) for word in words if word.startswith("seeds=")]
    chosen = _factors([word for word in words if not word.startswith("seeds=")])
    runs = by_seed(records, range(*few), **chosen) if few else by_seed(records, **chosen)
    if not runs or (few and len(runs) < few[0]):
        wanted = few[0] if few else "at least one"
        raise ReportError(
            f"[[{name} {' '.join(words)}]]: {len(runs)} such runs are on record, wanted {wanted}; run the study"
        )
    return runs


def _mean(records: Records, words: list[str]) -> str:
    metric, *factors = words
    choose("metric", metric, tuple(tables.SHOWN))
    numbers = values(_runs(records, f"mean {metric}", factors), metric)
    if not numbers:
        raise ReportError(f"[[mean {' '.join(words)}]]: none of these runs has it, wanted one; run the study")
    return f"{np.mean(numbers):.2g}" if metric.endswith("mae") else f"{np.mean(numbers):.2f}"


def _difference(records: Records, words: list[str]) -> str:
    """Return one difference to the legacy MAE with its verdict and power, as in the tables of the core."""
    metric, *factors = words
    chosen = _factors(factors)
    arm = chosen.pop("arm")
    made = tables.comparisons(records, **chosen)
    found = [one for one in made if (one.arm, one.metric) == (arm, metric) and one.differences]
    if not found:
        raise ReportError(f"[[difference {' '.join(words)}]]: no pair is on record, wanted one; run the study")
    return f"{found[0].mean:+.3f} ({verdicts(made)[arm, metric]}, {found[0].power:.2f})"


def _gates(records: Records, words: list[str]) -> str:
    return tables.accepted(_runs(records, "gates", words))


def _metrics(records: Records, _: list[str]) -> str:
    parts = [f"**{title_of(cell)}**\n\n{tables.cell_metrics(records, **cell)}" for cell in CELLS]
    return "\n\n".join(parts)


def _verdicts(records: Records, _: list[str]) -> str:
    parts = [f"**{title_of(cell)}**\n\n{tables.cell_verdicts(records, **cell)}" for cell in CELLS]
    return "\n\n".join(parts)


def _tally(records: Records, words: list[str]) -> str:
    """Return how often an arm was called what, over the cells, metric by metric."""
    rows = []
    for arm in words:
        choose("arm", arm, ARMS[1:])
    found = [verdicts(tables.comparisons(records, **cell)) for cell in CELLS]
    for arm in words:
        row = [arm]
        for metric in MARGINS:
            said = [verdict.get((arm, metric)) for verdict in found]
            counts = [said.count(word) for word in ("non-inferior", "inconclusive", "inferior")]
            row.append(" / ".join(str(count) for count in counts))
        rows.append(row)
    return tables.markdown(["arm", *(tables.SHOWN[metric] for metric in MARGINS)], rows)


def _count(records: Records, words: list[str]) -> str:
    wanted = settings(tuple(words) if words else FULL)
    return f"{sum(setting.run_id in records for setting in wanted)} of {len(wanted)}"


def _sweep(records: Records, words: list[str]) -> str:
    metric, data = words
    return tables.sweep(records, choose("metric", metric, tuple(tables.SHOWN)), choose("data", data, SIMULATED))


def _variation(records: Records, words: list[str]) -> str:
    change = _factors(words)
    if [word for word in words if word.startswith(("data=", "channels=", "arm="))]:
        raise ValueError("data, channels and arm are not to be changed: the table shows them all, at four channels")
    return tables.variation(records, **{name: change[name] for name in change if name not in ("data", "channels")})


def _combined(records: Records, words: list[str]) -> str:
    data, photons = words
    return tables.combined(records, choose("data", data, SIMULATED), float(photons))


PLACES: dict[str, Callable[[Records, list[str]], str]] = {
    "mean": _mean,
    "gates": _gates,
    "difference": _difference,
    "metrics": _metrics,
    "verdicts": _verdicts,
    "tally": _tally,
    "count": _count,
    "sweep": _sweep,
    "variation": _variation,
    "combined": _combined,
    "elsewhere": lambda records, _: tables.elsewhere(records),
    "measured": lambda records, _: tables.measured(records),
    "gradients": lambda records, _: tables.gradients(records),
}


def page(records: Records, template: str) -> str:
    """Return the page: the template with every [[placeholder]] filled from the records.

    Raises ReportError for a placeholder that is not one of PLACES, or that asks for what is not on record.
    """

    def fill(match: re.Match[str]) -> str:
        name, *words = match.group(1).split() or [""]
        if name not in PLACES:
            raise ReportError(f"{match.group()}: got {name!r}, wanted one of {', '.join(PLACES)}")
        try:
            return PLACES[name](records, words)
        except (ValueError, TypeError, KeyError) as error:
            raise ReportError(f"{match.group()}: {error}") from error

    return _PLACE.sub(fill, template)


def write(runs: Path, docs: Path) -> list[Path]:
    """Write page and figures under `docs`, and return their paths; the same records give the same bytes."""
    records = read(runs)
    if not records:
        raise ReportError(f"{runs}: no run is on record, wanted those of `nox -s study -- run`")
    text = page(records, TEMPLATE.read_text(encoding="utf-8"))
    written = []
    for name, draw in FIGURES.items():
        written.append(docs / "figures" / f"{name}.svg")
        draw(records, written[-1])
    (docs / PAGE).parent.mkdir(parents=True, exist_ok=True)
    (docs / PAGE).write_text(text, encoding="utf-8")
    return [*written, docs / PAGE]


def differences(runs: Path, docs: Path) -> list[Path]:
    """Return the files under `docs` that are not, byte for byte, what the records give; nothing is written there."""
    with TemporaryDirectory() as folder:
        made = [path.relative_to(folder) for path in write(runs, Path(folder))]
        return [
            docs / name
            for name in made
            if not (docs / name).is_file() or (docs / name).read_bytes() != (Path(folder) / name).read_bytes()
        ]
