"""`python -m fixtures diff`: what changed since a git revision, in elements and ulps."""

import os
import subprocess
from dataclasses import replace as changed
from math import inf, nan, nextafter
from pathlib import Path

import numpy as np
import pytest
from small_sets import SMALL, manifest_in, resealed, small_cases, small_files, with_archive, with_other_numbers, write

from fixtures.__main__ import main
from fixtures.archive import content_sha256, npz_bytes
from fixtures.difference import ulps_between
from fixtures.exit_codes import ExitCode
from fixtures.golden_set import golden_files
from fixtures.manifest import MANIFEST
from fixtures.unpack import unpack


def _git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    golden = write(tmp_path / "deep" / "golden", small_files())
    _git(tmp_path, "init", "--quiet", "--initial-branch=main")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "--quiet", "-m", "golden")
    _git(tmp_path, "tag", "v1")
    return golden


def _diff(folder: Path, *more: str) -> int:
    return main(["diff", *more, "--folder", str(folder)], small_cases)


def _with_gradient(gradient: np.ndarray) -> dict[str, bytes]:
    """Return the small set with another gradient in l2-typical, sealed throughout."""
    arrays = {**unpack(small_files()["l2-typical.npz"], "here"), "gradient": gradient}
    files = with_archive(small_files(), "l2-typical.npz", npz_bytes(arrays))
    manifest = manifest_in(files)
    for record in manifest["cases"]:
        if record["id"] == "l2-typical":
            record["content_sha256"] = content_sha256(arrays)
    return resealed(files, manifest)


def test_ulps_are_steps_of_binary64() -> None:
    assert ulps_between(1.0, nextafter(1.0, 2.0)) == 1
    assert ulps_between(-5e-324, 5e-324) == 2
    assert ulps_between(0.0, -0.0) == 0
    assert ulps_between(nan, nan) == 0
    assert ulps_between(nan, 1.0) == inf
    assert ulps_between(1.0, 2.0) == 2**52


@pytest.mark.parametrize("revision", [[], ["HEAD"], ["v1"], ["main"]], ids=str)
def test_an_identical_set_is_said_to_be_one(
    folder: Path, revision: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _diff(folder, *revision) == ExitCode.DONE
    said = capsys.readouterr().out
    assert "0 cases added, 0 removed, 0 changed in what is judged (the arrays of 0), 5 unchanged." in said
    assert "|" not in said


def test_changed_numbers_are_counted_and_measured(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gradient = unpack(small_files()["l2-typical.npz"], "here")["gradient"].copy()
    first, second = gradient[0, 0, 1, 2], gradient[1, 0, 7, 7]
    gradient[0, 0, 1, 2] = nextafter(first, inf)
    gradient[1, 0, 7, 7] = nextafter(nextafter(nextafter(second, inf), inf), inf)
    write(folder, _with_gradient(gradient))
    assert _diff(folder, "v1") == ExitCode.DIFFERENT
    said = capsys.readouterr().out
    change = f"3 ulp at [1, 0, 7, 7]: {float(second)!r} -> {float(gradient[1, 0, 7, 7])!r}"
    assert f"| l2-typical | gradient | 2 of 128 | {change} |" in said
    assert "0 cases added, 0 removed, 1 changed in what is judged (the arrays of 1), 4 unchanged." in said


def test_a_number_that_becomes_nan_is_the_largest_change(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gradient = unpack(small_files()["l2-typical.npz"], "here")["gradient"].copy()
    gradient[0, 0, 0, 0] = -1e300
    gradient[0, 0, 0, 1] = nan
    write(folder, _with_gradient(gradient))
    assert _diff(folder) == ExitCode.DIFFERENT
    assert "inf ulp at [0, 0, 0, 1]: " in capsys.readouterr().out


def test_cases_that_come_go_and_change_parameters_are_rows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = [changed(SMALL[0], id="newcomer"), *with_other_numbers()[1:]]
    history = [{"reason": "a | pipe", "previous": None, "added": [], "changed": [], "removed": []}]
    files = golden_files(cases, history)
    for path in folder.iterdir():
        path.unlink()
    write(folder, files)
    assert _diff(folder) == ExitCode.DIFFERENT
    said = capsys.readouterr().out
    assert "| newcomer | **added** |" in said
    assert f"| {SMALL[0].id} | **removed** |" in said
    assert '| mae-bit-exact | parameter reduction |  | "mean" -> "sum" |' in said
    assert "| mae-bit-exact | value | 1 of 1 | " in said
    assert "| mae-bit-exact | gradient | " in said
    assert r"Reason given: a \| pipe" in said


def test_a_changed_text_is_a_row_and_no_change_of_meaning(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, golden_files([changed(SMALL[0], why="because"), *SMALL[1:]]))
    assert _diff(folder) == ExitCode.DIFFERENT
    said = capsys.readouterr().out
    assert f'| {SMALL[0].id} | why |  | "{SMALL[0].why}" -> "because" |' in said
    assert "5 unchanged." in said


def test_a_rewritten_history_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"reason": "one", "previous": None, "added": [], "changed": [], "removed": []}
    write(folder, golden_files(SMALL, [entry]))
    _git(folder, "commit", "--quiet", "-am", "one")
    write(folder, golden_files(SMALL, [{**entry, "reason": "other"}]))
    assert _diff(folder) == ExitCode.DIFFERENT
    assert "The history was rewritten" in capsys.readouterr().out


@pytest.mark.parametrize("revision", ["nowhere", "HEAD~7", "", "a\nb"], ids=["unknown", "too-old", "empty", "garbled"])
def test_an_unknown_revision_is_a_usage_error(folder: Path, revision: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _diff(folder, revision) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith("error: ")


def test_no_repository_no_git_and_no_folder_in_the_commit_are_usage_errors(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    alone = write(tmp_path_factory.mktemp("alone") / "golden", small_files())
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(alone.parent.parent))
    assert _diff(alone) == ExitCode.USAGE
    assert "not a git repository" in capsys.readouterr().err
    assert _diff(write(folder.with_name("other"), small_files())) == ExitCode.USAGE
    assert "wanted the golden set of that commit" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "")
    assert _diff(folder) == ExitCode.USAGE
    assert "git cannot be run" in capsys.readouterr().err


def test_a_damaged_folder_or_commit_is_a_fixture_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = (folder / MANIFEST).read_bytes()
    (folder / MANIFEST).write_bytes(whole[:-2])
    assert _diff(folder) == ExitCode.FIXTURES
    assert "the folder: manifest.json has sha256" in capsys.readouterr().err
    _git(folder, "commit", "--quiet", "-am", "damaged")
    (folder / MANIFEST).write_bytes(whole)
    assert _diff(folder) == ExitCode.FIXTURES
    assert "HEAD" in capsys.readouterr().err


def test_git_shows_an_archive_as_text(folder: Path) -> None:
    """The lines that docs/fixtures.md gives, in a repository of its own."""
    import sys

    root = folder.parent.parent
    program = f"{sys.executable} -m fixtures show"
    (root / ".gitattributes").write_text("*.npz -text -merge diff=golden-npz\n")
    _git(root, "config", "diff.golden-npz.textconv", program)
    write(folder, golden_files(with_other_numbers()))
    done = subprocess.run(
        ["git", "-C", str(root), "diff", "--", "deep/golden/mae-bit-exact.npz"],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "-value: <f8 ()" in done.stdout and "+value: <f8 ()" in done.stdout
    assert "prediction" not in [line[1:11] for line in done.stdout.splitlines() if line[0] in "+-"]


def test_the_repository_names_the_textconv() -> None:
    attributes = (Path(__file__).resolve().parent.parent / ".gitattributes").read_text()
    assert "fixtures/golden/*.npz -text -merge diff=golden-npz\n" in attributes
