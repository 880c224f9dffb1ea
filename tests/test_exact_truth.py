"""Exact arithmetic against independent routes: hand-made numbers, Decimal, and laws of the losses."""

from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction
from math import inf, sqrt, ulp

import pytest

from conformance.tolerance import ARITHMETICS
from fixtures.case import Amplitudes
from fixtures.cases import CASES
from fixtures.exact import Exact
from fixtures.exact_amplitude import amplitude_l2_mae, amplitude_mae
from fixtures.exact_modulus import modulus_l2_mae, of_fields, of_intensities
from fixtures.exact_poisson import Guard, poisson_nll
from fixtures.rounding import (
    RoundingError,
    enclose,
    exact_root,
    round_enclosure,
    round_rational,
    round_root,
    round_sum_of_roots,
)
from fixtures.selection import select
from fixtures.truth import solve

BY_ID = {case.id: case for case in CASES}
F = Fraction
SHAPE = (1, 1, 1, 2)
EPS = F(1, 2**40)
MEAN, SUM = select(SHAPE, "mean"), select(SHAPE, "sum")


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


def _l2(p: list[Fraction], t: list[Fraction]) -> Exact:
    return amplitude_l2_mae(p, t, MEAN, gain="unit_l2", eps=EPS)


def test_three_four_five_by_hand() -> None:
    """p = (3, 4), t = (4, 3), norms 5: d = (-1/5, 1/5), s = (-1, 1), c = 1/5, g = (1/10) (s - phat / 5)."""
    exact = _l2([F(3), F(4)], [F(4), F(3)])
    assert exact.value == [0.2]
    assert exact.sign == [-1, 1]
    assert exact.gradient == [float(F(-1, 10) - F(3, 250)), float(F(1, 10) - F(4, 250))]


def test_three_four_five_as_intensities_by_hand() -> None:
    """The same with I = p^2: each element of the gradient divided by 2 p."""
    p, t = of_intensities([F(9), F(16)]), of_intensities([F(16), F(9)])
    exact = modulus_l2_mae(p, t, MEAN, gain="unit_l2", eps=EPS)
    assert (exact.value, exact.sign) == ([0.2], [-1, 1])
    assert exact.gradient == [float(F(-28, 250) / 6), float(F(21, 250) / 8)]


def test_three_four_five_as_fields_by_hand() -> None:
    """The same moduli 3 and 4: each element of the gradient times Re/|z| and Im/|z|."""
    p, t = of_fields([F(0), F(-4)], [F(3), F(0)]), of_fields([F(4), F(0)], [F(0), F(-3)])
    exact = modulus_l2_mae(p, t, MEAN, gain="unit_l2", eps=EPS)
    assert (exact.value, exact.sign) == ([0.2], [-1, 1])
    assert exact.gradient == [complex(0, float(F(-28, 250))), complex(float(F(-21, 250)), 0)]


def test_rational_and_irrational_roots_agree() -> None:
    """Times sqrt(2) on both sides: the same value, the gradient over sqrt(2), by ways that share no sum of roots."""
    p, t = [F(3), F(4), F(12)], [F(2), F(3), F(6)]
    three = select((1, 1, 1, 3), "mean")
    doubled = of_intensities([2 * x * x for x in p]), of_intensities([2 * x * x for x in t])
    exact = modulus_l2_mae(*doubled, three, gain="unit_l2", eps=EPS)
    plain = amplitude_l2_mae(p, t, three, gain="unit_l2", eps=EPS)
    assert exact.value == plain.value
    scaled = [complex(g).real / (4 * float(x)) for g, x in zip(plain.gradient, p)]  # 2 sqrt(2) a sqrt(2)
    assert exact.gradient == pytest.approx(scaled, rel=ARITHMETICS["float64"].grow(3))  # two truths, a division


def test_legacy_by_hand() -> None:
    exact = amplitude_mae([F(3), F(4)], [F(4), F(4)], SUM, scale=F(5, 2))
    assert (exact.value, exact.gradient, exact.sign) == ([2.5], [-2.5, 0.0], [-1, 0])


def test_poisson_value_agrees_with_decimal_logarithms() -> None:
    """s^2 = 1, p = (3, 5), t = (2, 5): sum of 9 - 4 ln 9 and 25 - 25 ln 25, by Decimal at 60 digits."""
    exact = poisson_nll([F(3), F(5)], [F(2), F(5)], SUM, scale_squared=F(1))
    with localcontext() as context:
        context.prec = 60
        expected = Decimal(9) - 4 * Decimal(9).ln() + Decimal(25) - 25 * Decimal(25).ln()
    assert exact.value == [float(expected)]
    assert exact.gradient == [float(F(2) * 5 / 3), 0.0]


def test_the_deviance_agrees_with_decimal_logarithms() -> None:
    """9 - 4 - 4 ln(9/4), over a divisor of 3; the second element has a deviance of exactly 0."""
    exact = poisson_nll([F(3), F(5)], [F(2), F(5)], SUM, scale_squared=F(1), constant="saturated", divisor=F(3))
    with localcontext() as context:
        context.prec = 60
        expected = (Decimal(5) - 4 * (Decimal(9) / 4).ln()) / 3
    assert exact.value == [float(expected)]
    assert exact.gradient == [float(F(2) * 5 / 9), 0.0]


def test_guards_by_hand() -> None:
    """lambda = (1/4, 1), k = (1, 0), floor 1: clamp gives 1 - ln 1 and 1, log_add 1/4 - ln(5/4) and 1."""
    p, t = [F(1, 2), F(1)], [F(1), F(0)]
    clamped = poisson_nll(p, t, SUM, scale_squared=F(1), guard=Guard("clamp", F(1)))
    assert (clamped.value, clamped.gradient, clamped.sign) == ([2.0], [0.0, 0.0], [-1, 0])
    added = poisson_nll(p, t, SUM, scale_squared=F(1), guard=Guard("log_add", F(1)))
    with localcontext() as context:
        context.prec = 60
        assert added.value == [float(Decimal("1.25") - Decimal("1.25").ln())]
    assert (added.gradient, added.sign) == ([float(F(1, 5)), 2.0], [])


def test_counts_at_a_rate_of_zero_are_infinite_there_and_nowhere_else() -> None:
    p, t = [F(1), F(0)], [F(1), F(2)]
    assert poisson_nll(p, t, MEAN, scale_squared=F(1)).value == [inf]
    single = poisson_nll(p, t, select(SHAPE, "none"), scale_squared=F(1))
    assert (single.value, single.gradient) == ([1.0, inf], [0.0, -inf])


@pytest.mark.parametrize("name", ["l2-typical", "l2-channels-apart", "l2-signed", "l2-low-energy"])
def test_the_gradient_of_the_normalised_loss_is_orthogonal_to_the_prediction(name: str) -> None:
    case = BY_ID[name]
    gradient = [F(number) for number in solve(case).gradient]
    products = [g * p for g, p in zip(gradient, case.prediction.numbers)]
    assert abs(sum(products)) <= F(2) ** -53 * sum(abs(product) for product in products)


def test_the_value_is_symmetric_in_its_arguments() -> None:
    case = BY_ID["l2-typical"]
    p, t = case.prediction.numbers, case.target.numbers
    selection = select(case.prediction.shape, "mean")
    left, right = (amplitude_l2_mae(*pair, selection, gain="unit_l2", eps=EPS) for pair in ((p, t), (t, p)))
    assert left.value == right.value
    assert left.sign == [-sign for sign in right.sign]


def test_a_power_of_two_changes_no_bit_of_the_value_and_scales_the_gradient() -> None:
    small, typical = solve(BY_ID["l2-prediction-tiny"]), solve(BY_ID["l2-typical"])
    assert small.value == typical.value
    assert small.gradient == [number * 2.0**10 for number in typical.gradient]


def test_amplitudes_of_more_than_eight_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 8 significant bits"):
        Amplitudes(SHAPE, [F(257), F(1)])
    with pytest.raises(ValueError, match="more than 8 significant bits"):
        Amplitudes(SHAPE, [F(1, 3), F(1)])


def test_a_patch_scope_is_a_sample_scope_of_patterns_apart() -> None:
    case = BY_ID["l2-patch-channels-apart"]
    batch, channels, height, width = case.prediction.shape
    apart = (batch * channels, 1, height, width)
    p, t = (Amplitudes(apart, side.numbers) for side in (case.prediction, case.target))
    assert solve(replace(case, scope="sample", prediction=p, target=t)) == solve(case)


def test_one_view_is_the_batch_and_a_view_for_each_sample_is_the_sample() -> None:
    case = BY_ID["l2-view"]
    plain = {scope: solve(replace(case, scope=scope, view_ids=())) for scope in ("batch", "sample")}
    assert solve(replace(case, view_ids=(-5,) * 5)) == plain["batch"]
    assert solve(replace(case, view_ids=(9, 2, -1, 7, 0))) == plain["sample"]


def test_masked_pixels_are_as_if_they_were_not_there() -> None:
    """Each sample of equally many valid pixels, cut out into a smaller array."""
    case = BY_ID["l2-mask-beam-stop"]
    valid = case.valid
    count = sum(valid) // 2
    p, t = (
        Amplitudes((2, 1, 1, count), [x for x, lit in zip(side.numbers, valid) if lit])
        for side in (case.prediction, case.target)
    )
    whole, cut = solve(case), solve(replace(case, prediction=p, target=t, mask=None, poison=""))
    assert whole.value == cut.value
    assert [g for g, lit in zip(whole.gradient, valid) if lit] == list(cut.gradient)
    assert {g for g, lit in zip(whole.gradient, valid) if not lit} == {0.0}


def test_a_real_field_has_the_gradient_of_its_modulus() -> None:
    """Bit for bit, though one goes by sums of roots and the other by a root of a rational."""
    case = BY_ID["l2-field-real"]
    p, t = (Amplitudes(side.shape, [abs(x) for x in side.numbers]) for side in (case.prediction, case.target))
    plain = solve(replace(case, domain="amplitude", prediction=p, target=t))
    turned = [g if x > 0 else -g for g, x in zip(plain.gradient, case.prediction.numbers)]
    assert solve(case) == Exact(plain.value, [complex(complex(g).real, 0) for g in turned], plain.sign)


def test_every_case_says_why_it_exists_and_what_it_catches() -> None:
    assert len(CASES) >= 190
    assert len({case.id for case in CASES}) == len(CASES)
    assert all(case.why and case.catches for case in CASES)
