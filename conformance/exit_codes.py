"""What the process returns, one number per meaning; and the errors that carry them."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command line."""

    CONFORMANT = 0
    NOT_CONFORMANT = 1
    USAGE = 2
    FIXTURES = 3
    BACKEND = 4
    NOTHING_CHECKED = 5


class ConformanceError(Exception):
    """An error that ends a run before its verdict; the message says what, where, got, wanted and what to do."""

    exit_code = ExitCode.USAGE


class UsageError(ConformanceError):
    """Arguments or input data that cannot be used."""

    exit_code = ExitCode.USAGE


class FixtureError(ConformanceError):
    """Golden files that are missing, extra, altered or of an unknown schema."""

    exit_code = ExitCode.FIXTURES


class BackendError(ConformanceError):
    """A requested framework, mode or device that is missing or does not start."""

    exit_code = ExitCode.BACKEND
