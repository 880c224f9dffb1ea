"""What a diagnosis says: a cause with its evidence, or clues."""

from dataclasses import dataclass

NOTHING = "no declared convention, known wrong loss or linear relation explains every failing case"
KINDS = ("compiler", "convention", "liar", "factor", "unknown")


@dataclass(frozen=True)
class Finding:
    """One explanation of every failing case, verified.

    Parameters
    ----------
    kind : one of KINDS
        `compiler`: a known fault of the compiler, the loss is right; `convention`: another declared convention;
        `liar`: a known wrong loss; `factor`: a linear relation to the truth.
    name : str
        The name of the fault, `NAME=CHOICE` of the changed settings, the name of the known wrong loss, or the relation.
    sentence : str
        What is wrong, for a person.
    evidence : tuple of str
        What was verified, with numbers.
    """

    kind: str
    name: str
    sentence: str
    evidence: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """Kind and name."""
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Diagnosis:
    """What a failing codepath most resembles, the best explanation first; where there is none, the sharpest clues."""

    backend: str
    dtype: str
    mode: str
    findings: tuple[Finding, ...]
    clues: tuple[str, ...]

    @property
    def said(self) -> tuple[str, ...]:
        """Every explanation by kind and name, or `unknown`."""
        return tuple(finding.said for finding in self.findings) or ("unknown",)

    @property
    def lines(self) -> tuple[str, ...]:
        """The diagnosis as a person reads it."""
        lines = [f"diagnosis ({self.backend} {self.dtype} {self.mode}):"]
        for number, finding in enumerate(self.findings):
            lines.append(f"  {'also: ' if number else ''}{finding.sentence}")
            lines += [f"    {text}" for text in finding.evidence]
        if not self.findings:
            lines.append(f"  unknown: {NOTHING}")
        lines += [f"  {text}" for text in self.clues]
        return tuple(lines)

    def __str__(self) -> str:
        """Return the lines as one text."""
        return "\n".join(self.lines)
