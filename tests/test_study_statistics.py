"""Verdicts on paired differences: worked by hand, and every way to say 'non-inferior' without grounds."""

from collections import Counter
from math import erf, exp, gamma, inf, isnan, nan, sqrt

import numpy as np
import pytest
from scipy import stats

from conformance.rollout.study.statistics import (
    LEVEL,
    MARGINS,
    bootstrap_means,
    compared,
    holm,
    loss_of_quality,
    paired,
    power,
    verdicts,
)

MARGIN = MARGINS["amplitude_mae"]


def only_verdict(differences: list[float], metric: str = "amplitude_mae") -> str:
    (verdict,) = verdicts([compared("l2_sample", metric, differences)]).values()
    return verdict


def test_the_margins_are_those_set_before_the_study() -> None:
    # STUDY.md, item 9: the regression gates of the field.
    wanted = {"amplitude_mae": 0.015, "phase_mae": 0.025, "amplitude_ssim": 0.035, "phase_ssim": 0.015}
    assert {**wanted, "amplitude_ratio": 0.05} == MARGINS
    assert LEVEL == 0.05


def test_holm_by_hand() -> None:
    # In order .005 x 4 = .02, .01 x 3 = .03, .03 x 2 = .06, .04 x 1 = .04 and not below .06.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02], rtol=1e-12)


def test_holm_stops_at_one_and_needs_no_entry() -> None:
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([]) == []
    assert holm([0.2]) == [0.2]


def test_the_bootstrap_of_two_by_hand() -> None:
    assert sorted(bootstrap_means([1.0, 3.0])) == [1.0, 2.0, 2.0, 3.0]


def test_the_bootstrap_of_three_by_hand() -> None:
    # Sums of three of {0, 1, 2}: coefficients of (1 + x + x^2)^3.
    means = Counter(np.round(bootstrap_means([0.0, 3.0, 6.0])).astype(int).tolist())
    assert means == {0: 1, 1: 3, 2: 6, 3: 7, 4: 6, 5: 3, 6: 1}


def test_too_many_differences_to_list_their_resamples_are_refused() -> None:
    with pytest.raises(ValueError, match=r"differences: got 7, wanted at most 6: all 7\^7 resamples are listed"):
        bootstrap_means([0.0] * 7)


def test_probabilities_by_hand() -> None:
    # The mean of three of (0, 0, 3 margins) reaches the margin unless the third is never drawn: 27 - 8 = 19 times; it
    # is at most the margin if the third is drawn at most once: 8 + 12 = 20. Halves keep the comparison exact.
    one = compared("nll", "amplitude_ratio", [0.0, 0.0, 3 * MARGINS["amplitude_ratio"] * (1 + 1e-9)])
    assert one.p_not_worse == 20 / 28
    other = compared("nll", "amplitude_ratio", [0.0, 0.0, 3 * MARGINS["amplitude_ratio"] * (1 - 1e-9)])
    assert other.p_worse == 21 / 28


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([-0.02, -0.01, 0.0, 0.001, 0.002], "non-inferior"),
        ([MARGIN + step for step in (0.002, 0.003, 0.01, 0.02, 0.1)], "inferior"),
        ([-0.05, 0.04, 0.02, 0.01, -0.01], "inconclusive"),
        ([MARGIN] * 5, "inconclusive"),
        ([0.001, 0.001, inf, 0.001, 0.001], "inconclusive"),
        ([inf] * 5, "inferior"),
    ],
    ids=["better", "worse by more than the margin", "straddling", "at the margin", "one broke down", "all broke down"],
)
def test_a_verdict(differences: list[float], verdict: str) -> None:
    assert only_verdict(differences) == verdict


@pytest.mark.parametrize("number", [0, 1, 2])
def test_fewer_than_three_pairs_decide_nothing(number: int) -> None:
    one = compared("l2_sample", "phase_mae", [-1.0] * number)
    assert (one.p_not_worse, one.p_worse, one.power) == (1.0, 1.0, 0.0)
    assert only_verdict([-1.0] * number) == "inconclusive" == only_verdict([1.0] * number)
    assert isnan(one.mean) == (number == 0)


def test_all_comparisons_share_one_family() -> None:
    # 25 comparisons of 4 pairs: the smallest probability is 1/257, and 25/257 > 0.05. Alone it decides.
    clear = [compared(f"arm{number}", "phase_mae", [-1.0, -1.1, -1.2, -1.3]) for number in range(25)]
    assert set(verdicts(clear).values()) == {"inconclusive"}
    assert set(verdicts(clear[:1]).values()) == {"non-inferior"}


def test_power_at_no_margin_is_the_level() -> None:
    assert power([0.1, -0.1, 0.2, 0.0, 0.3], 0.0) == pytest.approx(LEVEL, abs=1e-9)


def test_power_is_the_integral_over_the_spread() -> None:
    # P((Z + shift) / sqrt(V / df) > critical) with V chi-squared of df degrees: here integrated by hand.
    differences, margin = [0.0, 1.0, 2.0, 3.0, 4.0], 2.5
    spread, df = sqrt(2.5), 4  # of 0..4 with ddof 1
    critical = 2.1318467863  # t of 4 degrees at 0.95, from printed tables 2.132
    assert stats.t.ppf(0.95, df) == pytest.approx(critical, abs=1e-9)
    shift, points, step = margin / spread * sqrt(5), np.linspace(0, 80, 40001), 80 / 40000
    density = [v ** (df / 2 - 1) * exp(-v / 2) / (2 ** (df / 2) * gamma(df / 2)) for v in points]
    beyond = [0.5 * (1 + erf((shift - critical * sqrt(v / df)) / sqrt(2))) for v in points]
    assert power(differences, margin) == pytest.approx(float(np.dot(density, beyond)) * step, abs=1e-5)


def test_power_without_spread_and_with_broken_runs() -> None:
    assert power([0.0, 0.0, 0.0], MARGIN) == 1.0
    assert power([0.0, inf, 0.0], MARGIN) == 0.0


@pytest.mark.parametrize(
    ("metric", "value", "wanted"),
    [("amplitude_mae", 0.2, 0.2), ("phase_ssim", 0.7, -0.7), ("amplitude_ratio", 0.4, 0.6), ("amplitude_ratio", 3, 2)],
)
def test_more_is_worse_in_every_metric(metric: str, value: float, wanted: float) -> None:
    assert loss_of_quality(metric, value) == pytest.approx(wanted, abs=1e-15)


def runs(*values: float, rejected: tuple[int, ...] = ()) -> dict[int, dict[str, float]]:
    return {seed: {"phase_ssim": value, "accepted": seed not in rejected} for seed, value in enumerate(values)}


def test_pairs_are_of_the_same_seed() -> None:
    legacy, other = runs(0.5, 0.6, 0.7), {2: {"phase_ssim": 0.9, "accepted": True}, 7: {"phase_ssim": 0.1}}
    assert paired(legacy, other, "phase_ssim") == pytest.approx([-0.2], abs=1e-12)


def test_pairs_drop_where_the_legacy_run_failed_and_nowhere_else() -> None:
    legacy, other = runs(0.5, 0.6, 0.7, rejected=(1,)), runs(0.4, 0.4, 0.4, rejected=(2,))
    assert paired(legacy, other, "phase_ssim") == pytest.approx([0.1, 0.3], abs=1e-12)


@pytest.mark.parametrize("reached", [None, "nan", "inf", "-inf", nan], ids=["missing", "nan", "inf", "-inf", "a nan"])
def test_a_run_that_broke_down_is_worse_by_infinity(reached: object) -> None:
    legacy, other = runs(*[0.5] * 5), runs(*[0.5] * 5)
    for seed in (1, 3):
        other[seed] = {"accepted": False} if reached is None else {"accepted": False, "phase_ssim": reached}
    assert paired(legacy, other, "phase_ssim") == [0.0, inf, 0.0, inf, 0.0]
    assert only_verdict(paired(legacy, other, "phase_ssim"), "phase_ssim") != "non-inferior"
