"""Right losses, each written differently: name -> (loss, operations -> callable). None may be rejected."""

from types import SimpleNamespace
from typing import Any

from formulas import Maker, l2, modulus, nll, norm


def _by_signs(ops: SimpleNamespace, p: Any, t: Any) -> Any:
    """sum(s p) / P - sum(s t) / T, the signs held constant."""
    d = p / norm(ops, p) - t / norm(ops, t)
    up, down = 0 * d + 1, 0 * d - 1
    s = ops.stop(ops.where(d > 0, up, ops.where(d < 0, down, 0 * d)))
    parts = ops.sum(s * p) / norm(ops, p) - ops.sum(s * t) / norm(ops, t)
    return ops.mean(parts) / (ops.count(p) / p.shape[0])


def _sample_by_sample(ops: SimpleNamespace, p: Any, t: Any) -> Any:
    return ops.mean(ops.stack([l2(ops, p[b : b + 1], t[b : b + 1]) for b in range(p.shape[0])]))


def _by_reciprocal(ops: SimpleNamespace, p: Any, t: Any) -> Any:
    return ops.mean(ops.abs(p * (1 / norm(ops, p)) - t * (1 / norm(ops, t))))


def _matched_to_target(ops: SimpleNamespace, p: Any, t: Any) -> Any:
    return ops.mean(ops.abs(p * (norm(ops, t) / norm(ops, p)) - t) / norm(ops, t))


def _in_float64(ops: SimpleNamespace, p: Any, t: Any) -> Any:
    return ops.narrow(l2(ops, ops.widen(p), ops.widen(t)), p)


def _norm_axis_by_axis(ops: SimpleNamespace, p: Any, t: Any) -> Any:
    def unit(x: Any) -> Any:
        energy = ops.sum(ops.sum(ops.sum(x * x, (3,)), (2,)), (1,))
        lit = energy > 0
        root = ops.sqrt(ops.where(lit, energy, ops.ones(energy)))
        return x / ops.at_least(ops.where(lit, root, 0 * root) + 0 * root, 2.0**-40)

    return ops.mean(ops.abs(unit(t) - unit(p)))


def _rate_from_square(ops: SimpleNamespace, p: Any, t: Any, s: Any) -> Any:
    a = s * s
    counts = a * (t * t)
    safe = ops.where(counts > 0, modulus(ops, p), ops.ones(p))
    return ops.mean(a * (p * p)) - ops.mean(counts * (ops.log(a) + 2 * ops.log(safe)))


def _logs_apart(ops: SimpleNamespace, p: Any, t: Any, s: Any) -> Any:
    counts = (s * t) ** 2
    safe = ops.where(counts > 0, modulus(ops, p), ops.ones(p))
    return ops.mean((s * p) ** 2 - counts * 2 * (ops.log(s) + ops.log(safe)))


def _closed_form_gradient(ops: SimpleNamespace, p: Any, t: Any, s: Any) -> Any:
    """The value of the formula, the gradient 2 s^2 (p - t) (p + t) / p put in by hand where it is finite."""
    safe = ops.where(t == 0, ops.ones(p), modulus(ops, s * p))
    natural = (s * p) ** 2 - 2 * (s * t) ** 2 * ops.log(safe)
    slope = 2 * s * s * (p - t) * (p + t) / ops.where(p == 0, ops.ones(p), p)
    by_hand = ops.stop(natural) + ops.stop(slope) * (p - ops.stop(p))
    return ops.mean(ops.where((p == 0) & (t != 0), natural, by_hand))


RIGHT: dict[str, tuple[str, Maker]] = {
    "plain": ("amplitude_l2_mae", lambda o: lambda p, t: l2(o, p, t)),
    "by-reciprocal": ("amplitude_l2_mae", lambda o: lambda p, t: _by_reciprocal(o, p, t)),
    "by-signs": ("amplitude_l2_mae", lambda o: lambda p, t: _by_signs(o, p, t)),
    "sample-by-sample": ("amplitude_l2_mae", lambda o: lambda p, t: _sample_by_sample(o, p, t)),
    "matched-to-target": ("amplitude_l2_mae", lambda o: lambda p, t: _matched_to_target(o, p, t)),
    "in-float64": ("amplitude_l2_mae", lambda o: lambda p, t: _in_float64(o, p, t)),
    "norm-axis-by-axis": ("amplitude_l2_mae", lambda o: lambda p, t: _norm_axis_by_axis(o, p, t)),
    "mae-plain": ("amplitude_mae", lambda o: lambda p, t: o.mean(o.abs(p - t))),
    "mae-by-maximum": ("amplitude_mae", lambda o: lambda p, t: o.mean(o.abs(t - p))),
    "nll-plain": ("poisson_nll", lambda o: lambda p, t, s: nll(o, p, t, s)),
    "nll-rate-from-square": ("poisson_nll", lambda o: lambda p, t, s: _rate_from_square(o, p, t, s)),
    "nll-logs-apart": ("poisson_nll", lambda o: lambda p, t, s: _logs_apart(o, p, t, s)),
    "nll-closed-form": ("poisson_nll", lambda o: lambda p, t, s: _closed_form_gradient(o, p, t, s)),
}
