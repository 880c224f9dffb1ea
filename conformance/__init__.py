"""The judge: is a loss of a ptychography network what the contract says, in value and in every gradient element?"""

from conformance.check import Conformance, check_loss
from conformance.exit_codes import BackendError, ConformanceError, ExitCode, FixtureError, UsageError
from conformance.verdict import Verdict

__all__ = [
    "BackendError",
    "Conformance",
    "ConformanceError",
    "ExitCode",
    "FixtureError",
    "UsageError",
    "Verdict",
    "check_loss",
]
