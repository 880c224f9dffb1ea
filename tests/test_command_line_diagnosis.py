"""The diagnosis on the command line: beside the verdict, never instead of it."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import conformance.check
from conformance.affine import under_profile
from conformance.cli import app
from conformance.codepaths import torch_losses
from conformance.golden import GoldenSet
from conformance.profile import PROFILES
from conformance.report import read_report

SQUARED = """
def loss(p, t):
    n = lambda x: (x * x).sum((1, 2, 3), keepdim=True).sqrt().clamp_min(2.0**-40)
    return (p / n(p).detach() - t / n(t)).abs().mean()
"""


def _check(tmp_path: Path, *more: str) -> Any:
    (tmp_path / "mine.py").write_text(SQUARED)
    command = ["check", f"{tmp_path / 'mine.py'}:loss", "--loss", "amplitude_l2_mae", "--dtype", "float64", *more]
    return CliRunner().invoke(app, command)


@pytest.fixture
def asked(golden: GoldenSet) -> int:
    """How many golden cases a loss of the default convention is asked."""
    own = [case for case in golden.cases if case.question.loss == "amplitude_l2_mae"]
    return len(under_profile(own, PROFILES["contract"]))


def test_a_failing_loss_is_told_what_it_resembles(tmp_path: Path, asked: int) -> None:
    done = _check(tmp_path)
    assert done.exit_code == 1
    assert "diagnosis (torch float64 eager):" in done.stdout
    assert "agrees with the known wrong loss 'norm-detached'" in done.stdout
    assert sum(line.startswith("fail ") for line in done.stdout.splitlines()) == 3
    assert done.stdout.splitlines()[-1].startswith(f"NOT conformant: {asked} verdicts")


def test_without_it_the_failures_are_shown_at_length(tmp_path: Path) -> None:
    done = _check(tmp_path, "--no-diagnose")
    assert done.exit_code == 1 and "diagnosis" not in done.stdout
    assert sum(line.startswith("fail ") for line in done.stdout.splitlines()) == 12


def test_a_diagnosis_that_fails_costs_neither_report_nor_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: int
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(conformance.check, "diagnose_first", broken)
    done = _check(tmp_path, "--report", str(tmp_path / "report.jsonl"))
    assert done.exit_code == 1
    assert "no diagnosis: it ended in ZeroDivisionError: on purpose" in done.stdout
    assert len(read_report(tmp_path / "report.jsonl")[1]) == asked


def test_a_shipped_codepath_that_was_changed_is_not_explained_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    right_l2, right_nll = torch_losses.amplitude_l2_mae, torch_losses.poisson_nll

    def beyond_eight(p: Any, *operands: Any, **given: Any) -> Any:
        return right_l2(p, *operands, **given) * (1.125 if p.shape[0] > 8 else 1)

    def stirling(*operands: Any, **given: Any) -> Any:
        constant = "stirling" if given["constant"] == "lgamma" else given["constant"]
        return right_nll(*operands, **{**given, "constant": constant})

    from conformance.backends.torch_backend import _shipped

    _shipped.cache_clear()
    monkeypatch.setattr(torch_losses, "amplitude_l2_mae", beyond_eight)
    monkeypatch.setattr(torch_losses, "poisson_nll", stirling)
    try:
        done = CliRunner().invoke(app, ["run", "--backend", "torch", "--dtype", "float64"])
    finally:
        _shipped.cache_clear()
    assert done.exit_code == 1
    assert "agrees with the known wrong loss 'beyond-eight-samples'" in done.stdout
    assert "lgamma-for-stirling" not in done.stdout and "stirling-for-lgamma" not in done.stdout
    assert done.stdout.count("diagnosis (torch float64 eager):") == 2
