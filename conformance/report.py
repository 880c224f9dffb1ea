"""The machine-readable report: JSON lines, a header, one line per verdict, a footer. Without its footer it is void."""

import json
import math
import os
import platform
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from conformance.exit_codes import ExitCode, UsageError
from conformance.table import summarise
from conformance.verdict import Verdict

SCHEMA = 1
BEGINNING = b'{"kind": "header"'
"""How every report begins: a file that does not is somebody's, and is not replaced."""
DISTRIBUTION = "ptycho-loss-oracle"


def tool_version() -> str:
    """Return the installed version, or `checkout` where the package is not installed."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "checkout"


def header(subject: Mapping[str, Any], environments: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return the first line: what was judged, with what, on which machine."""
    return {
        "kind": "header",
        "schema": SCHEMA,
        "tool": DISTRIBUTION,
        "version": tool_version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        **subject,
        "backends": {name: dict(environment) for name, environment in environments.items()},
    }


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: null and strings stand for them."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


def require_report_path(path: Path) -> None:
    """Refuse, before anything is judged, a path that a report cannot be written to.

    Raises
    ------
    UsageError
        The folder is missing, or something stands there other than a plain file: one that is empty, or a report.
    """
    if not path.parent.is_dir():
        raise UsageError(f"report {path}: cannot write there, the folder {path.parent} is missing")
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UsageError(f"report {path}: cannot write there, it is not a plain file")
    if path.exists() and path.stat().st_size:
        with path.open("rb") as stream:
            beginning = stream.read(len(BEGINNING))
        if beginning != BEGINNING:
            raise UsageError(f"report {path}: is there already, and is no report; move it or name another file")


def write_report(path: Path, head: Mapping[str, Any], verdicts: Sequence[Verdict], code: ExitCode) -> None:
    """Write the whole report beside `path` and move it there, so that an interruption leaves the old one whole.

    Raises
    ------
    UsageError
        The folder is missing or not writable.
    """
    rows = [dict(head)]
    rows += [{"kind": "verdict", **asdict(verdict)} for verdict in verdicts]
    rows.append(
        {
            "kind": "footer",
            "verdicts": len(verdicts),
            "counts": dict(sorted(Counter(verdict.status for verdict in verdicts).items())),
            "not_repeatable": sum(verdict.repeatable is False for verdict in verdicts),
            "worst": [_plain(asdict(group)) for group in summarise(verdicts)],
            "exit_code": int(code),
        }
    )
    text = "".join(json.dumps(_plain(row), allow_nan=False) + "\n" for row in rows)
    require_report_path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    except OSError as error:
        raise UsageError(f"report {path}: cannot write there ({error})") from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise


def read_report(path: str | Path) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """Return header, verdict lines and footer of a whole report.

    Raises
    ------
    UsageError
        No JSON lines, no header, no footer, or a footer that counts other verdicts than there are.
    """
    try:
        rows = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
        kinds = [row["kind"] for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"report {path}: not a report ({error})") from error
    if len(rows) < 2 or kinds[0] != "header" or kinds[-1] != "footer":
        raise UsageError(f"report {path}: header or footer is missing, so it is void; run again")
    verdicts = rows[1:-1]
    counts = dict(sorted(Counter(str(row.get("status")) for row in verdicts).items()))
    if set(kinds[1:-1]) - {"verdict"} or rows[-1].get("counts") != counts:
        raise UsageError(f"report {path}: its footer does not count its {len(verdicts)} verdicts; run again")
    return rows[0], verdicts, rows[-1]
