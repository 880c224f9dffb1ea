"""TensorFlow's programs run without TensorFlow, and are refused unless they are of this suite and these sources."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.backends import load_backend
from conformance.backends.program_folder import MANIFEST, VARIABLE, code_digest, open_folder, program_name
from conformance.case import Case, Question, Scale
from conformance.exit_codes import BackendError, UsageError
from conformance.golden import GoldenSet
from conformance.report import read_report

ROOT = Path(__file__).resolve().parent.parent
CASES = ("l2-mask-view", "l2-field", "mae-wrt-target", "nll-scale-dataset", "nll-infinite")
WITHOUT_TENSORFLOW = (
    "import sys\n"
    "for name in ('tensorflow', 'keras'): sys.modules[name] = None\n"
    "from conformance.cli import main\n"
    "main()\n"
)


@pytest.fixture(scope="module")
def folder(golden: GoldenSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from conformance.backends.program_export import export_programs

    made = tmp_path_factory.mktemp("programs") / "new"
    chosen = [case for case in golden.cases if case.question.case_id in CASES]
    assert len(chosen) == len(CASES)
    assert [done for done, _ in export_programs(made, chosen, golden.digest)] == list(range(1, 2 * len(CASES) + 1))
    return made


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, "run", "--backend", "tensorflow-program", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_programs_pass_in_a_process_without_tensorflow(folder: Path, tmp_path: Path) -> None:
    chosen = [argument for name in CASES for argument in ("--case", name)]
    done = _run("--programs", str(folder), "--report", str(tmp_path / "report.jsonl"), *chosen)
    assert done.returncode == 0, done.stdout + done.stderr
    header, verdicts, _ = read_report(tmp_path / "report.jsonl")
    assert sorted((row["case_id"], row["dtype"]) for row in verdicts) == sorted(
        (name, dtype) for name in CASES for dtype in ("float32", "float64")
    )
    assert {(row["status"], row["mode"], row["backend"]) for row in verdicts} == {("pass", "xla", "tensorflow-program")}
    environment = header["backends"]["tensorflow-program"]
    assert environment["tf32"] == "off: no matrix products"
    assert {"tensorflow", "exporting_jax", "jax", "device", "subnormals", "xla_flags"} <= environment.keys()


def test_a_case_without_its_program_ends_the_run(folder: Path) -> None:
    done = _run("--programs", str(folder), "--case", "l2-typical")
    assert done.returncode == 4
    assert "no such program was exported" in done.stderr


def test_without_a_folder_the_run_ends_and_says_how_to_get_one(tmp_path: Path) -> None:
    done = _run("--programs", str(tmp_path / "nowhere"))
    assert done.returncode == 4
    assert "export-program" in done.stderr


def _altered(folder: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    manifest = json.loads((copy / MANIFEST).read_text(encoding="utf-8"))
    change(manifest)
    (copy / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return copy


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m.update(suite="0" * 64), "programs of other suite: got 000000000000"),
        (lambda m: m.update(code="0" * 64), "programs of other sources: got 000000000000"),
        (lambda m: m.update(schema=2), "schema 2"),
        (lambda m: m.pop("programs"), "no manifest"),
        (lambda m: next(iter(m["programs"].values())).pop("sha256"), "no manifest"),
        (lambda m: m.update(programs=[]), "no manifest"),
    ],
    ids=["suite", "code", "schema", "none", "no-digest", "list"],
)
def test_stale_programs_are_refused(
    folder: Path, tmp_path: Path, golden: GoldenSet, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    open_folder(folder, golden.digest)
    with pytest.raises(BackendError, match=said):
        open_folder(_altered(folder, tmp_path, change), golden.digest)


def test_an_altered_or_lost_program_is_refused(folder: Path, tmp_path: Path, golden: GoldenSet) -> None:
    copy = _altered(folder, tmp_path, lambda manifest: None)
    opened = open_folder(copy, golden.digest)
    first, second, *_ = opened.records
    (copy / first).write_bytes((copy / second).read_bytes())
    (copy / second).unlink()
    with pytest.raises(BackendError, match="altered since it was exported"):
        opened.read(first)
    with pytest.raises(BackendError, match="cannot be read"):
        opened.read(second)


def test_no_folder_named_is_a_missing_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(BackendError, match=rf"--programs FOLDER or {VARIABLE}"):
        load_backend("tensorflow-program").environment("cpu")


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path, golden: GoldenSet) -> None:
    from conformance.backends.program_export import export_programs

    (tmp_path / "thesis.tex").write_text("chapter 1", encoding="utf-8")
    with pytest.raises(UsageError, match=r"holds 'thesis\.tex'"):
        list(export_programs(tmp_path, golden.cases, golden.digest))
    assert (tmp_path / "thesis.tex").read_text(encoding="utf-8") == "chapter 1"


def test_nobody_else_is_judged_by_programs(folder: Path, monkeypatch: pytest.MonkeyPatch, golden: GoldenSet) -> None:
    monkeypatch.setenv(VARIABLE, str(folder))
    backend = load_backend("tensorflow-program")
    with pytest.raises(BackendError, match="shipped losses only"):
        backend.answer(lambda p, t: p, golden.cases[0].question, dtype="float32", mode="xla", device="cpu")


def _told_apart(question: Question) -> list[Question]:
    options = question.parameters
    return [
        replace(question, loss="amplitude_mae"),
        replace(question, parameters=replace(options, eps=options.eps * (1 + 2.0**-52))),
        replace(question, parameters=replace(options, wrt="target")),
        replace(question, parameters=replace(options, scale=Scale(2.0))),
        replace(question, parameters=replace(options, scale=Scale(2.0, "dataset", 10.0))),
        replace(question, parameters=replace(options, scale=Scale(2.0, "dataset", 11.0))),
        replace(question, mask=question.valid[:1]),
        replace(question, mask=question.valid[:, :1, :1]),
        replace(question, prediction=question.prediction[:1], target=question.target[:1]),
    ]


def test_a_name_tells_apart_whatever_a_program_depends_on(case_of: dict[str, Case]) -> None:
    question = case_of["l2-typical"].question
    others = _told_apart(question)
    names = [program_name(each, dtype) for each in (question, *others) for dtype in ("float32", "float64")]
    assert len(set(names)) == len(names)
    same = replace(question, case_id="other", prediction=question.prediction + 1)
    assert program_name(same, "float32") == names[0]


def test_questions_that_share_a_program_share_their_options(golden: GoldenSet) -> None:
    found: dict[str, tuple[object, ...]] = {}
    for question in (case.question for case in golden.cases):
        mask, ids = (array is not None and (array.shape, array.dtype) for array in (question.mask, question.view_ids))
        kind = (question.loss, replace(question.parameters, scale=None), question.prediction.shape, mask, ids)
        assert found.setdefault(program_name(question, "float32"), kind) == kind
    assert len(found) > 100


def test_the_digest_of_the_code_covers_the_losses() -> None:
    """It is that of the files: a change of any of them makes earlier programs stale."""
    assert len(code_digest()) == 64
    from conformance.backends.program_folder import _PACKAGE, SOURCES

    covered = {path.name for pattern in SOURCES for path in _PACKAGE.glob(pattern)}
    losses = {path.name for path in (ROOT / "conformance" / "codepaths").glob("tensorflow_*.py")}
    assert losses and losses | {"config.py", "tensorflow_backend.py", "program_export.py"} <= covered
