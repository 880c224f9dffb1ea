"""|a - b| with sign(0) = 0, and from it |phat - that|.

The sign comes from comparing the two: a fused multiply-add in their difference cannot unmake a tie.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

INFINITY = float("inf")
Difference = Callable[[SimpleNamespace, Any, Any], Any]
Norm = Callable[[SimpleNamespace, Any, Any, float], tuple[Any, Any]]
Elements = Callable[[SimpleNamespace, Any, Any, Any, float], Any]


def _sign(o: SimpleNamespace, a: Any, b: Any) -> Any:
    return o.cast(a > b, a) - o.cast(a < b, a)


def _tied(o: SimpleNamespace, a: Any, b: Any) -> Any:
    """Equal and finite: inf against inf is no tie, its difference is NaN and has to be."""
    return (a == b) & (o.abs(a) < INFINITY)


def signed(o: SimpleNamespace, a: Any, b: Any) -> Any:
    """The sign, a constant, times the difference; NaN stays, since it has no sign but a difference."""
    return _sign(o, a, b) * (a - b)


def signs_apart(o: SimpleNamespace, a: Any, b: Any) -> Any:
    """The sign times each of the two."""
    sign = _sign(o, a, b)
    return sign * a - sign * b


def larger_less_smaller(o: SimpleNamespace, a: Any, b: Any) -> Any:
    """Of two equal numbers each library shares the slope alike between larger and smaller, so that it cancels.

    XLA's larger of a number and NaN is the number, so NaN goes another way.
    """
    return o.where((a == a) & (b == b), o.larger(a, b) - o.smaller(a, b), a - b)


def two_halves(o: SimpleNamespace, a: Any, b: Any) -> Any:
    """a - b where a is larger, b - a where b is, and where neither is 0, or NaN."""
    d = a - b
    neither = o.where(_tied(o, a, b), o.zeros(d), d)
    return o.where(a > b, d, o.where(a < b, b - a, neither))


def larger_of_both_signs(o: SimpleNamespace, a: Any, b: Any) -> Any:
    """max(d, -d), whose slope at 0 is a matter of taste: there it is declared 0."""
    d = a - b
    return o.where(_tied(o, a, b), o.zeros(d), o.larger(d, -d))


def library(o: SimpleNamespace, a: Any, b: Any) -> Any:
    """The library's modulus of the difference, of 0 at a tie."""
    same = _tied(o, a, b)
    return o.abs(o.where(same, o.zeros(a), a - b))


def divide(numerator: Any, divisor: Any) -> Any:
    return numerator / divisor


def by_reciprocal(numerator: Any, divisor: Any) -> Any:
    return numerator * (1 / divisor)


def each_normalised(norm: Norm, difference: Difference, quotient: Callable[[Any, Any], Any] = divide) -> Elements:
    """|phat - that| as the contract writes it."""

    def elements(o: SimpleNamespace, space: Any, p: Any, t: Any, eps: float) -> Any:
        phat, that = [quotient(*norm(o, space, x, eps)) for x in (p, t)]
        return difference(o, phat, that)

    return elements


def matched_to_target(norm: Norm, difference: Difference) -> Elements:
    """|p T / P - t| / T: the prediction brought to the target's norm first."""

    def elements(o: SimpleNamespace, space: Any, p: Any, t: Any, eps: float) -> Any:
        (above, below), (target, length) = [norm(o, space, x, eps) for x in (p, t)]
        return difference(o, above * (length / below), target) / length

    return elements
