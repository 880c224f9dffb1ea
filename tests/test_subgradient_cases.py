"""Every golden case with ties: another sign there is a subgradient up to 1, and none beyond, whatever the options."""

from dataclasses import replace

import numpy as np
import pytest

from conformance.backends.answer import Answer
from conformance.case import Case
from conformance.golden import GoldenSet, load
from conformance.subgradient import _fits, _smallest_margin
from conformance.tolerance.scopes import Scopes
from conformance.verdict import judge_answer, tolerances

MAES = ("amplitude_l2_mae", "amplitude_mae")


def _amplitude(array: np.ndarray, domain: str) -> np.ndarray:
    return np.sqrt(array) if domain == "intensity" else np.abs(array) if domain == "field" else array


def _slope(array: np.ndarray, domain: str) -> np.ndarray:
    """d a / d input, to be multiplied with a gradient with respect to the amplitude."""
    if domain == "amplitude":
        return np.ones(array.shape)
    return 0.5 / np.sqrt(array) if domain == "intensity" else array / np.abs(array)


def _tie(case: Case) -> tuple[int, ...] | None:
    """Return an exact tie that a sign can be seen at: lit, valid, and above eps."""
    question, sign = case.question, case.truth.sign
    if question.loss not in MAES or sign is None or not case.has_ties:
        return None
    own = _amplitude(np.nan_to_num(question.of_gradient), question.parameters.domain)
    lit = (sign == 0) & question.valid & (own != 0) & np.isfinite(case.truth.gradient)
    if question.loss == "amplitude_l2_mae":
        norm = np.sqrt(Scopes(question).total(np.where(question.valid, own, 0) ** 2))
        lit = lit & (norm > question.parameters.eps) & (np.abs(own) < 0.9 * norm)
    found = np.argwhere(lit)
    return tuple(int(i) for i in found[len(found) // 2]) if len(found) else None


def _turned(case: Case, at: tuple[int, ...], sign: float) -> np.ndarray:
    """Return the gradient that the case would have if the sign at one tie were this one, by the formula of the loss."""
    question, options = case.question, case.question.parameters
    own = np.where(question.valid, _amplitude(np.nan_to_num(question.of_gradient), options.domain), 0)
    towards = -sign if options.wrt == "target" else sign
    change = np.zeros(own.shape)
    if question.loss == "amplitude_mae":
        change[at] = towards * question.weight[at[0], 0, 0, 0] * (options.scale.value if options.scale else 1.0)
    else:
        scopes = Scopes(question)
        member = (scopes.label == scopes.label[at[:2]])[:, :, None, None] & question.valid
        norm = np.sqrt(np.sum(own[member] ** 2))
        gain = np.sqrt(member.sum()) if options.gain == "unit_rms" else 1.0
        step = towards * gain * question.weight[at[0], 0, 0, 0] / norm
        change[member] = -step * own[member] / norm * own[at] / norm
        change[at] += step
    slope = np.zeros(own.shape, question.prediction.dtype)
    lit = own != 0
    slope[lit] = _slope(np.where(lit, question.of_gradient, 1), options.domain)[lit]
    return np.asarray(case.truth.gradient + change * slope)


TIED = [case.question.case_id for case in load().cases if _tie(case) is not None]


def test_every_kind_of_question_has_a_tie_here(golden: GoldenSet) -> None:
    kinds = {(c.question.loss, c.question.parameters.domain) for c in golden.cases if c.question.case_id in TIED}
    assert kinds >= {(MAES[0], "amplitude"), (MAES[0], "intensity"), (MAES[1], "amplitude"), (MAES[1], "field")}
    assert len(TIED) >= 12


def _held(case: Case, at: tuple[int, ...], dtype: str) -> bool:
    """Return whether a settled sign in the scope of a tie leaves it no way out.

    Where every sign is open, a gradient is the same for s and for s + alpha phat: 1.25 at one tie is then within reach.
    """
    sign = case.truth.sign
    assert sign is not None
    if case.question.loss == "amplitude_mae":
        return True
    scopes = Scopes(case.question)
    member = (scopes.label == scopes.label[at[:2]])[:, :, None, None] & case.question.valid
    settled = (sign != 0) & ~tolerances(case, dtype)[0].unsettled & (case.question.of_gradient != 0)
    return bool(np.any(member & settled))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", TIED)
def test_another_sign_at_one_tie_is_a_subgradient_up_to_one(case_of: dict[str, Case], name: str, dtype: str) -> None:
    case = case_of[name]
    at = _tie(case)
    assert at is not None
    for sign, status in ((1.0, "pass"), (-0.5, "pass"), (-1.0, "pass"), (1.25, "fail"), (-1.25, "fail")):
        kind = (
            dtype if case.truth.gradient.dtype.kind == "f" else {"float64": "complex128", "float32": "complex64"}[dtype]
        )
        answer = Answer.of(case.truth.value.astype(dtype), _turned(case, at, sign).astype(kind))
        if status == "pass" or _held(case, at, dtype):
            assert judge_answer(case, answer, dtype, "subgradient")[0] == status, sign
        if tolerances(case, dtype)[0].tied[at]:
            assert judge_answer(case, answer, dtype, "strict")[0] == "fail"


LEGACY = [
    name
    for name in TIED
    for case in [next(case for case in load().cases if case.question.case_id == name)]
    if case.question.loss == "amplitude_mae" and case.question.parameters.domain == "amplitude"
    if np.any(case.truth.gradient != 0)
]


@pytest.mark.parametrize("name", LEGACY)
def test_of_the_legacy_loss_the_target_has_the_same_subgradients_with_the_other_sign(
    case_of: dict[str, Case], name: str
) -> None:
    case = case_of[name]
    question, truth, at = case.question, case.truth, _tie(case)
    assert at is not None
    wrt = "prediction" if question.parameters.wrt == "target" else "target"
    parameters = replace(question.parameters, wrt=wrt)
    turned = replace(
        case, question=replace(question, parameters=parameters), truth=replace(truth, gradient=-truth.gradient)
    )
    for gradient, status in ((-truth.gradient, "pass"), (-_turned(case, at, 1.0), "pass"), (truth.gradient, "fail")):
        assert judge_answer(turned, Answer.of(truth.value, gradient), "float64", "subgradient")[0] == status


def test_without_a_scale_it_is_one(case_of: dict[str, Case]) -> None:
    case = case_of["mae-dead-pixels"]
    assert case.question.parameters.scale is not None and case.question.parameters.scale.value == 1.0
    bare = replace(case, question=replace(case.question, parameters=replace(case.question.parameters, scale=None)))
    answer = Answer.of(case.truth.value, case.truth.gradient)
    assert (
        judge_answer(bare, answer, "float64", "subgradient")[:3]
        == judge_answer(case, answer, "float64", "subgradient")[:3]
    )
    assert judge_answer(bare, answer, "float64", "subgradient")[0] == "pass"


def test_two_settled_signs_that_meet_in_one_coupling_fit_without_slack() -> None:
    phat, sign, free = np.array([0.5, 0.5]), np.array([1.0, -1.0]), np.array([False, False])
    fits = np.array([0.5, -1.5])  # s = y + alpha phat at alpha = 1
    assert _fits(fits, phat, np.zeros(2), sign, free, coupled=True)
    assert _smallest_margin(fits, phat, np.full(2, 1e-9), sign, free, coupled=True) == 0
    assert not _fits(fits + np.array([2.0**-40, 0]), phat, np.zeros(2), sign, free, coupled=True)


FIELDS = [
    case.question.case_id
    for case in load().cases
    if case.question.parameters.domain == "field" and case.has_ties and np.all(np.isfinite(case.truth.gradient))
    if np.any(case.truth.gradient != 0)
]


@pytest.mark.parametrize("name", FIELDS)
def test_a_gradient_across_a_field_is_none(case_of: dict[str, Case], name: str) -> None:
    case = case_of[name]
    right = case.truth.gradient
    for dtype, kind in (("float64", "complex128"), ("float32", "complex64")):
        answer = Answer.of(case.truth.value.astype(dtype), right.astype(kind))
        assert judge_answer(case, answer, dtype, "subgradient")[0] == "pass"
        turned = Answer.of(case.truth.value.astype(dtype), (right * np.exp(1e-3j)).astype(kind))
        assert judge_answer(case, turned, dtype, "subgradient")[0] == "fail"
