"""Where a report and the output may be written, and what is said where they cannot be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conformance import UsageError
from conformance.exit_codes import ExitCode
from conformance.report import header, require_report_path, write_report

ROOT = Path(__file__).resolve().parent.parent


def test_a_report_goes_to_a_plain_file_or_nowhere(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path, link, pipe, tmp_path / "missing" / "report.jsonl"):
        with pytest.raises(UsageError, match="cannot write there"):
            require_report_path(path)
    require_report_path(tmp_path / "new.jsonl")


def test_a_report_replaces_a_report_and_no_other_file(tmp_path: Path) -> None:
    mine, empty, old = (tmp_path / name for name in ("my_losses.py", "empty.jsonl", "old.jsonl"))
    mine.write_text("def mae(p, t): return (p - t).abs().mean()\n")
    empty.touch()
    write_report(old, header({}, {}), [], ExitCode.NOTHING_CHECKED)
    with pytest.raises(UsageError, match=r"my_losses\.py: is there already, and is no report"):
        require_report_path(mine)
    for path in (empty, old):
        require_report_path(path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_an_output_that_cannot_be_written_is_not_a_verdict(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def mae(p, t): return (p - t).abs().mean()\n")
    command = [sys.executable, "-m", "conformance", "check", str(tmp_path / "mine.py") + ":mae", "--loss"]
    command += ["amplitude_mae", "--case", "mae-typical", "--dtype", "float64"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert "error: the output cannot be written" in done.stderr
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.returncode == 2 and "error: the output cannot be written" in done.stderr, done.stderr
