"""The command line: each exit code, with the words that come with it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from conformance import cli, golden
from conformance.cli import commands
from conformance.exit_codes import ConformanceError, ExitCode
from conformance.golden import load
from conformance.parallel import divided
from conformance.report import read_report

ROOT = Path(__file__).resolve().parent.parent
FAST = ["--backend", "torch", "--dtype", "float64"]


def _invoke(*arguments: str) -> tuple[int, str]:
    """Run as `main` does, with the errors that it turns into exit codes."""
    result: Result = CliRunner().invoke(cli.app, list(arguments))
    if isinstance(result.exception, ConformanceError):
        return int(result.exception.exit_code), str(result.exception)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


@pytest.fixture
def losses(tmp_path: Path) -> Path:
    path = tmp_path / "my_losses.py"
    path.write_text(
        "import torch\n"
        "def legacy(p, t): return (p - t).abs().mean()\n"
        "def squared(p, t): return ((p - t) ** 2).mean()\n"
        "def crash(p, t): raise RuntimeError('out of luck')\n"
        "class Module(torch.nn.Module):\n"
        "    def forward(self, p, t): return torch.nn.functional.l1_loss(p, t)\n"
        "number = 3\n"
    )
    return path


def test_run_says_conformant_and_exits_0() -> None:
    code, said = _invoke("run", *FAST)
    assert code == ExitCode.CONFORMANT and "conformant: " in said and "torch" in said


@pytest.mark.parametrize("modes", [(), ("eager",)])
def test_processes_side_by_side_say_what_one_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modes: tuple[str, ...]
) -> None:
    monkeypatch.setattr(commands, "DIVIDED", modes)
    reports = []
    for processes in ("1", "2"):
        path = tmp_path / f"{processes}.jsonl"
        more = ["--mode", "eager", "--mode", "strided", "--case", "mae-*", "--processes", processes]
        assert _invoke("run", "--backend", "torch", *more, "--report", str(path))[0] == ExitCode.CONFORMANT
        reports.append(read_report(path))
    (head, one, _), (_, two, _) = reports
    assert head["processes"] == 1 and len(one) > 100
    timeless = [[{**verdict, "seconds": 0} for verdict in verdicts] for verdicts in (one, two)]
    assert timeless[0] == timeless[1]


def test_what_is_divided_is_whole_and_options_stay_together() -> None:
    cases = load().cases
    parts = divided(cases, 3)
    assert sorted(name for part in parts for name in part) == sorted(case.question.case_id for case in cases)
    assert min(map(len, parts)) > len(cases) / 6
    where = {name: place for place, part in enumerate(parts) for name in part}
    options: dict[object, set[int]] = {}
    for case in cases:
        options.setdefault((case.question.loss, case.question.parameters), set()).add(where[case.question.case_id])
    assert {len(places) for places in options.values()} == {1}
    assert divided(cases[:1], 3) == [(cases[0].question.case_id,)]


def test_an_error_in_a_process_keeps_its_exit_code() -> None:
    arguments = ["run", "--backend", "torch", "--mode", "compile", "--case", "mae-typical", "--processes", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "conformance", *arguments],
        cwd=ROOT,
        env={**os.environ, "TORCHDYNAMO_DISABLE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4 and "TORCHDYNAMO_DISABLE" in done.stderr, done.stderr


def test_a_right_loss_exits_0_and_a_wrong_one_1(losses: Path) -> None:
    for name in ("legacy", "Module"):
        assert _invoke("check", f"{losses}:{name}", "--loss", "amplitude_mae")[0] == ExitCode.CONFORMANT
    code, said = _invoke("check", f"{losses}:squared", "--loss", "amplitude_mae")
    assert code == ExitCode.NOT_CONFORMANT and "NOT conformant" in said and "fail mae-typical" in said


def test_a_crashing_loss_exits_1_with_its_own_words(losses: Path) -> None:
    code, said = _invoke("check", f"{losses}:crash", "--loss", "amplitude_mae")
    assert code == ExitCode.NOT_CONFORMANT and "error mae-typical" in said and "out of luck" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--backend", "numpy"], "backend: got 'numpy'"),
        (["run", "--dtype", "float8"], "dtype: got 'float8'"),
        (["run", "--ties", "loose"], "ties: got 'loose'"),
        (["run", "--device", "tpu"], "device: got 'tpu'"),
        (["run", "--data", "nowhere.npz"], "nowhere.npz: no such file"),
        (["run", "--data", "x.npz", "--nphotons", "-1"], "--nphotons: got -1"),
        (["run", "--frames", "3"], "--data only"),
        (["run", "--mode", "fast"], "mode: got 'fast'"),
        (["run", "--no-such-option"], "No such option"),
        (["check", "nowhere.py:f", "--loss", "amplitude_mae"], "no such file"),
        (["check", "no_colon", "--loss", "amplitude_mae"], "wanted MODULE:ATTR"),
        (["check", "no_such_module:f", "--loss", "amplitude_mae"], "ModuleNotFoundError"),
        (["check", "math:pi", "--loss", "amplitude_mae"], "math:pi: is a float, wanted a callable"),
        (["check", "math:sqrt", "--loss", "mse"], "loss: got 'mse'"),
        (["check", "math:sqrt"], "Missing option"),
        (["gradients", "--backend", "torch"], "wanted at least two"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_usage_errors_exit_2_and_say_what_is_wanted(arguments: list[str], said: str) -> None:
    code, output = _invoke(*arguments)
    assert code == ExitCode.USAGE
    assert said in " ".join(output.split())


@pytest.mark.parametrize("damage", ["flip", "delete", "add"])
def test_damaged_fixtures_exit_3_before_any_framework_is_imported(tmp_path: Path, damage: str) -> None:
    checkout = tmp_path / "checkout"
    for part in ("conformance", "fixtures"):
        shutil.copytree(ROOT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__"))
    victim = checkout / "fixtures" / "golden" / "l2-typical.npz"
    if damage == "flip":
        victim.write_bytes(victim.read_bytes()[:-1] + bytes([victim.read_bytes()[-1] ^ 4]))
    elif damage == "delete":
        victim.unlink()
    else:
        (victim.parent / "l2-extra.npz").write_bytes(b"PK")
    program = (
        "import sys, runpy\n"
        "sys.argv = ['conformance', 'run']\n"
        "try: runpy.run_module('conformance', run_name='__main__')\n"
        "finally: print('imported:', sorted({'jax', 'torch', 'tensorflow'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.FIXTURES, done.stderr
    assert "imported: []" in done.stdout
    assert "l2-" in done.stderr and "Traceback" not in done.stderr


def test_a_missing_device_exits_4() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has the device that the test needs to be missing")
    code, said = _invoke("run", "--backend", "torch", "--device", "cuda")
    assert code == ExitCode.BACKEND and "no device 'cuda'" in said
    assert _invoke("run", "--backend", "jax", "--device", "cuda")[0] == ExitCode.BACKEND
    assert _invoke("run", "--backend", "tensorflow", "--device", "cuda")[0] == ExitCode.BACKEND


def test_a_missing_backend_exits_4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "conformance.backends.tensorflow_backend", None)
    code, said = _invoke("run")
    assert code == ExitCode.BACKEND and "backend tensorflow: does not import" in said


def test_a_mode_that_a_backend_lacks_exits_4() -> None:
    code, said = _invoke("run", "--backend", "torch", "--mode", "xla")
    assert code == ExitCode.BACKEND and "mode xla: no requested backend has it (torch has eager, " in said


@pytest.mark.parametrize("command", [["run", *FAST], ["gradients", "--backend", "torch", "--backend", "jax"]])
def test_nothing_checked_exits_5(command: list[str]) -> None:
    code, said = _invoke(*command, "--case", "no-such-case")
    assert code == ExitCode.NOTHING_CHECKED and "nothing was checked" in said


def test_a_single_case_can_be_chosen() -> None:
    code, said = _invoke("run", *FAST, "--case", "l2-dark-*")
    assert code == ExitCode.CONFORMANT and "conformant: 3 verdicts" in said


def test_the_report_has_header_verdicts_and_footer(tmp_path: Path, losses: Path) -> None:
    path = tmp_path / "report.jsonl"
    code, _ = _invoke("check", f"{losses}:squared", "--loss", "amplitude_mae", "--report", str(path))
    head, verdicts, foot = read_report(path)
    assert head["sha256"] == golden.load().digest and head["backends"]["torch"]["torch"]
    assert head["ties"] == "strict" and head["dtypes"] == ["float32", "float64"]
    assert foot["exit_code"] == code == ExitCode.NOT_CONFORMANT
    assert foot["verdicts"] == len(verdicts) and foot["counts"]["fail"] > 0
    assert all(row["message"] for row in verdicts if row["status"] == "fail")
    assert all(json.dumps(row, allow_nan=False) for row in verdicts)


def test_help_and_version_need_no_arguments() -> None:
    assert "Exit codes" in " ".join(_invoke("--help")[1].split())
    assert _invoke("--version")[0] == 0


def test_python_dash_m_is_the_same_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "run", "--backend", "numpy"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == ExitCode.USAGE
    assert done.stderr.startswith("error: backend: got 'numpy'") and "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["run", "check", "gradients"])
def test_the_help_says_the_defaults(command: str) -> None:
    words = " ".join(_invoke(command, "--help")[1].replace("│", " ").split())
    assert "(default: float32, float64)" in words
    if command == "run":
        for said in ("(default: all)", "(default: eager)", "(default: all, at most 64)", "the file's own, else 1e9)"):
            assert said in words


def test_an_interrupt_says_that_nothing_was_decided(tmp_path: Path) -> None:
    script, report = tmp_path / "script.py", tmp_path / "report.jsonl"
    script.write_text("def mae(p, t):\n    raise KeyboardInterrupt\n")
    command = [sys.executable, "-m", "conformance", "check", f"{script}:mae", "--loss", "amplitude_mae"]
    done = subprocess.run([*command, "--report", str(report)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 130 and not report.exists()
    assert done.stderr.strip() == "error: interrupted; this is no verdict, and no report was written"


@pytest.mark.parametrize(
    ("pattern", "near"),
    [("L2-typical", "'L2-typical' matches none of the"), ("l2-typical", "'l2-typical' matches only cases of another")],
)
def test_a_pattern_that_matches_nothing_says_so(losses: Path, pattern: str, near: str) -> None:
    code, said = _invoke("check", f"{losses}:legacy", "--loss", "amplitude_mae", "--case", pattern)
    assert code == ExitCode.NOTHING_CHECKED and near in said
    assert pattern == "l2-typical" or "l2-typical, " in said
