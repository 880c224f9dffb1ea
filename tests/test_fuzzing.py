"""Whatever bytes a golden folder holds, its readers return or raise their own error, and allocate little."""

import contextlib
import io
import os
import re
import shutil
import tracemalloc
from pathlib import Path

import pytest
from damage import ARCHIVES, KINDS, Files
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_sets import IDS, small_files, write

from conformance import npz
from conformance.exit_codes import FixtureError
from conformance.golden import GoldenSet, load
from fixtures.__main__ import main
from fixtures.difference import rows_between, stored_set, table
from fixtures.exit_codes import ExitCode
from fixtures.exit_codes import FixtureError as WritersFixtureError
from fixtures.unpack import unpack

EXAMPLES = int(os.environ.get("PTYCHO_FUZZ_EXAMPLES", "100"))
FUZZING = settings(
    derandomize=True,  # the same examples on every machine: a red run can be run again
    database=None,
    deadline=None,
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
LARGEST_ALLOCATION = 2 << 20
REASONS = {"manifest": 10, "manifest text": 5, "archive": 5, "npy header": 2, "arrays": 4, "files": 4}
"""So many different refusals at least: what is drawn must reach beyond the first check."""
COMMANDS = {
    "show": {ExitCode.DONE, ExitCode.USAGE, ExitCode.FIXTURES},
    "show archive": {ExitCode.DONE, ExitCode.FIXTURES},
    "check": {ExitCode.FIXTURES},
    "regenerate": {ExitCode.DIFFERENT, ExitCode.FIXTURES},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzzing") / "golden"


def _written(place: Path, files: Files) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    return write(place, files)


def _kind_of_refusal(said: str) -> str:
    """Return the first words of a message after the file, without numbers and quotations."""
    bare = re.sub(r"[0-9a-f]{12,}|\d+|b?'[^']*'|[{\[(].*", "", said.split(": ", 1)[1].replace("set's", "set"))
    return " ".join(re.findall(r"[a-z_]{2,}", bare, re.IGNORECASE))[:110]


def _require_sane(golden: GoldenSet) -> None:
    for case in golden.cases:
        question, truth = case.question, case.truth
        assert question.prediction.shape == question.target.shape == truth.gradient.shape
        assert truth.value.shape == question.value_shape
        assert question.valid.shape == question.prediction.shape
        assert isinstance(case.why, str) and isinstance(case.catches, str) and isinstance(case.bit_exact, bool)


def _require_printable(text: str) -> None:
    assert all(letter.isprintable() or letter == "\n" for letter in text)


@pytest.mark.parametrize("kind", KINDS)
def test_the_judges_reader_returns_a_sane_set_or_its_own_error(place: Path, kind: str) -> None:
    reasons: set[str] = set()

    @FUZZING
    @given(files=KINDS[kind])
    def fuzz(files: Files) -> None:
        try:
            _require_sane(load(_written(place, files)))
        except FixtureError as error:
            assert str(error).startswith(str(place))
            reasons.add(_kind_of_refusal(str(error)))

    fuzz()
    assert len(reasons) >= REASONS[kind], sorted(reasons)


@pytest.mark.parametrize("kind", KINDS)
def test_every_command_returns_its_codes_and_writes_nothing(place: Path, kind: str) -> None:
    @FUZZING
    @given(files=KINDS[kind], command=st.sampled_from(sorted(COMMANDS)), case_id=st.sampled_from([*IDS, "no-such"]))
    def fuzz(files: Files, command: str, case_id: str) -> None:
        folder = str(_written(place, files))
        arguments = {
            "show": ["show", case_id, "--folder", folder],
            "show archive": ["show", str(place / f"{case_id}.npz")],
        }.get(command, [command, "--folder", folder])
        with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(io.StringIO()) as complaint:
            code = main(arguments, tuple)
        assert code in COMMANDS[command]
        if command != "check":
            assert complaint.getvalue().startswith("error: ") == (code != ExitCode.DONE)
        _require_printable(said.getvalue())
        _require_printable(complaint.getvalue())
        assert {path.name: path.read_bytes() for path in place.iterdir()} == files

    fuzz()


@pytest.mark.parametrize("kind", KINDS)
def test_a_comparison_returns_a_table_or_its_own_error(kind: str) -> None:
    whole = stored_set(small_files(), "here")

    @FUZZING
    @given(files=KINDS[kind])
    def fuzz(files: Files) -> None:
        with contextlib.suppress(WritersFixtureError):
            damaged = stored_set(files, "there")
            for before, after in ((whole, damaged), (damaged, whole)):
                _require_printable(table(before, after, rows_between(before, after)))

    fuzz()


@pytest.mark.parametrize("kind", ["archive", "npy header", "arrays"])
def test_no_size_that_an_archive_claims_is_believed(kind: str) -> None:
    @FUZZING
    @given(files=KINDS[kind])
    def fuzz(files: Files) -> None:
        changed = [files[name] for name in ARCHIVES if files[name] != small_files()[name]]
        for content in changed:
            tracemalloc.start()
            try:
                with contextlib.suppress(ValueError):
                    npz.arrays(content)
                with contextlib.suppress(WritersFixtureError):
                    unpack(content, "here")
                assert tracemalloc.get_traced_memory()[1] < LARGEST_ALLOCATION
            finally:
                tracemalloc.stop()

    fuzz()
