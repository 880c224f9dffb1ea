"""One small step of a checkout's own training, without, with and again without the new loss: what must hold."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from conformance.check import Conformance, check_loss
from conformance.exit_codes import ExitCode
from conformance.profile import declare

Step = Callable[[], dict[str, bytes]]
"""Computes loss and gradient of one batch, without changing the model: names and bits."""


@dataclass(frozen=True)
class Finding:
    """One thing that must hold, and whether it does."""

    name: str
    holds: bool
    said: str = ""


def same(name: str, actual: dict[str, bytes], expected: dict[str, bytes]) -> Finding:
    """Return whether two steps gave the same bits, and what differs."""
    different = sorted(key for key in expected.keys() | actual.keys() if expected.get(key) != actual.get(key))
    return Finding(name, not different, f"different: {', '.join(different[:5])}" if different else "")


def judged(codepath: Callable[..., Any], framework: str, scope: str, gain: str) -> Finding:
    """Return what the judge says of the amplitude loss that is really used."""
    torch = framework == "torch"
    profile = declare("contract" if torch else "keras", {"scope": scope, "gain": gain})
    dtypes = ("float32", "float64") if torch else ("float32",)
    found: Conformance = check_loss(
        codepath, loss="amplitude_l2_mae", framework=framework, dtype=dtypes, profile=profile
    )
    return Finding(f"{framework}: the amplitude loss that is used, judged", found.conformant, found.summary)


def exit_code(findings: list[Finding]) -> ExitCode:
    """Return 0 only if something was found out and all of it holds."""
    if not findings:
        return ExitCode.NOTHING_CHECKED
    return ExitCode.CONFORMANT if all(finding.holds for finding in findings) else ExitCode.NOT_CONFORMANT
