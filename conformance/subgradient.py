"""Is a gradient some subgradient? For codepaths that do not promise sign(0) = 0 at exact ties."""

from math import inf

import numpy as np
from numpy.typing import NDArray

from conformance.case import Float64, Question
from conformance.tolerance import Bounds

_BISECTIONS = 60
_LARGEST_MARGIN = 2.0**60


def _fits(steps: Float64, phat: Float64, slack: Float64, sign: Float64, free: NDArray[np.bool_], coupled: bool) -> bool:
    """True if one alpha and signs within their sets satisfy s_i = y_i + alpha phat_i up to `slack`."""
    low = np.where(free, -1.0, sign) - slack - steps
    high = np.where(free, 1.0, sign) + slack - steps
    if not coupled:
        return bool(np.all((low <= 0) & (high >= 0)))
    still = phat == 0
    if not np.all((low[still] <= 0) & (high[still] >= 0)):
        return False
    low, high, slope = low[~still], high[~still], phat[~still]
    ends = np.stack([low / slope, high / slope])
    return bool(np.max(np.min(ends, axis=0), initial=-inf) <= np.min(np.max(ends, axis=0), initial=inf))


def _smallest_margin(
    steps: Float64, phat: Float64, slack: Float64, sign: Float64, free: NDArray[np.bool_], coupled: bool
) -> float:
    """Return the smallest factor on `slack` at which the gradient fits, by bisection; inf if none does."""
    if not np.all(np.isfinite(steps)) or not _fits(steps, phat, slack * _LARGEST_MARGIN, sign, free, coupled):
        return inf
    if _fits(steps, phat, slack * 0, sign, free, coupled):
        return 0.0
    low, high = 2.0**-40, _LARGEST_MARGIN
    for _ in range(_BISECTIONS):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if _fits(steps, phat, slack * middle, sign, free, coupled) else (middle, high)
    return high


def subgradient_margin(
    question: Question, sign: NDArray[np.int8], derived: Bounds, gradient: Float64, tolerance: Float64
) -> float:
    """Return how far `gradient` is from the nearest subgradient, in units of `tolerance`.

    With y_i = g_i P / w there must be, per sample, one alpha with s_i = y_i + alpha phat_i, every s_i the known sign or
    anything in [-1, 1] at a tie, and <g, p> = 0, which makes alpha the coupling of those same signs. Where eps bounds
    the norm, and for the legacy loss, alpha is 0.
    """
    free = (sign == 0) | derived.unsettled
    legacy = question.loss == "amplitude_mae"
    scale = question.parameters.scale.value if legacy and question.parameters.scale else 1.0
    size = question.prediction[0].size
    gain = size**0.5 if question.parameters.gain == "unit_rms" else 1.0
    worst = 0.0
    for b in range(question.prediction.shape[0]):
        p, g, tol = (array[b].ravel() for array in (question.prediction, gradient, tolerance))
        norm = float(np.sqrt(np.sum(np.square(p))))
        coupled = not legacy and norm > question.parameters.eps
        divisor = max(norm, question.parameters.eps) if not legacy else 1.0 / scale
        unit = divisor / (question.weight * gain)
        signs, loose = sign[b].ravel().astype(np.float64), free[b].ravel()
        worst = max(worst, _smallest_margin(g * unit, p / divisor, tol * unit, signs, loose, coupled))
        if coupled:
            along, allowed = abs(float(np.dot(g, p))), float(np.dot(tol, np.abs(p)))
            worst = max(worst, along / allowed if allowed > 0 else (inf if along > 0 else 0.0))
    return worst
