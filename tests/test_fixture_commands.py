"""`python -m fixtures`: what check, regenerate and show say and write, and what they refuse."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from small_sets import manifest_in, resealed, small_cases, small_files, with_archive, with_other_numbers, write

from conformance.exit_codes import ExitCode as JudgesExitCode
from fixtures.__main__ import main
from fixtures.cases import CASES
from fixtures.exit_codes import ExitCode
from fixtures.golden_set import golden_files
from fixtures.manifest import DIGEST, MANIFEST, parse_manifest
from fixtures.storage import GOLDEN, differences, read_folder, replace

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return golden_files(CASES, parse_manifest(read_folder(GOLDEN, MANIFEST, DIGEST), "golden").history)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    replace(tmp_path / "golden", small_files())
    return tmp_path / "golden"


def _snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_exit_codes_have_the_judges_meanings() -> None:
    judges = {code.name: code.value for code in JudgesExitCode}
    assert (judges["CONFORMANT"], judges["NOT_CONFORMANT"]) == (ExitCode.DONE, ExitCode.DIFFERENT)
    assert (judges["USAGE"], judges["FIXTURES"]) == (ExitCode.USAGE, ExitCode.FIXTURES)


def test_the_committed_set_is_what_the_cases_regenerate_to(files: dict[str, bytes]) -> None:
    assert differences(GOLDEN, files) == []


def test_two_generations_are_byte_identical() -> None:
    assert golden_files(small_cases()) == small_files()


def test_the_set_stays_small(files: dict[str, bytes]) -> None:
    assert sum(map(len, files.values())) <= 2 << 20


def test_check_passes_on_a_whole_set_and_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = _snapshot(folder)
    assert main(["check", "--folder", str(folder)], small_cases) == ExitCode.DONE
    assert "identical" in capsys.readouterr().out
    assert _snapshot(folder) == before


@pytest.mark.parametrize("name", ["l2-typical.npz", MANIFEST, DIGEST])
def test_check_names_the_one_file_with_a_flipped_bit(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    before = _snapshot(folder)
    assert main(["check", "--folder", str(folder)], small_cases) == ExitCode.FIXTURES
    said = capsys.readouterr().out
    assert f"{name}: differs" in said and "1 difference(s)" in said
    assert _snapshot(folder) == before


def test_check_names_missing_and_extra_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "nll-typical.npz").unlink()
    (folder / "stowaway.npz").write_bytes(b"")
    assert main(["check", "--folder", str(folder)], small_cases) == ExitCode.FIXTURES
    said = capsys.readouterr().out
    assert "nll-typical.npz: missing" in said and "stowaway.npz: extra" in said


def test_check_refuses_a_missing_folder_and_a_link(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--folder", str(folder / "nowhere")], small_cases) == ExitCode.FIXTURES
    moved = folder / "l2-typical.npz"
    moved.rename(folder.parent / "elsewhere.npz")
    moved.symlink_to(folder.parent / "elsewhere.npz")
    assert main(["check", "--folder", str(folder)], small_cases) == ExitCode.FIXTURES
    assert "not a plain file" in capsys.readouterr().out


def test_regenerate_repairs_a_set_and_leaves_a_whole_one_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "stowaway.npz").write_bytes(b"")
    (folder / "l2-typical.npz").write_bytes(b"cut")
    (folder / "deeper").mkdir()
    assert main(["regenerate", "--folder", str(folder)], small_cases) == ExitCode.DONE
    assert "written" in capsys.readouterr().out
    assert _snapshot(folder).keys() == small_files().keys()
    assert differences(folder, small_files()) == []
    before = _snapshot(folder)
    assert main(["regenerate", "--folder", str(folder)], small_cases) == ExitCode.DONE
    assert "unchanged" in capsys.readouterr().out
    assert _snapshot(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_the_folder_is_readable_by_everyone(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_show_says_all_of_a_case(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The minimum and the maximum are those of the array that NumPy reads."""
    import numpy as np

    assert main(["show", "l2-typical", "--folder", str(folder)], small_cases) == ExitCode.DONE
    said = capsys.readouterr().out
    with np.load(folder / "l2-typical.npz") as archive:
        gradient, value = archive["gradient"], float(archive["value"])
    for text in (
        "speckle that fades from the centre",
        "any structural mistake",
        "eps = 0x1.0000000000000p-40 (9.094947017729282e-13)",
        "reduction = mean",
        "prediction: <f4 (2, 1, 8, 8)",
        f"{value.hex()} ({value!r})",
        f"min {float(gradient.min()).hex()}",
        f"max {float(gradient.max()).hex()}",
        "value.method = enclosure",
    ):
        assert text in said


def test_show_says_where_a_field_is_not_finite(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "l2-field-mask", "--folder", str(folder)], small_cases) == ExitCode.DONE
    said = capsys.readouterr().out
    assert "gradient: <c16" in said and "  re min" in said and "  im min" in said and "NaN" in said
    assert main(["show", "nll-infinite-per-element", "--folder", str(folder)], small_cases) == ExitCode.DONE
    assert "infinite" in capsys.readouterr().out


def test_show_of_an_unknown_case_names_those_near_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "l2-tipycal", "--folder", str(folder)], small_cases) == ExitCode.USAGE
    assert "no case is called 'l2-tipycal'; near it are l2-typical" in capsys.readouterr().err
    assert main(["show", "\x1b[31m", "--folder", str(folder)], small_cases) == ExitCode.USAGE
    assert "\x1b" not in capsys.readouterr().err


def test_show_of_an_archive_does_not_depend_on_its_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "l2-typical.npz").rename(folder.parent / "blob_7.npz")
    assert main(["show", str(folder.parent / "blob_7.npz")], small_cases) == ExitCode.DONE
    said = capsys.readouterr().out
    assert said.startswith("prediction: <f4 (2, 1, 8, 8), sha256 ") and "blob" not in said


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04"], ids=["missing", "empty", "cut"])
def test_show_of_a_damaged_archive_is_a_fixture_error(
    tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "some.npz"
    if content is not None:
        path.write_bytes(content)
    assert main(["show", str(path)], small_cases) == ExitCode.FIXTURES
    assert capsys.readouterr().err.startswith("error: ")


def test_show_refuses_an_archive_that_the_manifest_does_not_promise(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "l2-typical.npz").write_bytes((folder / "nll-typical.npz").read_bytes())
    assert main(["show", "l2-typical", "--folder", str(folder)], small_cases) == ExitCode.FIXTURES
    assert "not what the manifest promises" in capsys.readouterr().err
    resigned = with_archive(small_files(), "l2-typical.npz", (folder / "nll-typical.npz").read_bytes())
    assert main(["show", "l2-typical", "--folder", str(write(folder, resigned))], small_cases) == ExitCode.FIXTURES
    assert "not what the manifest promises" in capsys.readouterr().err


def test_show_lets_no_manifest_steer_a_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = manifest_in(small_files())
    manifest["cases"][0].update(why="\x1b[2Jhello\u202e\ud800", catches="\x07")
    write(folder, resealed(small_files(), manifest))
    assert main(["show", manifest["cases"][0]["id"], "--folder", str(folder)], small_cases) == ExitCode.DONE
    said = capsys.readouterr().out
    assert r"\x1b[2Jhello\u202e\ud800" in said and "\x1b" not in said and "\x07" not in said


def test_show_and_diff_need_no_exact_arithmetic(folder: Path) -> None:
    program = (
        "import sys; sys.modules['flint'] = None\n"
        "from fixtures.__main__ import main\n"
        f"raise SystemExit(main(['show', 'l2-typical', '--folder', {str(folder)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "arguments", [[], ["shwo"], ["show"], ["check", "--accept", "x"], ["diff", "a", "b"]], ids=" ".join
)
def test_unusable_arguments_are_usage_errors(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments, small_cases)
    assert stop.value.code == ExitCode.USAGE


def test_a_wrong_folder_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = str(tmp_path / "no" / "golden")
    for command in (["show", "l2-typical"], ["check"], ["certify"]):
        assert main([*command, "--folder", nowhere], small_cases) == ExitCode.USAGE
        assert "wrong --folder?" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_other_numbers_are_found(folder: Path) -> None:
    assert main(["check", "--folder", str(folder)], with_other_numbers) == ExitCode.FIXTURES
