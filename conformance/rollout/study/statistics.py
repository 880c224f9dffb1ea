"""Is an arm worse than the legacy loss? Paired seeds, margins set beforehand, one-sided, and never silent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import sqrt

import numpy as np
import numpy.typing as npt

MARGINS = {
    "amplitude_mae": 0.015,
    "phase_mae": 0.025,
    "amplitude_ssim": 0.035,
    "phase_ssim": 0.015,
    "amplitude_ratio": 0.05,
}
"""What a metric may lose: the regression gates of the field. They were set before any run of this study."""
LEVEL = 0.05
FEWEST_PAIRS = 3


def loss_of_quality(metric: str, value: float) -> float:
    """Return a metric turned so that more is worse; of the amplitude ratio, its distance from 1."""
    if metric == "amplitude_ratio":
        return abs(value - 1.0)
    return -value if metric.endswith("ssim") else value


@dataclass(frozen=True)
class Comparison:
    """One arm against the legacy loss in one metric.

    `differences` are worse-is-positive, one a seed. `p_not_worse` tests that the arm is worse by the margin or more,
    `p_worse` that it is worse by no more than the margin. `power` is the chance to call a truly equal arm
    non-inferior with so many seeds of such a spread, by a t-test at LEVEL.
    """

    arm: str
    metric: str
    differences: tuple[float, ...]
    p_not_worse: float
    p_worse: float
    power: float

    @property
    def mean(self) -> float:
        """Mean of the differences."""
        return float(np.mean(self.differences)) if self.differences else float("nan")


def bootstrap_means(differences: Sequence[float]) -> npt.NDArray[np.float64]:
    """Return the means of all n^n resamples of n differences: the bootstrap over seeds, without chance."""
    number = len(differences)
    if number > 6:
        raise ValueError(f"differences: got {number}, wanted at most 6: all {number}^{number} resamples are listed")
    resamples = np.array(list(product(differences, repeat=number)), np.float64)
    return np.asarray(resamples.mean(axis=1))


def power(differences: Sequence[float], margin: float) -> float:
    """Return the power of a one-sided paired t-test against `margin` where the true difference is 0."""
    from scipy import stats

    if not np.all(np.isfinite(differences)):
        return 0.0
    number, spread = len(differences), float(np.std(differences, ddof=1))
    if spread == 0.0:
        return 1.0
    critical = stats.t.ppf(1 - LEVEL, number - 1)
    return float(1 - stats.nct.cdf(critical, number - 1, margin / spread * sqrt(number)))


def compared(arm: str, metric: str, differences: Sequence[float]) -> Comparison:
    """Return the comparison that paired differences make; with fewer than FEWEST_PAIRS, one that decides nothing."""
    if len(differences) < FEWEST_PAIRS:
        return Comparison(arm, metric, tuple(differences), 1.0, 1.0, 0.0)
    means = bootstrap_means(differences)
    margin = MARGINS[metric]
    more = (1 + np.count_nonzero(means >= margin)) / (1 + len(means))
    less = (1 + np.count_nonzero(means <= margin)) / (1 + len(means))
    return Comparison(arm, metric, tuple(differences), float(more), float(less), power(differences, margin))


def holm(probabilities: Sequence[float]) -> list[float]:
    """Return probabilities adjusted for their number by Holm's steps, in the order given."""
    order = sorted(range(len(probabilities)), key=lambda place: probabilities[place])
    adjusted, largest = [0.0] * len(probabilities), 0.0
    for step, place in enumerate(order):
        largest = max(largest, min(1.0, (len(probabilities) - step) * probabilities[place]))
        adjusted[place] = largest
    return adjusted


def verdicts(comparisons: Sequence[Comparison]) -> dict[tuple[str, str], str]:
    """Return the verdict of each arm and metric: 'non-inferior', 'inferior' or 'inconclusive'; Holm over all."""
    not_worse = holm([comparison.p_not_worse for comparison in comparisons])
    worse = holm([comparison.p_worse for comparison in comparisons])
    found = {}
    for comparison, fine, bad in zip(comparisons, not_worse, worse):
        verdict = "non-inferior" if fine < LEVEL else "inferior" if bad < LEVEL else "inconclusive"
        found[comparison.arm, comparison.metric] = verdict
    return found


def paired(
    legacy: Mapping[int, Mapping[str, float]], other: Mapping[int, Mapping[str, float]], metric: str
) -> list[float]:
    """Return the differences of one metric over the seeds that both have, where the legacy run passed its gates.

    A run of the other arm that failed its gates stays in: failing is being worse. One that broke down, and so has no
    such number or none that is finite, is worse by infinity: else a loss could win by breaking where it is bad.
    """
    found = []
    for seed in sorted(set(legacy) & set(other)):
        if legacy[seed]["accepted"]:
            reached = float(other[seed].get(metric, "nan"))
            wanted = loss_of_quality(metric, float(legacy[seed][metric]))
            found.append(loss_of_quality(metric, reached) - wanted if np.isfinite(reached) else float("inf"))
    return found
