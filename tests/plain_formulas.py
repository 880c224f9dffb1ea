"""The contract's formulas in plain NumPy float64 for arrays (B, H, W, C): no tricks, no autodiff."""

from math import lgamma

import numpy as np

Array = np.ndarray


def labels(scope: str, shape: tuple[int, ...], ids: Array | None = None) -> Array:
    """Which norm each element belongs to."""
    batch, _, _, channels = shape
    sample = np.arange(batch).reshape(-1, 1, 1, 1)
    of = {
        "sample": sample,
        "patch": sample * channels + np.arange(channels),
        "view": np.zeros(1) if ids is None else np.asarray(ids).reshape(-1, 1, 1, 1),
        "batch": np.zeros(1),
    }
    return np.broadcast_to(of[scope], shape)


def everywhere(valid: Array | None, shape: tuple[int, ...]) -> Array:
    return np.ones(shape, bool) if valid is None else np.broadcast_to(np.asarray(valid) != 0, shape)


def l2(
    p: Array, t: Array, valid: Array, label: Array, weight: Array, eps: float = 2.0**-40, gain: str = "unit_l2"
) -> tuple[Array, Array, Array]:
    """Return element losses, and the gradients of sum(weight * loss) with respect to p and to t."""
    elements, of_p, of_t = np.zeros(p.shape), np.zeros(p.shape), np.zeros(p.shape)
    for one in np.unique(label):
        where = valid & (label == one)
        if not where.any():
            continue
        a, b = p[where], t[where]
        norm, bound = np.sqrt(np.sum(a * a)), np.sqrt(np.sum(b * b))
        lit, seen = norm > eps, bound > eps
        norm, bound = max(norm, eps), max(bound, eps)
        factor = np.sqrt(where.sum()) if gain == "unit_rms" else 1.0
        sign = np.sign(a / norm - b / bound)
        share = factor * weight[where] * sign
        elements[where] = factor * np.abs(a / norm - b / bound)
        of_p[where] = (share - lit * a / norm * np.sum(share * a / norm)) / norm
        of_t[where] = -(share - seen * b / bound * np.sum(share * b / bound)) / bound
    return elements, of_p, of_t


def nll(p: Array, t: Array, s: float, constant: str, guard: str = "none", floor: float = 0.0) -> tuple[Array, Array]:
    """Return element losses and their derivatives with respect to p."""
    rate, k = (s * p) ** 2, (s * t) ** 2
    held = np.maximum(rate, floor) if guard == "clamp" else rate
    inside = held + floor if guard == "log_add" else held
    with np.errstate(divide="ignore", invalid="ignore"):
        loss = held - np.where(k == 0, 0, k * np.log(inside))
        slope = 2 * s * s * p * (1 - np.where(k == 0, 0, k / inside))
        slope = np.where((p == 0) & (k > 0) & (guard == "none"), -np.inf, slope)
    if guard == "clamp":
        slope = np.where(rate > floor, slope, 0)
    return loss + constant_term(k, constant), slope


def constant_term(k: Array, constant: str) -> Array:
    safe = np.where(k > 0, k, 1)
    entropy = np.where(k > 0, k * np.log(safe) - k, 0)
    return {
        "none": np.zeros(k.shape),
        "lgamma": np.vectorize(lambda counts: lgamma(counts + 1))(k),
        "stirling": np.where(k > 1, entropy + 0.5 * np.log(2 * np.pi * safe), 0),
        "saturated": entropy,
    }[constant]


def reduce(elements: Array, valid: Array, reduction: str) -> Array:
    elements = np.where(valid, elements, 0)
    per_sample = elements.sum((1, 2, 3))
    return {
        "mean": elements.sum() / max(valid.sum(), 1),
        "sum": elements.sum(),
        "sample": per_sample / np.maximum(valid.sum((1, 2, 3)), 1),
        "sample_sum": per_sample.mean(),
        "none": elements,
    }[reduction]


def weights(valid: Array, reduction: str) -> Array:
    """How often an element's loss counts in the sum of the reduced loss."""
    each = {
        "mean": 1 / max(valid.sum(), 1),
        "sum": 1,
        "sample": 1 / np.maximum(valid.sum((1, 2, 3), keepdims=True), 1),
        "sample_sum": 1 / valid.shape[0],
        "none": 1,
    }[reduction]
    return valid * np.asarray(each, float)
