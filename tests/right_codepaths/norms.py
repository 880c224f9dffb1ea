"""Norms over a scope: each takes `(operations, space, x, eps)` and returns a numerator and its divisor >= eps.

Where the sum of squares overflows the divisor is NaN, unless the way of writing it does not overflow.
"""

from types import SimpleNamespace
from typing import Any

INFINITY, NOT_A_NUMBER = float("inf"), float("nan")
BRIGHT, FAINT, STEP = 2.0**32, 2.0**-32, 2.0**80


def _bounded(o: SimpleNamespace, norm: Any, eps: Any) -> Any:
    """max(norm, eps), NaN for an infinite norm and for NaN."""
    held = o.where(norm <= eps, eps, norm)
    return o.where(norm == INFINITY, o.full(norm, NOT_A_NUMBER), held)


def _root(o: SimpleNamespace, energy: Any) -> Any:
    dark = energy == 0
    return o.where(dark, o.zeros(energy), o.sqrt(o.where(dark, o.ones(energy), energy)))


def root_of_sum(o: SimpleNamespace, space: Any, x: Any, eps: float) -> tuple[Any, Any]:
    norm = _root(o, space.total(x * x))
    return x, _bounded(o, norm, o.full(norm, eps))


def root_of_mean(o: SimpleNamespace, space: Any, x: Any, eps: float) -> tuple[Any, Any]:
    """The root mean square of valid elements times the root of their number."""
    size = o.at_least(space.total(o.cast(space.valid, x)), 1.0)
    norm = _root(o, space.total(x * x) / size) * o.sqrt(size)
    return x, _bounded(o, norm, o.full(norm, eps))


def root_of_bounded_sum(o: SimpleNamespace, space: Any, x: Any, eps: float) -> tuple[Any, Any]:
    """max before the root, with the square of eps: the same function, and no root of 0 to differentiate."""
    energy = space.total(x * x)
    least = o.full(energy, eps * eps)
    held = o.where(energy <= least, least, energy)
    return x, o.sqrt(o.where(energy == INFINITY, o.full(energy, NOT_A_NUMBER), held))


def by_largest(o: SimpleNamespace, space: Any, x: Any, eps: float) -> tuple[Any, Any]:
    """Divided by the largest element, a constant, before anything is squared: nothing overflows."""
    big = o.stop(space.largest(o.abs(x)))
    big = o.where(big == 0, o.ones(big), big)
    scaled = x / big
    norm = _root(o, space.total(scaled * scaled))
    return scaled, _bounded(o, norm, o.full(norm, eps) / big)


def by_power_of_two(o: SimpleNamespace, space: Any, x: Any, eps: float) -> tuple[Any, Any]:
    """In one of three ranges, brought there by a power of two, which rounds nothing."""
    big = o.stop(space.largest(o.abs(x)))
    down, up = o.full(big, 1 / STEP), o.full(big, STEP)
    factor = o.where(big > BRIGHT, down, o.where(big < FAINT, up, o.ones(big)))
    scaled = x * factor
    norm = _root(o, space.total(scaled * scaled))
    return scaled, _bounded(o, norm, o.full(norm, eps) * factor)


def slope_by_hand(o: SimpleNamespace, space: Any, x: Any, eps: float) -> tuple[Any, Any]:
    """The norm as a constant plus its differential x / ||x|| put in by hand, which is 0 where eps bounds it."""
    norm = o.stop(_root(o, space.total(x * x)))
    bound = _bounded(o, norm, o.full(norm, eps))
    slope = o.stop(o.where(norm <= eps, o.zeros(x), x / bound))
    return x, bound + space.total(slope * (x - o.stop(x)))


def inverse_root(o: SimpleNamespace, space: Any, x: Any, eps: float) -> tuple[Any, Any]:
    """Times the library's reciprocal square root."""
    energy = space.total(x * x)
    dark = energy <= o.full(energy, eps * eps)
    inverse = o.inverse_sqrt(o.where(dark, o.ones(energy), energy))
    inverse = o.where(energy == INFINITY, o.full(energy, NOT_A_NUMBER), inverse)
    return x * o.where(dark, o.full(energy, 1 / eps), inverse), o.ones(energy)
