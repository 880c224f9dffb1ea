"""Exact arithmetic against independent routes: hand-made numbers, Decimal, and sums of rationals."""

from decimal import Decimal, localcontext
from fractions import Fraction
from math import sqrt, ulp

import pytest

from fixtures.case import Amplitudes
from fixtures.cases import CASES
from fixtures.exact_amplitude import amplitude_l2_mae, amplitude_mae
from fixtures.exact_poisson import poisson_nll
from fixtures.rounding import (
    RoundingError,
    enclose,
    exact_root,
    round_enclosure,
    round_rational,
    round_root,
    round_sum_of_roots,
)
from fixtures.truth import solve

BY_ID = {case.id: case for case in CASES}
F = Fraction
SHAPE = (1, 1, 1, 2)


def test_halfway_rationals_round_to_even() -> None:
    assert round_rational(1 + F(1, 2**53)) == 1.0
    assert round_rational(1 + F(3, 2**53)) == 1.0 + 2 * ulp(1.0)
    assert round_rational(1 + F(1, 2**53) + F(1, 2**200)) == 1.0 + ulp(1.0)


@pytest.mark.parametrize("number", [2, 3, 7, 10**20 + 39], ids=str)
def test_roots_agree_with_the_correctly_rounded_library_root(number: int) -> None:
    assert round_root(1, F(number)) == sqrt(number)
    assert round_root(-1, F(number)) == -sqrt(number)


def test_a_root_just_above_a_midpoint_needs_its_sticky_bit() -> None:
    midpoint = 1 + F(1, 2**53)
    assert round_root(1, midpoint**2) == 1.0
    assert round_root(1, midpoint**2 + F(1, 2**300)) == 1.0 + ulp(1.0)


def test_roots_reach_into_the_subnormals() -> None:
    assert round_root(1, F(1, 2**2148)) == 2.0**-1074


def test_a_hidden_midpoint_is_an_error_not_a_guess() -> None:
    midpoint = 1 + F(1, 2**53)
    assert round_sum_of_roots([(F(1), midpoint**2)]) == 1.0
    with pytest.raises(RoundingError, match="undecided"):
        round_enclosure(lambda: enclose(midpoint) + enclose(F(2)).sqrt() - enclose(F(2)).sqrt())


def test_a_hidden_zero_is_a_positive_zero() -> None:
    assert str(round_enclosure(lambda: enclose(F(2)).sqrt() - enclose(F(2)).sqrt())) == "0.0"


def test_rational_roots_are_recognised() -> None:
    assert exact_root(F(9, 16)) == F(3, 4)
    assert exact_root(F(2)) is None


def test_three_four_five_by_hand() -> None:
    """p = (3, 4), t = (4, 3), norms 5: d = (-1/5, 1/5), s = (-1, 1), c = 1/5, g = (1/10) (s - phat / 5)."""
    exact = amplitude_l2_mae([F(3), F(4)], [F(4), F(3)], SHAPE, reduction="mean", gain="unit_l2", eps=F(1, 2**40))
    assert exact.value == [0.2]
    assert exact.sign == [-1, 1]
    assert exact.gradient == [float(F(-1, 10) - F(3, 250)), float(F(1, 10) - F(4, 250))]


def test_legacy_by_hand() -> None:
    exact = amplitude_mae([F(3), F(4)], [F(4), F(4)], SHAPE, reduction="sum", scale=F(5, 2))
    assert (exact.value, exact.gradient, exact.sign) == ([2.5], [-2.5, 0.0], [-1, 0])


def test_poisson_value_agrees_with_decimal_logarithms() -> None:
    """s^2 = 1, p = (3, 5), t = (2, 5): sum of 9 - 4 ln 9 and 25 - 25 ln 25, by Decimal at 60 digits."""
    exact = poisson_nll([F(3), F(5)], [F(2), F(5)], SHAPE, reduction="sum", constant="none", scale_squared=F(1))
    with localcontext() as context:
        context.prec = 60
        expected = Decimal(9) - 4 * Decimal(9).ln() + Decimal(25) - 25 * Decimal(25).ln()
    assert exact.value == [float(expected)]
    assert exact.gradient == [float(F(2) * 5 / 3), 0.0]


def test_poisson_refuses_an_infinite_loss() -> None:
    with pytest.raises(ValueError, match="element 1: rate 0 with counts 4"):
        poisson_nll([F(1), F(0)], [F(1), F(2)], SHAPE, reduction="sum", constant="none", scale_squared=F(1))


@pytest.mark.parametrize("name", ["l2-typical", "l2-channels-apart", "l2-signed", "l2-low-energy"])
def test_the_gradient_of_the_normalised_loss_is_orthogonal_to_the_prediction(name: str) -> None:
    case = BY_ID[name]
    gradient = [F(number) for number in solve(case).gradient]
    products = [g * p for g, p in zip(gradient, case.prediction.numbers)]
    assert abs(sum(products)) <= F(2) ** -53 * sum(abs(product) for product in products)


def test_the_value_is_symmetric_in_its_arguments() -> None:
    case = BY_ID["l2-typical"]
    options = {"reduction": "mean", "gain": "unit_l2", "eps": case.eps}
    p, t, shape = case.prediction.numbers, case.target.numbers, case.prediction.shape
    assert amplitude_l2_mae(p, t, shape, **options).value == amplitude_l2_mae(t, p, shape, **options).value


def test_a_power_of_two_changes_no_bit_of_the_value_and_scales_the_gradient() -> None:
    small, typical = solve(BY_ID["l2-prediction-tiny"]), solve(BY_ID["l2-typical"])
    assert small.value == typical.value
    assert small.gradient == [number * 2.0**10 for number in typical.gradient]


def test_amplitudes_of_more_than_eight_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 8 significant bits"):
        Amplitudes(SHAPE, [F(257), F(1)])
    with pytest.raises(ValueError, match="more than 8 significant bits"):
        Amplitudes(SHAPE, [F(1, 3), F(1)])


def test_every_case_says_why_it_exists_and_what_it_catches() -> None:
    assert len(CASES) >= 24
    assert len({case.id for case in CASES}) == len(CASES)
    assert all(case.why and case.catches for case in CASES)
