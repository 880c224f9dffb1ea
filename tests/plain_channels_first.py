"""The losses once more, as plain loops in float64 NumPy that follow the contract's formulas word by word.

Each returns the weighted sum of the element losses and its derivatives with respect to prediction and target. A
reduction is a choice of weights, `weights`, so that every reduction's value and gradient come from one formula.
"""

from math import inf, lgamma, log, log1p, pi, sqrt
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def valid_of(mask: Array | None, shape: tuple[int, ...]) -> Array:
    return np.ones(shape, bool) if mask is None else np.broadcast_to(mask != 0, shape)


def weights(reduction: str, valid: Array, cotangent: Array) -> Array:
    """Weight of each element when the reduced value, of whatever shape, is multiplied by `cotangent` and summed."""
    batch = len(valid)
    if reduction == "mean":
        return np.full(valid.shape, cotangent / max(valid.sum(), 1)) * valid
    if reduction == "sample":
        share = cotangent / np.maximum(valid.sum((1, 2, 3)), 1)
        return share.reshape(batch, 1, 1, 1) * valid
    if reduction == "sample_sum":
        return np.full(valid.shape, cotangent / batch) * valid
    return np.broadcast_to(cotangent, valid.shape) * valid  # sum and none


def groups(scope: str, shape: tuple[int, ...], ids: Array | None = None) -> Array:
    """Number of the group of each element."""
    batch, channels = shape[:2]
    each = {
        "sample": np.arange(batch)[:, None, None, None],
        "patch": np.arange(batch * channels).reshape(batch, channels, 1, 1),
        "view": None if ids is None else ids[:, None, None, None],
        "batch": np.zeros((1, 1, 1, 1), int),
    }[scope]
    return np.broadcast_to(np.asarray(each), shape)


def _amplitude(x: Array, domain: str) -> tuple[Array, Array]:
    """Amplitudes, and the factor that turns a gradient with respect to them into one with respect to `x`."""
    if domain == "amplitude":
        return x, np.ones_like(x)
    a = np.abs(x) if domain == "field" else np.sqrt(x)
    lit = np.where(a == 0, 1, a)
    return a, np.where(a == 0, 0, x / lit if domain == "field" else 0.5 / lit)


def l2_mae(
    p: Array, t: Array, w: Array, valid: Array, of: Array, gain: str = "unit_l2", eps: float = 2.0**-40,
    domain: str = "amplitude",
) -> tuple[float, Array, Array]:  # fmt: skip
    """Sum of w gain |phat - that|; dp = (1/P)(c - phat sum(c phat)) with c = w gain sign, c / eps where P <= eps."""
    p, by_p = _amplitude(np.where(valid, p, 0), domain)
    t, by_t = _amplitude(np.where(valid, t, 0), domain)
    value, dp, dt = 0.0, np.zeros(p.shape), np.zeros(p.shape)
    for group in np.unique(of):
        at = (of == group) & valid
        norms = [sqrt((x[at] ** 2).sum()) for x in (p, t)]
        phat, that = (x[at] / max(norm, eps) for x, norm in zip((p, t), norms))
        c = w[at] * (sqrt(at.sum()) if gain == "unit_rms" else 1) * np.sign(phat - that)
        value += float((c * (phat - that)).sum())
        for d, unit, norm, sign in ((dp, phat, norms[0], 1), (dt, that, norms[1], -1)):
            d[at] = sign * (c / eps if norm <= eps else (c - unit * (c * unit).sum()) / norm)
    return value, np.where(valid, dp * by_p, 0), np.where(valid, dt * by_t, 0)


def mae(p: Array, t: Array, w: Array, valid: Array, s: float, domain: str = "amplitude") -> tuple[float, Array, Array]:
    """Sum of w |s p - s t|."""
    p, by_p = _amplitude(np.where(valid, p, 0), domain)
    t, by_t = _amplitude(np.where(valid, t, 0), domain)
    c = w * s * np.sign(p - t)
    return float((c * (p - t)).sum()), c * by_p, -c * by_t


def digamma(x: float) -> float:
    """psi(x) by recurrence up to x >= 20 and its asymptotic series."""
    shift = 0.0
    while x < 20:
        shift, x = shift - 1 / x, x + 1
    y = 1 / x**2
    return shift + log(x) - 0.5 / x - y * (1 / 12 - y * (1 / 120 - y * (1 / 252 - y / 240)))


def _constant(k: float, constant: str) -> tuple[float, float]:
    """The constant and its derivative with respect to k."""
    if constant == "lgamma":
        return lgamma(k + 1), digamma(k + 1)
    if constant == "stirling":
        return (k * log(k) - k + 0.5 * log(2 * pi * k), log(k) + 0.5 / k) if k > 1 else (0.0, 0.0)
    if constant == "saturated" and k > 0:
        return k * log(k) - k, log(k)
    return 0.0, 0.0


def nll_element(
    p: float, t: float, s: float, constant: str = "none", guard: str = "none", floor: float = 0.0
) -> tuple[float, float, float]:
    """lambda - k log(lambda) + constant(k) of one element under a guard, and its two derivatives; 0 log 0 = 0."""
    rate, k = (s * p) ** 2, (s * t) ** 2
    inner = max(rate, floor) if guard == "clamp" else rate + floor if guard == "log_add" else rate
    outer = inner if guard == "clamp" else rate
    of_constant, slope = _constant(k, constant)
    if inner == 0:
        return (0.0, 0.0, 0.0) if k == 0 else (inf, -inf, inf)
    dt = 2 * s * s * t * (slope - log(inner))
    if guard == "clamp":
        dp = 2 * s * s * p * (1 - k / rate) if rate > floor else 0.0
    else:
        dp = 2 * s * s * p * (1 - k / inner)
    return outer - k * log(inner) + of_constant, dp, dt


def nll(p: Array, t: Array, w: Array, valid: Array, s: float, **options: Any) -> tuple[float, Array, Array]:
    """Weighted sum of `nll_element` over the valid elements."""
    value, dp, dt = 0.0, np.zeros(p.shape), np.zeros(p.shape)
    for index in np.argwhere(valid):
        at = tuple(index)
        element, of_p, of_t = nll_element(float(p[at]), float(t[at]), s, **options)
        value, dp[at], dt[at] = value + w[at] * element, w[at] * of_p, w[at] * of_t
    return value, dp, dt


def deviance(p: float, t: float, s: float) -> tuple[float, float]:
    """k (x - log1p(x)), x = (p - t)(p + t) / t^2, and its derivative with respect to p, for p close to t > 0."""
    x = (p - t) * (p + t) / t**2
    return (s * t) ** 2 * (x - log1p(x)), 2 * s * s * (p - t) * (p + t) / p
