"""Where rounding decides between two regimes, the derivation allows for both, and nowhere else."""

from math import lgamma

import numpy as np
import pytest
from roundings import SHORT, apart

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


@pytest.mark.parametrize("side", [0, 1], ids=["prediction", "target"])
@pytest.mark.parametrize("elements", [2, 49, 4096])
def test_a_norm_far_below_eps_is_the_constant_eps_though_its_squares_underflow(elements: int, side: int) -> None:
    """sum(p^2) may be anything from 0 to n eta there, whose root is below eps: nothing of it reaches an answer."""
    pair = [np.zeros((1, 1, 1, elements)), np.arange(1.0, elements + 1).reshape(1, 1, 1, -1)]
    wanted = None
    for exponent in (-25, -60, -70, -75, -100, -120):
        pair[0][..., 0] = 2.0**exponent
        question = Question("dark", "amplitude_l2_mae", Parameters(), *pair[:: 1 - 2 * side])
        derived = bounds(question, np.ones(()), np.full(pair[0].shape, 2 * side - 1, np.int8), "float32")
        assert np.all(derived.gradient > 0) and derived.value > 0
        if exponent < -50:
            tight = derived.gradient if wanted is None else wanted
            np.testing.assert_allclose(derived.gradient, tight, rtol=ARITHMETICS["float32"].grow(8))
            wanted = tight


def test_a_norm_within_its_underflow_of_a_tiny_eps_is_open_between_eps_and_that() -> None:
    """Squares of 2^-66 are flushed or not: the norm is 2^-66 sqrt(n), or eps = 2^-70, and nothing outside the two."""
    p, t = np.full((1, 1, 1, 16), 2.0**-66), np.arange(1.0, 17.0).reshape(1, 1, 1, 16)
    question = Question("flushed", "amplitude_l2_mae", Parameters(eps=2.0**-70), p, t)
    sign = np.where(p / np.linalg.norm(p) > t / np.linalg.norm(t), 1, -1).astype(np.int8)
    derived = bounds(question, np.ones(()), sign, "float32")
    weight = question.weight
    flushed = np.abs(p / 2.0**-70 - t / np.linalg.norm(t)).mean()
    exact = np.abs(p / np.linalg.norm(p) - t / np.linalg.norm(t)).mean()
    assert derived.value > abs(flushed - exact)
    assert np.all(derived.gradient > weight * (1 / 2.0**-70 - 1 / np.linalg.norm(p)))
    assert np.all(np.isfinite(derived.gradient)) and np.isfinite(derived.value)


def test_a_power_of_two_carries_a_tie_over_only_where_no_square_underflows() -> None:
    t = _flat([2.0**-23] * 4 + [2.0**-11] * 2 + [3.0])
    for exponent, held in ((-1, True), (-30, True), (-41, False)):
        question = Question("ties", "amplitude_l2_mae", Parameters(eps=2.0**-60), t * 2.0**exponent, t)
        derived = bounds(question, np.zeros(()), np.zeros(t.shape, np.int8), "float32")
        assert derived.tied.all() == held and derived.tied.any() == held
    equal = Question("ties", "amplitude_l2_mae", Parameters(eps=2.0**-60), t * 2.0**-41, t * 2.0**-41)
    assert bounds(equal, np.zeros(()), np.zeros(t.shape, np.int8), "float32").tied.all()  # flushed or not, in both


def test_a_target_of_negative_amplitudes_has_the_tolerance_of_its_mirror_image() -> None:
    t = np.arange(1.0, 50.0).reshape(1, 1, 7, 7)
    options = Parameters(scale=Scale(1.0), normaliser="batch_mean_amplitude", reduction="sum")
    for sign in (1, -1):
        question = Question("signed", "poisson_nll", options, 1.25 * t, sign * t)
        derived = bounds(question, np.asarray(sign * 1590.55), None, "float32")
        assert derived.value > 0 and np.all(derived.gradient > 0)
        if sign == 1:
            wanted = derived
    np.testing.assert_allclose(derived.value, wanted.value, rtol=ARITHMETICS["float32"].grow(8))
    np.testing.assert_allclose(derived.gradient, wanted.gradient, rtol=ARITHMETICS["float32"].grow(8))


@pytest.mark.parametrize("domain", ["amplitude", "field"])
def test_float32_holds_no_subnormal_number_that_a_machine_may_flush(domain: str) -> None:
    for number, held in ((2.0**-126, True), (2.0**-127, False), (0.0, True)):
        p = _flat([number, 1.0]) + (1j * _flat([1.0, number]) if domain == "field" else 0)
        for pair in ((p, p + 1), (p + 1, p)):
            question = Question("small", "amplitude_mae", Parameters(domain=domain), *pair)
            assert question.holds("float32") == held and question.holds("float64")


@pytest.mark.parametrize("constant", ["lgamma", "stirling", "saturated"])
@pytest.mark.parametrize("dtype", ARITHMETICS)
def test_the_terms_of_a_scale_s_error_bound_the_constants_derivatives(constant: str, dtype: str) -> None:
    """F1 is the first derivative by log a, for lgamma by the middle of psi's enclosure; F2 bounds the second."""
    k = np.array([1e-3, 0.3, 1.5, 3.0, 40.0, 1e4])
    if constant == "stirling":
        k = k[k > 1]
    formula = {
        "lgamma": lambda k: np.array([lgamma(x + 1) for x in k]),
        "stirling": lambda k: k * np.log(k) - k + 0.5 * np.log(2 * np.pi * k),
        "saturated": lambda k: k * np.log(k) - k,
    }[constant]
    step = 2.0**-10
    down, here, up = (formula(k * np.exp(shift)) for shift in (-step, 0.0, step))
    first, second = (up - down) / (2 * step), (up - 2 * here + down) / step**2
    term = constant_term(constant, k, ARITHMETICS[dtype])
    rounding = apart(steps=SHORT) * (1 + np.abs(here) + k)
    truncation = step**2 * (1 + k) * (1 + np.abs(np.log(k))) ** 2
    enclosure = k / (12 * (k + 1) ** 2) if constant == "lgamma" else 0.0
    assert np.all(np.abs(term.first - first) <= truncation + rounding / step + enclosure)
    assert np.all(term.second >= np.abs(second) - truncation - rounding / step**2)
