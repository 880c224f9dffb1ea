"""The runs on record: JSON lines, one run each, appended whole, so that an interrupted study goes on where it was."""

import fcntl
import json
import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from conformance.exit_codes import UsageError
from conformance.rollout.study.settings import Setting

PACKAGES = ("jax", "jaxlib", "numpy", "optax", "scikit-image", "scipy", "torch", "tensorflow")
DIGITS = 6
"""Significant decimal digits of a recorded number."""


class RecordError(UsageError):
    """A file of records that is not what the study writes."""


def environment() -> dict[str, str]:
    """Return what the numbers of a run may depend on besides its setting."""
    found = {"python": platform.python_version(), "machine": platform.machine(), "system": sys.platform}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return {**found, "threads": "1"}


def rounded(value: Any) -> Any:
    """Return numbers to DIGITS significant digits, in lists too; what is not finite as a string, as JSON has none."""
    if isinstance(value, (list, tuple)):
        return [rounded(entry) for entry in value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    return float(f"{value:.{DIGITS}g}")


def line_of(setting: Setting, metrics: Mapping[str, Any], seconds: float, where: Mapping[str, str]) -> str:
    """Return the record of one run as a line."""
    record = {
        "run": setting.run_id,
        "setting": setting.factors(),
        "metrics": {name: rounded(value) for name, value in metrics.items()},
        "seconds": round(seconds, 1),
        "environment": dict(where),
    }
    return json.dumps(record, sort_keys=True) + "\n"


def append(path: Path, line: str) -> None:
    """Append one line, alone at the file, after cutting off half a line that an interruption may have left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0, os.SEEK_END)
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Return the records by run, none without a file; half a line at the end is passed over, damage elsewhere refused.

    Raises RecordError for a line that is no record, and for one run recorded twice with different numbers.
    """
    found: dict[str, dict[str, Any]] = {}
    if not path.exists():
        return found
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            record = json.loads(line)
            run = Setting(**record["setting"]).run_id
            if not isinstance(record["metrics"], dict):
                raise TypeError(f"metrics: got {record['metrics']!r}, wanted an object")
            if record["run"] != run:
                raise ValueError(f"run: got {record['run']!r}, wanted {run!r}, which its setting says")
        except (ValueError, KeyError, TypeError) as error:
            said = f"no {error}" if isinstance(error, KeyError) else error
            raise RecordError(f"{path}, line {number}: no record of a run ({said}); delete the line") from error
        if run in found and found[run]["metrics"] != record["metrics"]:
            raise RecordError(f"{path}, line {number}: {run} is recorded twice with different numbers; delete one")
        found[run] = record
    return found
