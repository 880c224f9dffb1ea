"""What runs of `nox -s margins` came to: a line per framework, mode and dtype; kept, added up, shown as a table."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

LARGEST_MARGIN = 0.5
"""A bound that right code fills by more than half would reject, or nearly, the next right code that is written."""

Worst = tuple[float, str, str]
"""(margin, strategy, case)."""


@dataclass(frozen=True)
class Line:
    """What a framework's verdicts in one mode and dtype come to; `ways` are the turns in which each case was asked."""

    suite: str
    framework: str
    mode: str
    dtype: str
    ways: tuple[int, ...]
    judged: int
    skipped: int
    value: Worst
    gradient: Worst
    tied: Worst
    rejected: tuple[str, ...]
    seconds: float

    @property
    def good(self) -> bool:
        """Nothing is rejected, something was judged, and no margin is above the largest one."""
        return self.judged > 0 and not self.rejected and max(self.value[0], self.gradient[0]) <= LARGEST_MARGIN

    @property
    def what(self) -> tuple[str, str, str]:
        """Return framework, mode and dtype."""
        return self.framework, self.mode, self.dtype


def keep(path: Path, line: Line) -> None:
    """Add one line to a record."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(line)) + "\n")


def kept(path: Path, suite: str) -> list[Line]:
    """Return the lines of a record that are of this suite.

    Raises
    ------
    ValueError
        A line is cut short, or no line of a record.
    """
    lines = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines() if path.is_file() else [], 1):
        try:
            fields = json.loads(text)
            tuples = {name: tuple(fields[name]) for name in ("value", "gradient", "tied", "ways", "rejected")}
            lines.append(Line(**{**fields, **tuples}))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"line {number} is no line of a record ({error}); take it out") from error
    return [line for line in lines if line.suite == suite]


def added_up(lines: Iterable[Line]) -> list[Line]:
    """Return one line per framework, mode and dtype, from runs that asked for different ways of writing.

    Raises
    ------
    ValueError
        Two runs asked for the same way.
    """
    found: dict[tuple[str, str, str], Line] = {}
    for line in lines:
        other = found.setdefault(line.what, line)
        if other is line:
            continue
        if twice := set(other.ways) & set(line.ways):
            raise ValueError(f"{' '.join(line.what)}: ways {sorted(twice)} are on record twice; take one line out")
        found[line.what] = Line(
            line.suite,
            *line.what,
            tuple(sorted({*other.ways, *line.ways})),
            other.judged + line.judged,
            other.skipped + line.skipped,
            max(other.value, line.value),
            max(other.gradient, line.gradient),
            max(other.tied, line.tied),
            other.rejected + line.rejected,
            other.seconds + line.seconds,
        )
    return [found[what] for what in sorted(found)]


def table(lines: Sequence[Line]) -> str:
    """Return the lines as a table in Markdown."""
    header = (
        "| framework | mode | dtype | ways | judged | skipped | worst value margin | worst gradient margin | at ties |"
    )
    rows = [header, "|---|---|---|---|---|---|---|---|---|"]
    for line in lines:
        found = line.value, line.gradient, line.tied
        worst = [f"{margin:.3f} `{name}` {case}" if case else "-" for margin, name, case in found]
        rejected = f" **{len(line.rejected)} rejected**" if line.rejected else ""
        counts = [str(count) for count in (len(line.ways), line.judged, line.skipped)]
        rows.append(f"| {' | '.join([*line.what, *counts, *worst])}{rejected} |")
    return "\n".join(rows) + "\n"
