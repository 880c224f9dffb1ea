"""Golden numbers change only with a reason, and the manifest remembers which, why, and what it was before."""

import json
from collections.abc import Sequence
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import pytest
from small_sets import SMALL, manifest_in, resealed, small_cases, small_files, with_other_numbers, write

from fixtures.__main__ import Cases, main
from fixtures.case import Case
from fixtures.exit_codes import ExitCode
from fixtures.manifest import DIGEST, MANIFEST


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "golden", small_files())


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _history(folder: Path) -> list[dict[str, Any]]:
    history: list[dict[str, Any]] = json.loads((folder / MANIFEST).read_text())["history"]
    return history


def _regenerate(folder: Path, cases: Cases, *more: str) -> int:
    return main(["regenerate", "--folder", str(folder), *more], cases)


def _fewer() -> Sequence[Case]:
    return SMALL[1:]


def _reworded() -> Sequence[Case]:
    return [changed(SMALL[0], why="another reason"), *SMALL[1:]]


def _called_bit_exact() -> Sequence[Case]:
    return [changed(case, bit_exact=True) for case in SMALL]


DIGEST_OF_SMALL = small_files()[DIGEST].split()[0].decode()


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        (with_other_numbers, "1 changed: mae-bit-exact"),
        (_fewer, f"1 removed: {SMALL[0].id}"),
        (_called_bit_exact, "changed: l2-field-mask, l2-typical"),
    ],
    ids=["numbers", "removed", "what-is-judged"],
)
def test_a_change_without_a_reason_is_refused(
    folder: Path, cases: Cases, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _regenerate(folder, cases) == ExitCode.DIFFERENT
    error = capsys.readouterr().err
    assert "nothing was written" in error and said in error and "--accept" in error
    assert _contents(folder) == small_files()


def test_a_reason_lets_numbers_change_and_is_remembered(folder: Path) -> None:
    assert _regenerate(folder, with_other_numbers, "--accept", " the sum was meant ") == ExitCode.DONE
    assert _history(folder) == [
        {
            "reason": "the sum was meant",
            "previous": DIGEST_OF_SMALL,
            "added": [],
            "changed": ["mae-bit-exact"],
            "removed": [],
        }
    ]


def test_the_history_is_carried_over_and_reproduces_the_bytes(folder: Path) -> None:
    assert _regenerate(folder, with_other_numbers, "--accept", "first") == ExitCode.DONE
    before = _contents(folder)
    assert main(["check", "--folder", str(folder)], with_other_numbers) == ExitCode.DONE
    assert _regenerate(folder, with_other_numbers) == ExitCode.DONE
    assert _contents(folder) == before
    assert _regenerate(folder, small_cases, "--accept", "back") == ExitCode.DONE
    assert [entry["reason"] for entry in _history(folder)] == ["first", "back"]
    assert _history(folder)[1]["previous"] == before[DIGEST].split()[0].decode()


def test_new_cases_need_no_reason_and_are_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _regenerate(tmp_path / "golden", _fewer, "--accept", "start") == ExitCode.DONE
    assert _regenerate(tmp_path / "golden", small_cases) == ExitCode.DONE
    assert f"added: {SMALL[0].id}" in capsys.readouterr().out
    assert _history(tmp_path / "golden")[1]["added"] == [SMALL[0].id]
    assert _history(tmp_path / "golden")[1]["reason"] == "new cases"


def test_a_text_may_change_without_a_reason_or_an_entry(folder: Path) -> None:
    assert _regenerate(folder, _reworded) == ExitCode.DONE
    assert _history(folder) == []
    assert b"another reason" in (folder / MANIFEST).read_bytes()


def test_a_reason_for_nothing_is_said_to_be_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _regenerate(folder, small_cases, "--accept", "just because") == ExitCode.DONE
    assert "was not recorded" in capsys.readouterr().out
    assert _contents(folder) == small_files()


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "x" * 401, "\x1b[0m"], ids=range(5))
def test_an_unusable_reason_is_refused(folder: Path, reason: str) -> None:
    assert _regenerate(folder, with_other_numbers, "--accept", reason) == ExitCode.USAGE
    assert _contents(folder) == small_files()


@pytest.mark.parametrize("damage", ["missing folder", MANIFEST, DIGEST, "cut", "resealed"])
def test_without_a_manifest_only_a_reason_starts_a_history(
    folder: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if damage == "missing folder":
        folder = folder.parent / "elsewhere"
    elif damage == "cut":
        (folder / MANIFEST).write_bytes(small_files()[MANIFEST][:1000])
    elif damage == "resealed":
        write(folder, resealed(small_files(), {**manifest_in(small_files()), "history": [{"reason": 1}]}))
    else:
        (folder / damage).unlink()
    before = _contents(folder) if folder.exists() else None
    assert _regenerate(folder, small_cases) == ExitCode.FIXTURES
    error = capsys.readouterr().err
    assert "nothing was written" in error and "Restore the folder from version control, or start a new history" in error
    assert (_contents(folder) if folder.exists() else None) == before
    assert _regenerate(folder, small_cases, "--accept", "the old one was lost") == ExitCode.DONE
    (entry,) = _history(folder)
    assert (entry["previous"], entry["changed"], len(entry["added"])) == (None, [], len(SMALL))


def test_a_set_of_schema_1_is_taken_over(folder: Path) -> None:
    """It had no history; what it held is compared, so that its numbers are not replaced unseen."""
    manifest = manifest_in(small_files())
    del manifest["history"]
    files = resealed(small_files(), {**manifest, "schema": 1})
    assert _regenerate(write(folder, files), with_other_numbers) == ExitCode.DIFFERENT
    assert _regenerate(folder, with_other_numbers, "--accept", "schema 2") == ExitCode.DONE
    assert _history(folder)[0]["previous"] == files[DIGEST].split()[0].decode()
    assert _history(folder)[0]["changed"] == ["mae-bit-exact"]
