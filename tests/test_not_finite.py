"""Numbers that are not finite: hidden ones are found, declared ones are exact, overflow is never silent."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from conformance import check_loss
from conformance.backends.answer import Answer
from conformance.case import Case
from conformance.profile import declare
from conformance.verdict import judge_answer

NOT_FINITE = ("*-nan-*", "*-inf-*")
ONE_PIXEL = ("l2-nan-prediction*", "l2-nan-target*", "l2-nan-both*")


def _norm(x: Tensor) -> Tensor:
    energy = x.square().sum((1, 2, 3), keepdim=True)
    lit = energy > 0
    return torch.where(lit, torch.where(lit, energy, 1.0).sqrt(), 0.0)


def _unit(x: Tensor) -> Tensor:
    return x / torch.maximum(_norm(x), torch.full_like(x[:, :1, :1, :1], 2.0**-40))


def plain(p: Tensor, t: Tensor) -> Tensor:
    return (_unit(p) - _unit(t)).abs().mean()


def legacy(p: Tensor, t: Tensor) -> Tensor:
    return (p - t).abs().mean()


def nll(p: Tensor, t: Tensor, s: Tensor) -> Tensor:
    rate, counts = (s * p) ** 2, (s * t) ** 2
    return (rate - torch.where(counts > 0, counts * torch.where(counts > 0, rate, 1.0).log(), 0.0 * counts)).mean()


@pytest.mark.parametrize(
    ("loss", "right", "wrong"),
    [
        ("amplitude_l2_mae", plain, lambda p, t: plain(p.nan_to_num(posinf=0), t.nan_to_num(posinf=0))),
        ("amplitude_mae", legacy, lambda p, t: legacy(p.nan_to_num(), t.nan_to_num())),
        ("poisson_nll", nll, lambda p, t, s: nll(p, t, s).nan_to_num()),
    ],
)
def test_a_hidden_nan_is_found(loss: str, right: object, wrong: object) -> None:
    kept = [
        f"{loss.removeprefix('amplitude_').removeprefix('poisson_').removesuffix('_mae')}-{p[2:]}" for p in NOT_FINITE
    ]
    assert check_loss(right, loss=loss, cases=kept).conformant  # type: ignore[arg-type]
    result = check_loss(wrong, loss=loss, cases=kept)  # type: ignore[arg-type]
    assert {verdict.status for verdict in result.verdicts} == {"fail"}
    assert "a valid pixel is not: wanted nan or inf" in result.summary


@pytest.mark.parametrize("settings", [{"reduction": "none"}, {"reduction": "sample", "scope": "batch"}], ids=str)
def test_the_formula_as_it_stands_is_finite_beside_an_infinity_and_not_at_it(settings: dict[str, str]) -> None:
    """p / inf is 0: only the pixel itself is inf / inf. A NaN is in the norm, and everywhere that this divides."""
    axes = (0, 1, 2, 3) if "scope" in settings else (1, 2, 3)

    def unit(x: Tensor) -> Tensor:
        return x / torch.linalg.vector_norm(x.double(), dim=axes, keepdim=True).clamp_min(2.0**-40)

    def elements(p: Tensor, t: Tensor, hide: float | None = None) -> Tensor:
        left, right = unit(p), unit(t)
        if hide is not None:
            left, right = (torch.where(x.isnan(), hide, x) for x in (left, right))
        found = (left - right).to(p.dtype)
        found = found * found.detach().sign()
        return found.mean((1, 2, 3)) if settings["reduction"] == "sample" else found

    profile = declare("contract", settings)
    cases = ("l2-inf-*", "l2-minus-inf-*", "l2-nan-*")
    assert check_loss(elements, loss="amplitude_l2_mae", cases=cases, profile=profile).conformant
    result = check_loss(lambda p, t: elements(p, t, 0.0), loss="amplitude_l2_mae", cases=cases, profile=profile)
    assert {verdict.status for verdict in result.verdicts} == {"fail"}

    def norm_without_nan(p: Tensor, t: Tensor) -> Tensor:
        units = (x / torch.linalg.vector_norm(x.nan_to_num().double(), dim=axes, keepdim=True) for x in (p, t))
        found = next(units) - next(units)
        found = (found * found.detach().sign()).to(p.dtype)
        return found.mean((1, 2, 3)) if settings["reduction"] == "sample" else found

    result = check_loss(norm_without_nan, loss="amplitude_l2_mae", cases=ONE_PIXEL, profile=profile)
    assert {verdict.status for verdict in result.verdicts} == {"fail"}


def test_an_overflowing_norm_is_not_finite_or_right_but_never_a_silent_zero() -> None:
    cases = ("l2-overflow*",)

    def loud(p: Tensor, t: Tensor) -> Tensor:
        norms = [torch.where(_norm(x).isinf(), torch.nan, _norm(x)) for x in (p, t)]
        return (p / norms[0] - t / norms[1]).abs().mean()

    def scaled(p: Tensor, t: Tensor) -> Tensor:
        p, t = (x / x.detach().abs().amax((1, 2, 3), keepdim=True) for x in (p, t))
        return plain(p, t)

    silent = check_loss(plain, loss="amplitude_l2_mae", cases=cases)
    assert {v.dtype for v in silent.failures} == {"float32"}
    assert check_loss(loud, loss="amplitude_l2_mae", cases=cases).conformant
    assert check_loss(loud, loss="amplitude_l2_mae", cases=cases, dtype="float64").conformant
    assert check_loss(scaled, loss="amplitude_l2_mae", cases=cases).conformant


def test_where_numbers_are_finite_a_nan_still_fails_next_to_an_overflow(case_of: dict[str, Case]) -> None:
    case = case_of["l2-typical"]
    answer = Answer(np.asarray(np.nan), case.truth.gradient, "float32", "float32")
    assert judge_answer(case, answer, "float32", "strict")[0] == "fail"


def test_an_infinite_loss_is_that_infinity_and_its_gradient_too(case_of: dict[str, Case]) -> None:
    case = case_of["nll-infinite"]
    truth = case.truth
    assert np.isposinf(truth.value) and np.any(np.isneginf(truth.gradient))

    def judged(value: float, gradient: np.ndarray) -> str:
        return judge_answer(case, Answer(np.asarray(value), gradient, "float64", "float64"), "float64", "strict")[0]

    assert judged(np.inf, truth.gradient) == "pass"
    assert judged(np.nan, truth.gradient) == "fail"
    assert judged(1e308, truth.gradient) == "fail"
    assert judged(np.inf, np.where(np.isfinite(truth.gradient), truth.gradient, np.nan)) == "fail"
    assert judged(np.inf, np.where(np.isfinite(truth.gradient), truth.gradient, -1e308)) == "fail"
    assert judged(np.inf, np.where(np.isfinite(truth.gradient), truth.gradient * 1.01, -np.inf)) == "fail"


def test_a_floor_however_small_is_found_at_rate_zero() -> None:
    def floored(p: Tensor, t: Tensor, s: Tensor) -> Tensor:
        rate, counts = (s * p) ** 2, (s * t) ** 2
        return (rate - counts * torch.clamp(rate, min=1e-37).log()).mean()

    result = check_loss(floored, loss="poisson_nll", cases=("nll-infinite",))
    assert {verdict.status for verdict in result.verdicts} == {"fail"}


@pytest.mark.parametrize(("beside", "status"), [(1.0, "pass"), (np.nan, "fail"), (np.inf, "pass")])
def test_a_nan_in_the_same_norm_leaves_no_number_finite_beside_an_infinity(
    case_of: dict[str, Case], beside: float, status: str
) -> None:
    case = case_of["l2-per-element"]
    prediction = case.question.prediction.copy()
    prediction[0, 0, 0, :2] = np.inf, beside
    hurt = ~np.isfinite(prediction)
    unknown = np.full(prediction.shape, np.nan)
    case = replace(
        case,
        question=replace(case.question, prediction=prediction),
        truth=replace(case.truth, value=unknown, gradient=unknown),
    )
    answer = Answer(np.where(hurt, np.nan, 0.0), unknown, "float64", "float64")
    assert judge_answer(case, answer, "float64", "strict")[0] == status
