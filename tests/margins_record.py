"""What runs of `nox -s margins` came to: a line per framework, mode and dtype; kept, added up, shown as a table.

Where the golden set has only grown, what was asked of an earlier suite still counts, beside what was asked of the cases
added since.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
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
    since: str = ""
    """The earlier suite whose cases were left out; empty where every case was asked."""
    miscompiled: tuple[str, ...] = ()
    """What was rejected because of a known fault of the compiler: with that mended it passes, and so it is counted."""

    @property
    def good(self) -> bool:
        """Nothing is rejected, something was judged, and no margin is above the largest one.

        Of the cases added since, a dtype may hold none.
        """
        return (
            (self.judged > 0 or bool(self.since and self.skipped))
            and not self.rejected
            and max(self.value[0], self.gradient[0]) <= LARGEST_MARGIN
        )

    @property
    def what(self) -> tuple[str, str, str]:
        """Return framework, mode and dtype."""
        return self.framework, self.mode, self.dtype

    @property
    def part(self) -> tuple[str, str]:
        """Return which cases were asked."""
        return self.suite, self.since

    def joined(self, other: "Line", ways: Iterable[int]) -> "Line":
        """Return both lines as one."""
        return replace(
            self,
            ways=tuple(sorted(ways)),
            judged=self.judged + other.judged,
            skipped=self.skipped + other.skipped,
            value=max(self.value, other.value),
            gradient=max(self.gradient, other.gradient),
            tied=max(self.tied, other.tied),
            rejected=self.rejected + other.rejected,
            miscompiled=self.miscompiled + other.miscompiled,
            seconds=self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class Growth:
    """The suite of today, an earlier one whose cases are all in it unchanged, if there is one, and what was added."""

    suite: str
    before: str
    added: tuple[str, ...]


def growth(manifest: Path, digest: str, asked: Collection[str] = ()) -> Growth:
    """Return how the golden set has come to be what it is, from its history.

    The earlier suite is the first of those that have been `asked` since which nothing but cases was added, or else the
    last one before.
    """
    found, added = Growth(digest[:12], "", ()), tuple[str, ...]()
    for entry in reversed(json.loads(manifest.read_text(encoding="utf-8"))["history"]):
        if entry["changed"] or entry["removed"]:
            break
        previous, added = entry["previous"][:12], (*entry["added"], *added)
        if not found.before or previous in asked:
            found = Growth(digest[:12], previous, added)
    return found


def keep(path: Path, line: Line) -> None:
    """Add one line to a record."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(line)) + "\n")


def write(path: Path, lines: Iterable[Line]) -> None:
    """Write a record anew; interrupted, it is the old one."""
    whole = path.with_name(f"{path.name}.new")
    whole.write_text("".join(json.dumps(asdict(line)) + "\n" for line in lines), encoding="utf-8")
    whole.replace(path)


def read(path: Path) -> list[Line]:
    """Return the lines of a record; none where there is no file.

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
            tuples["miscompiled"] = tuple(fields.get("miscompiled", ()))
            lines.append(Line(**{**fields, **tuples}))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"line {number} is no line of a record ({error}); take it out") from error
    return lines


def whole_suites(lines: Iterable[Line]) -> set[str]:
    """Return the suites of which lines asked every case."""
    return {line.suite for line in lines if not line.since}


def counted(lines: Iterable[Line], grown: Growth) -> list[Line]:
    """Return the lines that are of this suite, or of the earlier one."""
    wanted = {(grown.suite, ""), (grown.suite, grown.before), (grown.before, "")}
    return [line for line in lines if line.part in wanted]


def recorded(path: Path | None, manifest: Path, digest: str) -> tuple[Growth, list[Line]]:
    """Return how the golden set has grown since it was asked, and the lines of a record that count.

    Raises
    ------
    ValueError
        As `read` does.
    """
    lines = read(path) if path else []
    grown = growth(manifest, digest, whole_suites(lines))
    return grown, counted(lines, grown)


def folded(lines: Sequence[Line], grown: Growth) -> list[Line]:
    """Return lines of every case of this suite, as they are to be kept before the set grows once more: one each."""
    return [line for line in added_up(lines, grown) if line.suite == grown.suite]


def by_part(lines: Iterable[Line]) -> list[Line]:
    """Return one line per framework, mode, dtype and cases, from runs that asked for different ways of writing.

    Raises
    ------
    ValueError
        Two runs asked for the same way.
    """
    found: dict[tuple[object, ...], Line] = {}
    for line in lines:
        key = (*line.what, *line.part)
        if key not in found:
            found[key] = line
            continue
        if twice := set(found[key].ways) & set(line.ways):
            raise ValueError(f"{' '.join(line.what)}: ways {sorted(twice)} are on record twice; take one line out")
        found[key] = found[key].joined(line, {*found[key].ways, *line.ways})
    return [found[key] for key in sorted(found, key=str)]


def added_up(lines: Iterable[Line], grown: Growth) -> list[Line]:
    """Return one line per framework, mode and dtype: of every case, where it was asked; else of the cases before."""
    parts: dict[tuple[str, str, str], dict[tuple[str, str], Line]] = {}
    for line in by_part(lines):
        parts.setdefault(line.what, {})[line.part] = line
    found = []
    for what in sorted(parts):
        whole, rest, old = (
            parts[what].get(part) for part in ((grown.suite, ""), (grown.suite, grown.before), (grown.before, ""))
        )
        if rest and old:
            both = replace(old.joined(rest, set(old.ways) & set(rest.ways)), suite=grown.suite)
            whole = whole.joined(both, {*whole.ways, *both.ways}) if whole else both
        found += [one for one in (whole or old,) if one]
    return found


def asked_of_this_suite(lines: Sequence[Line], grown: Growth) -> list[Line]:
    """Return what need not be asked any more: of every case, however it came together, and of the cases added since."""
    whole = [line for line in added_up(lines, grown) if line.suite == grown.suite]
    return [*whole, *(line for line in lines if line.since)]


def table(lines: Sequence[Line], grown: Growth) -> str:
    """Return the lines as a table in Markdown."""
    header = (
        "| framework | mode | dtype | cases | ways | judged | skipped | worst value margin | worst gradient margin | "
        "at ties |"
    )
    rows = [header, "|---|---|---|---|---|---|---|---|---|---|"]
    for line in lines:
        found = line.value, line.gradient, line.tied
        worst = [f"{margin:.3f} `{name}` {case}" if case else "-" for margin, name, case in found]
        rejected = f" **{len(line.rejected)} rejected**" if line.rejected else ""
        if line.miscompiled:
            rejected += f" {len(line.miscompiled)} miscompiled"
        asked = "all" if line.suite == grown.suite else f"but {len(grown.added)}"
        counts = [asked, *(str(count) for count in (len(line.ways), line.judged, line.skipped))]
        rows.append(f"| {' | '.join([*line.what, *counts, *worst])}{rejected} |")
    return "\n".join(rows) + "\n"
