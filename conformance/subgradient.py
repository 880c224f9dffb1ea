"""Is a gradient some subgradient? For codepaths that do not promise sign(0) = 0 at exact ties."""

from math import inf

import numpy as np
from numpy.typing import NDArray

from conformance.case import Array, Case, Float64, Question
from conformance.tolerance import ARITHMETICS, Bounds, before_narrowing, computing_dtype, loss_scale
from conformance.tolerance.inputs import CHAIN, ROUNDINGS, amplitudes, components_of, finite
from conformance.tolerance.scopes import Scopes

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


def _of_amplitude(
    question: Question, gradient: Array, tolerance: Float64, rounding: Float64, turn: float
) -> tuple[Float64, Float64]:
    """Return the gradient with respect to the amplitude and the slack that the way back to it needs.

    `rounding` is that of the gradient itself, to half precision; a field has none. For an intensity g_a = 2 a g_I.
    For a field g_a is the component along z. What points across it no subgradient has, beyond the relative error `turn`
    of the components of z / |z|: it is returned as a gradient that no sign can give.
    """
    domain = question.parameters.domain
    own = finite(question.of_gradient, question)
    if domain == "amplitude":
        return gradient.real.astype(np.float64), tolerance + rounding
    if domain == "intensity":
        return 2 * np.sqrt(own) * gradient, tolerance + 2 * np.sqrt(own) * rounding
    modulus = np.abs(own)
    turned = gradient * np.conj(own) / np.where(modulus > 0, modulus, 1.0)
    across = np.abs(turned.imag) > 4 * (tolerance + turn * np.abs(turned.real))
    return np.where(across, inf, turned.real), tolerance


def subgradient_margin(case: Case, derived: Bounds, gradient: Array, dtype: str) -> float:
    """Return how far `gradient` is from the nearest subgradient, in units of the tolerance.

    With y_i = g_i P / w_i there must be, per scope, one alpha with s_i = y_i + alpha phat_i / w_i, every s_i the known
    sign or anything in [-1, 1] at a tie, and <g, p> = 0, which makes alpha the coupling of those same signs. Where eps
    bounds the norm, and for the legacy loss, alpha is 0. Elements of amplitude 0 in another domain have a gradient of 0
    and say nothing about their sign. A gradient of half precision was rounded once more at the end.
    """
    question, truth = case.question, case.truth
    parameters = question.parameters
    made, scopes = amplitudes(question), Scopes(question)
    slack = derived.settled_gradient + np.abs(truth.gradient) * 2.0**-52
    rounding = before_narrowing(components_of(gradient), dtype, loss_scale(truth.gradient, dtype))
    turn = ARITHMETICS[computing_dtype(dtype)].grow(CHAIN + ROUNDINGS["field"])
    along, slack = _of_amplitude(question, gradient, slack, rounding, turn)
    sign = (-truth.sign if parameters.wrt == "target" else truth.sign) if truth.sign is not None else None
    if sign is None:
        raise ValueError(f"case {question.case_id}: the signs of phat - that are missing")
    legacy = question.loss == "amplitude_mae"
    scale = parameters.scale.value if legacy and parameters.scale else 1.0
    gain = np.sqrt(scopes.size) if parameters.gain == "unit_rms" else np.ones(scopes.size.shape)
    norm = np.sqrt(scopes.total(np.square(made.own)))
    divisor = np.full(norm.shape, 1.0 / scale) if legacy else np.maximum(norm, parameters.eps)
    weight = question.weight * gain
    open_signs = (truth.sign == 0) | derived.unsettled
    asked = question.valid & ((made.own != 0) | (parameters.domain == "amplitude"))
    worst = 0.0
    for label in np.unique(scopes.label):
        member = (scopes.label == label)[:, :, None, None] & asked
        if not np.any(member):
            continue
        arrays = (made.own, along, slack, divisor / weight, weight)
        p, g, tol, per, own = (np.broadcast_to(array, member.shape)[member] for array in arrays)
        length = float(np.broadcast_to(norm, member.shape)[member][0])
        coupled = not legacy and length > parameters.eps
        phat = p / np.broadcast_to(divisor, member.shape)[member]
        signs, loose = sign[member].astype(np.float64), open_signs[member]
        worst = max(worst, _smallest_margin(g * per, phat / own, tol * per, signs, loose, coupled))
        if coupled:
            moved, allowed = abs(float(np.dot(g, p))), float(np.dot(tol, np.abs(p)))
            worst = max(worst, moved / allowed if allowed > 0 else (inf if moved > 0 else 0.0))
    return worst
