"""Where rounding decides between two regimes, the derivation allows for both, and nowhere else."""

import numpy as np
import pytest

from conformance.case import Parameters, Question, Scale
from conformance.golden import GoldenSet
from conformance.tolerance import ARITHMETICS, bounds
from conformance.tolerance.poisson_terms import STIRLING_JUMP, constant_term
from conformance.tolerance.scopes import Scopes
from conformance.tolerance.sums import overflows
from conformance.verdict import tolerances


def _flat(numbers: list[float]) -> np.ndarray:
    return np.array(numbers).reshape(1, 1, 1, -1)


def test_near_the_floor_a_clamp_may_act_or_not() -> None:
    """At s p = sqrt(floor) rounding decides: the whole gradient is allowed there, and 0 well below."""
    p, t = _flat([3.0, 1.0, 9.0]), _flat([5.0, 5.0, 5.0])
    options = Parameters(scale=Scale(1.0), reduction="sum", rate_guard="clamp", rate_floor=9.0)
    derived = bounds(Question("clamp", "poisson_nll", options, p, t), np.zeros(()), None, "float32")
    at, below, above = derived.gradient.ravel()
    slope = 2 * (25 - 9) / 3
    assert slope < at < 1.001 * slope
    assert below < 1e-30
    assert 0 < above < 1e-4


def test_where_squares_overflow_the_derivation_says_so() -> None:
    p, t = _flat([2.0**64, 1.0]), _flat([1.0, 2.0])
    question = Question("overflow", "amplitude_l2_mae", Parameters(), p, t)
    signs = np.array([1, -1], np.int8).reshape(p.shape)
    assert bounds(question, np.ones(()), signs, "float32").overflow
    assert not bounds(question, np.ones(()), signs, "float64").overflow


def test_a_sign_that_rounding_decides_is_open_by_the_whole_jump() -> None:
    """phat and that differ by far less than their rounding: a correct codepath may have +1, 0 or -1 there."""
    p = np.array([1.0, 1.0, 1.0]).reshape(1, 1, 1, 3)
    t = np.array([1.0 + 2.0**-23, 1.0, 1.0 - 2.0**-23]).reshape(1, 1, 1, 3)
    question = Question("open", "amplitude_l2_mae", Parameters(), p, t)
    sign = np.array([-1, 0, 1], np.int8).reshape(p.shape)
    derived = bounds(question, np.zeros(()), sign, "float32")
    assert derived.unsettled.all()
    slope = question.weight / 3**0.5
    assert (derived.gradient > slope * np.array([2, 1, 2]).reshape(p.shape)).all()


@pytest.mark.parametrize(
    ("p", "t", "tied"),
    [
        ([2.0, 4.0], [1.0, 2.0], [True, True]),
        ([3.0, 6.0], [1.0, 2.0], [False, False]),
        ([0.0, 5.0], [0.0, 2.0], [True, False]),
        ([1.0, 2.0], [2.0, 1.0], [False, False]),
        ([2.0**-60, 2.0**-61], [2.0**-60, 2.0**-60], [True, False]),
        ([2.0**-60, 2.0**-61], [2.0**-61, 2.0**-62], [False, False]),
    ],
    ids=["double", "triple", "dead-pixel", "permuted", "both-below-eps", "double-below-eps"],
)
def test_only_ties_that_rounding_preserves_are_held_against_a_codepath(
    p: list[float], t: list[float], tied: list[bool]
) -> None:
    shape = (1, 1, 1, 2)
    prediction, target = np.array(p).reshape(shape), np.array(t).reshape(shape)
    question = Question("ties", "amplitude_l2_mae", Parameters(), prediction, target)
    derived = bounds(question, np.zeros(()), np.zeros(shape, np.int8), "float32")
    assert derived.tied.ravel().tolist() == tied
    assert not np.any(derived.tied & derived.unsettled)


def test_near_the_norm_eps_both_regimes_are_allowed() -> None:
    shape = (1, 1, 1, 2)
    prediction = np.array([3.0, 4.0000001]).reshape(shape)
    question = Question("edge", "amplitude_l2_mae", Parameters(eps=5.0), prediction, np.ones(shape))
    derived = bounds(question, np.zeros(()), np.ones(shape, np.int8), "float32")
    coupled = prediction / 5 * np.sum(prediction / 5) * question.weight / 5
    assert np.all(derived.gradient >= coupled)


def test_the_poisson_tolerance_grows_with_a_derived_scale_and_at_the_jump_of_stirling() -> None:
    shape = (1, 1, 1, 2)
    p, t = np.array([3.0, 5.0]).reshape(shape), np.array([1.0, 4.0]).reshape(shape)

    def value(scale: Scale, constant: str = "none") -> float:
        question = Question("nll", "poisson_nll", Parameters(scale=scale, constant=constant), p, t)
        return float(bounds(question, np.zeros(()), None, "float32").value)

    given, derived = Scale(1.0), Scale(1.0, "dataset", 17.0 / 2)
    assert value(derived) > value(given)
    assert value(given, "stirling") > 0.04 > value(Scale(1.5), "stirling")


@pytest.mark.parametrize("dtype", ARITHMETICS)
def test_a_count_that_rounding_may_put_on_either_side_of_1_may_jump(dtype: str) -> None:
    arithmetic = ARITHMETICS[dtype]
    near, far = 1 + 4 * arithmetic.unit, 1 + 64 * arithmetic.unit
    error = constant_term("stirling", np.array([near, far]), arithmetic).error
    assert error[0] >= STIRLING_JUMP > error[1]


@pytest.mark.parametrize("dtype", ARITHMETICS)
def test_an_energy_within_its_rounding_of_the_largest_number_may_overflow(dtype: str) -> None:
    arithmetic, size = ARITHMETICS[dtype], 8

    def said(part: float) -> bool:
        with np.errstate(over="ignore"):
            p = np.full((1, 1, 1, size), np.sqrt(part * arithmetic.largest / size))
        return overflows(p, Scopes(Question("large", "amplitude_l2_mae", Parameters(), p, p)), arithmetic)

    assert said(1 - 2 * size * arithmetic.accumulator) and not said(1 - 16 * size * arithmetic.accumulator)


@pytest.mark.parametrize("name", ["l2-below-eps", "l2-dark-prediction"])
def test_below_eps_the_gradient_is_held_as_tightly_as_above(golden: GoldenSet, name: str) -> None:
    """There is no norm to be wrong about there: the constant 1 / eps, a weight, a sign."""
    (case,) = [case for case in golden.cases if case.question.case_id == name]
    for dtype, arithmetic in ARITHMETICS.items():
        _, _, of_gradient = tolerances(case, dtype)
        assert np.all(of_gradient[0] <= 32 * arithmetic.unit * np.abs(case.truth.gradient[0]))
