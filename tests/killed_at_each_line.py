"""Replaces a folder in one child process per line of the code that does it, each killed there; prints what is left.

Run as `killed_at_each_line.py ROOT swap|no-swap`. ROOT/old and ROOT/new hold two sets, ROOT/place/golden is replaced.
Forking is cheap and safe here, where nothing but the storage is imported and no thread runs.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from fixtures import storage

WATCHED = (storage.__file__, shutil.__file__)


def contents(folder: Path) -> dict[str, bytes] | None:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else None


def replace(folder: Path, files: dict[str, bytes], killed_at: int | None = None) -> None:
    line = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal line
        if frame.f_code.co_filename not in WATCHED:
            return None
        line += event == "line"
        if line == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    if killed_at is not None:
        sys.settrace(trace)
    with storage.locked(folder, writing=True):
        storage.recover(folder)
        storage.replace(folder, files)


def main(root: Path, way: str) -> None:
    os.fsync = lambda descriptor: None  # a kill loses no page that was written, unlike a power failure
    if way == "no-swap":
        storage._exchange = lambda left, right: False  # type: ignore[assignment]
    old, new = contents(root / "old"), contents(root / "new")
    assert old is not None and new is not None
    folder = root / "place" / "golden"
    names = {json.dumps(sorted(old)): "old", json.dumps(sorted(new)): "new"}

    def seen(path: Path) -> str:
        found = contents(path)
        if found is None:
            return "nothing"
        name = names.get(json.dumps(sorted(found)), "mixture")
        return name if found in (old, new) else "mixture"

    for line in range(1, 2000):
        replace(folder, old)
        child = os.fork()
        if child == 0:
            replace(folder, new, line)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        report = {"line": line, "killed": os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL}
        report.update(left=seen(folder), aside=seen(folder.with_name(".golden.old")))
        if report["killed"]:
            with storage.locked(folder, writing=True):
                storage.recover(folder)
            report.update(recovered=seen(folder), beside=sorted(p.name for p in folder.parent.iterdir()))
        print(json.dumps(report))
        if not report["killed"]:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
