"""Wrong losses, each a bug that somebody writes: name -> (loss it pretends to be, operations -> callable)."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

EPS = 2.0**-40
Loss = Callable[..., Any]
Maker = Callable[[SimpleNamespace], Loss]


def norm(ops: SimpleNamespace, x: Any, axes: tuple[int, ...] = (1, 2, 3), eps: float = EPS) -> Any:
    """max(||x||, eps), with a finite derivative at 0; NaN where the squares overflow, since 0 * inf is."""
    energy = ops.sum(x * x, axes)
    lit = energy > 0
    root = ops.sqrt(ops.where(lit, energy, ops.ones(energy)))
    return ops.at_least(ops.where(lit, root, 0 * root) + 0 * root, eps)


def l2(ops: SimpleNamespace, p: Any, t: Any) -> Any:
    return ops.mean(ops.abs(p / norm(ops, p) - t / norm(ops, t)))


def modulus(ops: SimpleNamespace, x: Any) -> Any:
    """|x| with derivative 1 at 0: 0 there would turn a gradient of -inf into NaN."""
    return ops.where(x < 0, -x, x)


def nll(ops: SimpleNamespace, p: Any, t: Any, s: Any) -> Any:
    counts = (s * t) ** 2
    return ops.mean((s * p) ** 2 - 2 * counts * ops.log(ops.where(counts > 0, modulus(ops, s * p), ops.ones(p))))


def plain_nll(ops: SimpleNamespace, p: Any, t: Any, s: Any) -> Any:
    """The formula as it stands, right but for its gradient at rate 0 under counts, which is NaN."""
    rate, counts = (s * p) ** 2, (s * t) ** 2
    return ops.mean(rate - counts * ops.log(ops.where(counts > 0, rate, ops.ones(rate))))


def with_gradient(ops: SimpleNamespace, value: Any, factor: float) -> Any:
    """The same value, the gradient multiplied."""
    return ops.stop(value) + factor * (value - ops.stop(value))


def _abs_one_at_zero(ops: SimpleNamespace, d: Any) -> Any:
    return ops.where(d >= 0, d, -d)


def _clamped_with_gradient(ops: SimpleNamespace, x: Any) -> Any:
    """max(||x||, eps) in value, the derivative of ||x|| on both sides of eps."""
    free = norm(ops, x, eps=0.0)
    return free + ops.stop(norm(ops, x) - free)


def _root_without_guard(ops: SimpleNamespace, x: Any) -> Any:
    return ops.sqrt(ops.sum(x * x))


L2_LIARS: dict[str, Maker] = {
    "not-normalised": lambda o: lambda p, t: o.mean(o.abs(p - t)),
    "only-prediction": lambda o: lambda p, t: o.mean(o.abs(p / norm(o, p) - t)),
    "only-target": lambda o: lambda p, t: o.mean(o.abs(p - t / norm(o, t))),
    "batch-scope": lambda o: lambda p, t: o.mean(o.abs(p / norm(o, p, (0, 1, 2, 3)) - t / norm(o, t, (0, 1, 2, 3)))),
    "channel-scope": lambda o: lambda p, t: o.mean(o.abs(p / norm(o, p, (2, 3)) - t / norm(o, t, (2, 3)))),
    "norm-detached": lambda o: lambda p, t: o.mean(o.abs(p / o.stop(norm(o, p)) - t / norm(o, t))),
    "coupling-below-eps": lambda o: lambda p, t: o.mean(o.abs(p / _clamped_with_gradient(o, p) - t / norm(o, t))),
    "channels-as-batch-of-one": lambda o: (
        lambda p, t: o.mean(o.abs(p / norm(o, p, (2, 3)) - t / norm(o, t, (2, 3)))) if p.shape[0] == 1 else l2(o, p, t)
    ),
    "wrong-beyond-four-samples": lambda o: lambda p, t: (2.0 if p.shape[0] > 4 else 1.0) * l2(o, p, t),
    "l1-norm": lambda o: (
        lambda p, t: o.mean(o.abs(p / o.at_least(o.sum(o.abs(p)), EPS) - t / o.at_least(o.sum(o.abs(t)), EPS)))
    ),
    "squared-error": lambda o: lambda p, t: o.mean((p / norm(o, p) - t / norm(o, t)) ** 2),
    "zero-gradient": lambda o: lambda p, t: with_gradient(o, l2(o, p, t), 0.0),
    "gradient-1-percent-up": lambda o: lambda p, t: with_gradient(o, l2(o, p, t), 1.01),
    "gradient-reversed": lambda o: lambda p, t: with_gradient(o, l2(o, p, t), -1.0),
    "sign-of-zero-one": lambda o: lambda p, t: o.mean(_abs_one_at_zero(o, p / norm(o, p) - t / norm(o, t))),
    "intensities": lambda o: lambda p, t: o.mean(o.abs(p * p / norm(o, p * p) - t * t / norm(o, t * t))),
    "norm-squared": lambda o: lambda p, t: o.mean(o.abs(p / norm(o, p) ** 2 - t / norm(o, t) ** 2)),
    "eps-in-the-root": lambda o: (
        lambda p, t: o.mean(o.abs(p / o.sqrt(o.sum(p * p) + 1e-6) - t / o.sqrt(o.sum(t * t) + 1e-6)))
    ),
    "eps-added": lambda o: lambda p, t: o.mean(o.abs(p / (norm(o, p) + 1e-8) - t / (norm(o, t) + 1e-8))),
    "nan-on-dark-frames": lambda o: (
        lambda p, t: o.mean(o.abs(p / _root_without_guard(o, p) - t / _root_without_guard(o, t)))
    ),
    "sum-for-mean": lambda o: lambda p, t: o.count(p) * l2(o, p, t),
    "unit-rms": lambda o: lambda p, t: (o.count(p) / p.shape[0]) ** 0.5 * l2(o, p, t),
    "bright-pixels-only": lambda o: lambda p, t: o.mean(o.where(t > 0, o.abs(p / norm(o, p) - t / norm(o, t)), 0 * p)),
}

MAE_LIARS: dict[str, Maker] = {
    "mae-squared": lambda o: lambda p, t: o.mean((p - t) ** 2),
    "mae-normalised": lambda o: lambda p, t: l2(o, p, t),
    "mae-sign-of-zero-one": lambda o: lambda p, t: o.mean(_abs_one_at_zero(o, p - t)),
    "mae-zero-gradient": lambda o: lambda p, t: with_gradient(o, o.mean(o.abs(p - t)), 0.0),
    "mae-clamped": lambda o: lambda p, t: o.mean(o.abs(o.at_least(p, 0.0) - o.at_least(t, 0.0))),
    "mae-sum": lambda o: lambda p, t: o.count(p) * o.mean(o.abs(p - t)),
}

NLL_LIARS: dict[str, Maker] = {
    "scale-omitted": lambda o: lambda p, t, s: nll(o, p, t, s / s),
    "scale-squared": lambda o: lambda p, t, s: nll(o, p, t, s * s),
    "scale-on-prediction-only": lambda o: lambda p, t, s: nll(o, p, t / s, s),
    "lgamma-added": lambda o: lambda p, t, s: nll(o, p, t, s) + o.mean(o.lgamma((s * t) ** 2 + 1)),
    "nan-gradient-at-rate-zero": lambda o: lambda p, t, s: plain_nll(o, p, t, s),
    "rate-floor-added": lambda o: lambda p, t, s: o.mean((s * p) ** 2 - (s * t) ** 2 * o.log((s * p) ** 2 + 1e-8)),
    "log1p": lambda o: lambda p, t, s: o.mean((s * p) ** 2 - (s * t) ** 2 * o.log((s * p) ** 2 + 1)),
    "not-squared": lambda o: lambda p, t, s: o.mean(s * p - s * t * o.log(o.at_least(s * p, EPS))),
    "squared-twice": lambda o: lambda p, t, s: nll(o, p * p, t * t, s),
    "swapped": lambda o: lambda p, t, s: nll(o, t, p, s),
    "normalised": lambda o: lambda p, t, s: nll(o, p / norm(o, p), t / norm(o, t), s),
    "counts-rounded": lambda o: (
        lambda p, t, s: o.mean((s * p) ** 2 - o.round((s * t) ** 2) * o.log(o.at_least((s * p) ** 2, EPS)))
    ),
    "nan-on-dead-pixels": lambda o: lambda p, t, s: o.mean((s * p) ** 2 - (s * t) ** 2 * o.log((s * p) ** 2)),
    "log-of-signed-amplitude": lambda o: (
        lambda p, t, s: o.mean((s * p) ** 2 - 2 * (s * t) ** 2 * o.log(o.where(t == 0, o.ones(p), s * p)))
    ),
    "prediction-clamped": lambda o: lambda p, t, s: nll(o, o.at_least(p, 0.0), t, s),
    "rate-floor-1e-20": lambda o: (
        lambda p, t, s: o.mean((s * p) ** 2 - (s * t) ** 2 * o.log(o.at_least((s * p) ** 2, 1e-20)))
    ),
    "gaussian": lambda o: lambda p, t, s: o.mean((s * p - s * t) ** 2),
    "sample-sum": lambda o: lambda p, t, s: o.count(p) / p.shape[0] * nll(o, p, t, s),
    "nll-zero-gradient": lambda o: lambda p, t, s: with_gradient(o, nll(o, p, t, s), 0.0),
    "nll-gradient-1-percent-up": lambda o: lambda p, t, s: with_gradient(o, nll(o, p, t, s), 1.01),
}

WRONG: dict[str, tuple[str, Maker]] = {
    **{name: ("amplitude_l2_mae", maker) for name, maker in L2_LIARS.items()},
    **{name: ("amplitude_mae", maker) for name, maker in MAE_LIARS.items()},
    **{name: ("poisson_nll", maker) for name, maker in NLL_LIARS.items()},
}
