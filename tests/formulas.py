"""The formulas of the losses in the operations of any framework, for right losses to be written in."""

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
