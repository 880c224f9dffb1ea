"""The golden folder survives a kill at any line, a full disk and a second run: whole, old or new, nothing beside it."""

import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from small_sets import small_cases, small_files, with_other_numbers, write

from conformance.golden import load
from fixtures import storage
from fixtures.__main__ import main
from fixtures.exit_codes import ExitCode, UsageError
from fixtures.storage import locked, read_folder, replace

TESTS = Path(__file__).resolve().parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])}
OLD = {"manifest.json": b"old" * 50, "one.npz": b"1" * 1000, "gone.npz": b"g"}
NEW = {"manifest.json": b"new" * 60, "one.npz": b"2" * 1000, "two.npz": b"n"}


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _run(program: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
    )  # fmt: skip


@pytest.mark.parametrize("way", ["swap", "no-swap"])
def test_a_kill_at_any_line_leaves_a_whole_set_and_the_next_run_clears_up(tmp_path: Path, way: str) -> None:
    write(tmp_path / "old", OLD)
    write(tmp_path / "new", NEW)
    write(tmp_path / "place" / "golden", OLD)
    done = subprocess.run(
        [sys.executable, str(TESTS / "killed_at_each_line.py"), str(tmp_path), way],
        capture_output=True, text=True, env=ENVIRONMENT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *killed, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(killed) > 40 and not last["killed"] and last["left"] == "new"
    for report in killed:
        aside = way == "no-swap" and report["left"] == "nothing" and report["aside"] == "old"
        assert report["left"] in ("old", "new") or aside, report
        assert report["recovered"] == ("old" if aside else report["left"]), report
        assert report["beside"] == ["golden"], report
    assert {report["left"] for report in killed} == {"old", "new"} | ({"nothing"} if way == "no-swap" else set())


@pytest.mark.parametrize("call", range(1, len(NEW) + 3))
def test_a_full_disk_leaves_the_old_set(tmp_path: Path, call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "golden", OLD)
    calls = 0

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    if call <= len(NEW) + 1:
        with pytest.raises(UsageError, match=r"No space left on device.*the set that was there is untouched"):
            replace(folder, NEW)
        assert _contents(folder) == OLD
    else:  # the folder around it is flushed last, when the new set is in place
        replace(folder, NEW)
        assert _contents(folder) == NEW
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_a_file_that_cannot_grow_is_told_by_the_command(tmp_path: Path) -> None:
    """The kernel refuses bytes beyond a limit, in the way of a full disk: halfway through a file."""
    folder = write(tmp_path / "golden", small_files())
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
        "from fixtures.__main__ import main; from small_sets import with_other_numbers\n"
        "sys.exit(main(['regenerate', '--accept', 'why', '--folder', sys.argv[1]], with_other_numbers))"
    )
    process = _run(program, str(folder))
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == ExitCode.USAGE, complaint
    assert "cannot be written" in complaint and "untouched" in complaint
    assert _contents(folder) == small_files()
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_a_place_that_cannot_be_renamed_keeps_the_old_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "golden", OLD)
    rename = Path.rename

    def refusing(self: Path, target: Path) -> Path:
        if self.name == ".golden.new":
            raise PermissionError(errno.EPERM, "refused")
        return rename(self, target)

    monkeypatch.setattr(storage, "_exchange", lambda left, right: False)
    monkeypatch.setattr(Path, "rename", refusing)
    with pytest.raises(UsageError, match="refused"):
        replace(folder, NEW)
    assert _contents(folder) == OLD
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


@contextmanager
def _lock_held(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


REGENERATE = (
    "import sys; from fixtures.__main__ import main; import small_sets\n"
    "sys.exit(main(['regenerate', '--accept', sys.argv[2], '--folder', sys.argv[1]], getattr(small_sets, sys.argv[2])))"
)


def test_a_second_run_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    folder = write(tmp_path / "golden", small_files())
    with _lock_held(folder):
        process = _run(REGENERATE, str(folder), "with_other_numbers")
        assert process.stderr is not None
        assert process.stderr.readline() == f"waiting: another run of this tool holds {tmp_path}\n"
        assert _contents(folder) == small_files()
    said, complaint = process.communicate(timeout=60)
    assert process.returncode == ExitCode.DONE, complaint
    assert "changed: mae-bit-exact" in said


def test_runs_at_once_follow_one_another(tmp_path: Path) -> None:
    folder = write(tmp_path / "golden", small_files())
    processes = [_run(REGENERATE, str(folder), cases) for cases in ("with_other_numbers", "small_cases")]
    for process in processes:
        _, complaint = process.communicate(timeout=120)
        assert process.returncode == ExitCode.DONE, complaint
    assert len(load(folder).cases) == len(small_cases())
    outcomes = [main(["check", "--folder", str(folder)], cases) for cases in (small_cases, with_other_numbers)]
    assert sorted(outcomes) == [ExitCode.DONE, ExitCode.FIXTURES]
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_the_lock_of_a_killed_run_does_not_last(tmp_path: Path) -> None:
    folder = write(tmp_path / "golden", small_files())
    program = (
        "import sys; from pathlib import Path; from fixtures.storage import locked\n"
        "with locked(Path(sys.argv[1]), writing=True): print('held', flush=True); sys.stdin.read()"
    )
    process = _run(program, str(folder))
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    process.kill()
    process.communicate(timeout=60)
    assert main(["regenerate", "--folder", str(folder)], small_cases) == ExitCode.DONE


def test_readers_under_the_lock_never_see_a_mixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # takes most of the time, and changes nothing here
    folder = write(tmp_path / "golden", OLD)
    stop = threading.Event()
    failures: list[BaseException] = []

    def writer() -> None:
        try:
            for turn in range(200):
                with locked(folder, writing=True):
                    replace(folder, NEW if turn % 2 else OLD)
        except BaseException as error:
            failures.append(error)
        finally:
            stop.set()

    thread = threading.Thread(target=writer)
    thread.start()
    seen = []
    while not stop.is_set():
        with locked(folder, writing=False):
            seen.append(read_folder(folder))
    thread.join()
    assert failures == []
    assert seen and all(files in (OLD, NEW) for files in seen)


def test_readers_do_not_shut_each_other_out(tmp_path: Path) -> None:
    folder = write(tmp_path / "golden", OLD)
    with locked(folder, writing=False), locked(folder, writing=False):
        assert read_folder(folder) == OLD
