"""Calls of `check_loss` that mean nothing are refused by the name of the argument, before anything is judged."""

from typing import Any

import pytest
import torch

from conformance import UsageError, check_loss
from conformance.golden import GoldenSet
from conformance.profile import Profile


def mae(p: Any, t: Any) -> Any:
    return (p - t).abs().mean()


@pytest.mark.parametrize("given", [None, "mae", 3, torch.nn.L1Loss], ids=str)
def test_what_cannot_be_called_is_no_loss(given: Any) -> None:
    with pytest.raises(UsageError, match=r"callable: got .*, wanted a function"):
        check_loss(given, loss="amplitude_mae")


@pytest.mark.parametrize(
    ("argument", "given", "said"),
    [
        ("cases", [3], r"cases: got 3, wanted shell patterns of case ids, or cases"),
        ("cases", 3, r"cases: got 3, wanted shell patterns of case ids, or cases"),
        ("dtype", torch.float32, r"dtype: got torch.float32, wanted a name, or a sequence of names"),
        ("dtype", [torch.float32], r"dtype: got torch.float32, wanted one of float32"),
        ("dtype", [], "dtype: got none"),
        ("mode", None, "mode: got None, wanted a name, or a sequence of names"),
        ("mode", [], "mode: got none"),
        ("mode", [None], "mode: got None, wanted compiled"),
        ("device", "tpu", "device: got 'tpu', wanted one of cpu, cuda"),
        ("device", "mps", "device: got 'mps', wanted one of cpu, cuda"),
        ("profile", None, "profile: got None, wanted the name of a convention or a Profile"),
        ("profile", {}, "profile: got {}, wanted the name of a convention or a Profile"),
        ("framework", "keras", "framework: got 'keras', wanted one of jax, torch, tensorflow"),
        ("framework", "tensorflow-program", "framework: got 'tensorflow-program', wanted one of"),
    ],
)
def test_an_argument_of_another_kind_is_refused(argument: str, given: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_loss(mae, loss="amplitude_mae", **{argument: given})


@pytest.mark.parametrize(
    "given",
    [
        {"order": "Target_First"},
        {"layout": "NHWC"},
        {"inputs": "intensity"},
        {"mask": True},
        {"options": {"scale": "2"}},
        {"options": {"reduction": "average"}},
        {"rate_floor": -1.0},
    ],
    ids=str,
)
def test_a_convention_that_is_none_is_refused_where_it_is_made(given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(UsageError, match=f"profile {name}"):
        Profile(**given)


def test_one_pattern_is_one_pattern() -> None:
    (verdict,) = check_loss(mae, loss="amplitude_mae", cases="mae-typical", dtype="float64").verdicts
    assert verdict.case_id == "mae-typical"


def test_a_case_that_was_not_judged_is_not_counted(golden: GoldenSet) -> None:
    result = check_loss(mae, loss="amplitude_mae", dtype="float32")
    skipped = sum(verdict.status == "skip" for verdict in result.verdicts)
    assert skipped and result.conformant
    assert result.summary.startswith(f"conformant: {len(result.verdicts) - skipped} verdicts, {skipped} skipped, worst")
    wrong = check_loss(lambda p, t: 2 * mae(p, t), loss="amplitude_mae", dtype="float32")
    assert f" of {len(result.verdicts) - skipped} verdicts fail" in wrong.summary


def test_a_loss_of_other_arguments_is_told_how_it_is_called() -> None:
    def nll(p: Any, t: Any, scale: Any) -> Any:
        return (scale * (p - t)).mean()

    for loss, called, handed in (
        ("amplitude_mae", nll, "two arrays"),
        ("poisson_nll", mae, "two arrays and a scale"),
    ):
        result = check_loss(called, loss=loss, cases=f"{loss[-3:]}-typical")
        assert f"[judged as {loss}, a loss is called with {handed}]" in result.summary


@pytest.mark.parametrize("error", [RuntimeError("1 positional argument"), TypeError("unsupported operand")], ids=str)
def test_what_a_loss_raises_itself_is_left_as_it_is(error: Exception) -> None:
    def loss(p: Any, t: Any) -> Any:
        raise error

    result = check_loss(loss, loss="amplitude_mae", cases="mae-typical")
    assert str(error) in result.summary and "judged as" not in result.summary
