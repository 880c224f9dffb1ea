"""Ties: strict by default, any subgradient on request, and nothing that is neither."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from conformance import check_loss
from conformance.backends.answer import Answer
from conformance.case import Case, Parameters, Question, Truth
from conformance.verdict import judge_answer
from fixtures.case import Amplitudes
from fixtures.case import Case as Solved
from fixtures.truth import solve


def _normalised(p: Any) -> Any:
    return p / p.square().sum((1, 2, 3), keepdim=True).sqrt()


def _with_sign_of_zero(sign: float) -> Any:
    def loss(p: Any, t: Any) -> Any:
        d = _normalised(p) - _normalised(t)
        return (d.abs() + sign * d * (d == 0)).mean()

    return loss


@pytest.mark.parametrize("case", ["l2-equal", "l2-double", "l2-dead-pixels"])
@pytest.mark.parametrize("sign", [1.0, -1.0, 0.5])
def test_another_subgradient_fails_strictly_and_passes_on_request(case: str, sign: float) -> None:
    loss = _with_sign_of_zero(sign)
    strict = check_loss(loss, loss="amplitude_l2_mae", cases=[case])
    assert not strict.conformant
    if case == "l2-dead-pixels":
        assert "sign(0) = 0 is declared" in strict.failures[0].message
    assert check_loss(loss, loss="amplitude_l2_mae", cases=[case], ties="subgradient").conformant


@pytest.mark.parametrize("case", ["l2-equal", "l2-dead-pixels"])
def test_more_than_a_subgradient_fails_either_way(case: str) -> None:
    result = check_loss(_with_sign_of_zero(1.5), loss="amplitude_l2_mae", cases=[case], ties="subgradient")
    assert not result.conformant
    assert "no subgradient fits" in result.failures[0].message


def test_sign_zero_is_a_subgradient_too() -> None:
    loss = _with_sign_of_zero(0.0)
    for ties in ("strict", "subgradient"):
        assert check_loss(loss, loss="amplitude_l2_mae", cases=["l2-dead-pixels"], ties=ties).conformant


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_gradient_without_its_coupling_is_no_subgradient(case_of: dict[str, Case], dtype: str) -> None:
    """Signs alone, w s / P, satisfy the interval test with alpha = 0: only <g, p> = 0 finds them."""
    case = case_of["l2-dead-pixels"]
    p = case.question.prediction
    norm = np.sqrt(np.sum(p * p, axis=(1, 2, 3), keepdims=True))
    assert case.truth.sign is not None
    uncoupled = (case.question.weight / norm * case.truth.sign).astype(dtype)
    answer = Answer.of(case.truth.value.astype(dtype), uncoupled)
    for ties in ("strict", "subgradient"):
        assert judge_answer(case, answer, dtype, ties)[0] == "fail"


@pytest.mark.parametrize("case", ["l2-equal", "l2-dead-pixels", "l2-dark-both", "mae-dead-pixels", "mae-equal"])
def test_a_spoilt_gradient_is_no_subgradient(case_of: dict[str, Case], case: str) -> None:
    chosen = case_of[case]
    for spoil in (np.nan, np.inf, 1.0):
        gradient = chosen.truth.gradient.copy()
        gradient.flat[-7] += spoil  # in a lit sample: in a dark one the slope is 1 / eps
        answer = Answer.of(chosen.truth.value, gradient)
        assert judge_answer(chosen, answer, "float64", "subgradient")[0] == "fail"


def test_a_settled_sign_is_not_free_because_ties_are(case_of: dict[str, Case]) -> None:
    """Half the weight on one settled pixel is a consistent gradient of another loss."""

    def loss(p: Any, t: Any) -> Any:
        d = (_normalised(p) - _normalised(t)).abs()
        return d.mean() - 0.5 * d[:, :, 0, 1].sum() / d.numel()

    case = case_of["l2-dead-pixels"]
    assert case.truth.sign is not None and np.all(case.truth.sign[:, 0, 0, 1] != 0)
    result = check_loss(loss, loss="amplitude_l2_mae", cases=["l2-dead-pixels"], ties="subgradient")
    assert all("gradient" in verdict.message for verdict in result.failures) and len(result.failures) == 2


def _rational(array: np.ndarray) -> Amplitudes:
    return Amplitudes((1, 1, 1, 3), [Fraction(x) for x in array.ravel()])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_below_eps_there_is_no_coupling_to_look_for(dtype: str) -> None:
    p, t = (np.array(numbers).reshape(1, 1, 1, 3) for numbers in ([0.0, 2.0**-50, 2.0**-51], [0.0, 1.0, 2.0]))
    exact = solve(Solved("dark", "amplitude_l2_mae", *(_rational(array) for array in (p, t)), "", ""))
    value, gradient = np.array(exact.value[0]), np.array(exact.gradient).reshape(p.shape)
    sign = np.array(exact.sign, np.int8).reshape(p.shape)
    none = np.zeros(())
    case = Case(
        Question("dark", "amplitude_l2_mae", Parameters(), p, t),
        Truth(value, gradient, sign, none, np.zeros_like(gradient)),
        has_ties=True,
    )
    answer = Answer.of(value.astype(dtype), gradient.astype(dtype))
    for ties in ("strict", "subgradient"):
        assert judge_answer(case, answer, dtype, ties)[0] == "pass"


@pytest.mark.parametrize("sign", [1.0, -0.25])
def test_the_legacy_loss_has_subgradients_without_coupling(sign: float) -> None:
    def loss(p: Any, t: Any) -> Any:
        return ((p - t).abs() + sign * (p - t) * (p == t)).mean()

    assert not check_loss(loss, loss="amplitude_mae", cases=["mae-dead-pixels"]).conformant
    assert check_loss(loss, loss="amplitude_mae", cases=["mae-dead-pixels"], ties="subgradient").conformant


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("sign", [0.0, 1.0])
def test_a_subgradient_is_still_one_when_it_is_rounded_to_half_precision(dtype: str, sign: float) -> None:
    def loss(p: Any, t: Any) -> Any:
        return _with_sign_of_zero(sign)(p.float(), t.float())

    cases = ["l2-dead-pixels", "l2-equal", "l2-double"]
    result = check_loss(loss, loss="amplitude_l2_mae", cases=cases, ties="subgradient", dtype=dtype)
    assert result.conformant, result.summary


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_in_half_precision_too_more_than_a_subgradient_fails(dtype: str) -> None:
    def loss(p: Any, t: Any) -> Any:
        return _with_sign_of_zero(1.5)(p.float(), t.float())

    for case in ("l2-dead-pixels",):
        result = check_loss(loss, loss="amplitude_l2_mae", cases=[case], ties="subgradient", dtype=dtype)
        assert not result.conformant and "no subgradient fits" in result.failures[0].message
