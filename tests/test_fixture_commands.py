"""`python -m fixtures`: what it writes, what it refuses, and that `check` writes nothing."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.__main__ import FIXTURES_DIFFER, main
from fixtures.cases import CASES
from fixtures.golden_set import DIGEST, MANIFEST, golden_files
from fixtures.storage import GOLDEN, differences, replace


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return golden_files(CASES)


@pytest.fixture
def folder(tmp_path: Path, files: dict[str, bytes]) -> Iterator[Path]:
    target = tmp_path / "golden"
    replace(target, files)
    yield target


def _snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_the_committed_set_is_what_the_cases_regenerate_to(files: dict[str, bytes]) -> None:
    assert differences(GOLDEN, files) == []


def test_two_generations_are_byte_identical(files: dict[str, bytes]) -> None:
    assert golden_files(CASES) == files


def test_the_set_stays_small(files: dict[str, bytes]) -> None:
    assert sum(map(len, files.values())) <= 2 << 20


def test_check_passes_on_a_whole_set_and_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = _snapshot(folder)
    assert main(["check", "--folder", str(folder)]) == 0
    assert "identical" in capsys.readouterr().out
    assert _snapshot(folder) == before


@pytest.mark.parametrize("name", ["l2-typical.npz", MANIFEST, DIGEST])
def test_check_names_a_file_with_one_flipped_bit(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    before = _snapshot(folder)
    assert main(["check", "--folder", str(folder)]) == FIXTURES_DIFFER
    assert f"{name}: differs" in capsys.readouterr().out
    assert _snapshot(folder) == before


def test_check_names_missing_and_extra_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "nll-typical.npz").unlink()
    (folder / "stowaway.npz").write_bytes(b"")
    assert main(["check", "--folder", str(folder)]) == FIXTURES_DIFFER
    said = capsys.readouterr().out
    assert "nll-typical.npz: missing" in said and "stowaway.npz: extra" in said


def test_check_refuses_a_missing_folder_and_a_link(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--folder", str(folder / "nowhere")]) == FIXTURES_DIFFER
    moved = folder / "l2-typical.npz"
    moved.rename(folder.parent / "elsewhere.npz")
    moved.symlink_to(folder.parent / "elsewhere.npz")
    assert main(["check", "--folder", str(folder)]) == FIXTURES_DIFFER
    assert "not a plain file" in capsys.readouterr().out


def test_regenerate_repairs_a_set_and_leaves_a_whole_one_alone(
    folder: Path, files: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "stowaway.npz").write_bytes(b"")
    assert main(["regenerate", "--folder", str(folder)]) == 0
    assert "written" in capsys.readouterr().out
    assert differences(folder, files) == []
    before = _snapshot(folder)
    assert main(["regenerate", "--folder", str(folder)]) == 0
    assert "unchanged" in capsys.readouterr().out
    assert _snapshot(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_an_interrupted_write_leaves_the_old_set(
    folder: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def failing(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="disk full"):
        replace(folder, {**files, "new.npz": b"1"})
    assert differences(folder, files) == []
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_the_folder_is_readable_by_everyone(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
