"""Data-only terms, guarded rates and scales derived from the data, each in a few ways."""

from collections.abc import Callable
from math import log, pi
from types import SimpleNamespace
from typing import Any

LOG_2_PI = log(2 * pi)


def _log(o: SimpleNamespace, k: Any) -> tuple[Any, Any]:
    """log k, and whether there are counts at all; NaN stays."""
    unseen = k == 0
    return o.log(o.where(unseen, o.ones(k), k)), unseen


def as_written(o: SimpleNamespace, constant: str, k: Any) -> Any:
    if constant == "lgamma":
        return o.lgamma(k + 1)
    if constant == "saturated":
        return k * _log(o, k)[0] - k
    if constant == "stirling":
        many = k > 1
        held = o.where(many, k, o.ones(k))
        return o.where(many, held * o.log(held) - held + 0.5 * o.log(2 * pi * held), o.zeros(k))
    return o.zeros(k)


def gathered(o: SimpleNamespace, constant: str, k: Any) -> Any:
    """k (log k - 1), and (k + 1/2) log k in Stirling's series."""
    if constant == "lgamma":
        return o.lgamma(1 + k)
    if constant == "saturated":
        logarithm, unseen = _log(o, k)
        return o.where(unseen, o.zeros(k), k * (logarithm - 1))
    if constant == "stirling":
        few = k <= 1
        logarithm = o.log(o.where(few, o.ones(k), k))
        return o.where(few, o.zeros(k), (k + 0.5) * logarithm - k + 0.5 * LOG_2_PI)
    return 0 * k


def clamp_by_larger(o: SimpleNamespace, rate: Any, floor: Any) -> Any:
    return o.larger(rate, floor)


def clamp_by_choice(o: SimpleNamespace, rate: Any, floor: Any) -> Any:
    return o.where(rate <= floor, floor, rate)


def clamp_by_excess(o: SimpleNamespace, rate: Any, floor: Any) -> Any:
    """The floor plus what is above it."""
    return floor + o.larger(rate - floor, o.zeros(rate))


Clamp = Callable[[SimpleNamespace, Any, Any], Any]


def guarded(clamp: Clamp, folded: bool) -> Callable[..., tuple[Any, ...]]:
    """Return the element losses of a guarded rate; `folded`: s^2 multiplies the squares of the amplitudes."""

    def parts(o: SimpleNamespace, p: Any, t: Any, s: Any, guard: str, floor: float, data: Any) -> tuple[Any, ...]:
        rate, counts = (s * s * (x * x) if folded else (s * x) * (s * x) for x in (p, t))
        least = o.full(rate, floor)
        if guard == "clamp":
            held = clamp(o, rate, least)
            return (held - counts * o.log(held), data(counts))
        return (rate, data(counts) - counts * o.log(least + rate))

    return parts


as_guarded = guarded(clamp_by_larger, False)


def mean_of_sums(o: SimpleNamespace, space: Any, t: Any, nphotons: float) -> Any:
    """sqrt(nphotons / mean over patterns of the sum of t^2)."""
    mean = space.whole(t * t) / space.patterns
    return o.sqrt(o.full(mean, nphotons) / mean)


def one_quotient(o: SimpleNamespace, space: Any, t: Any, nphotons: float) -> Any:
    """sqrt(nphotons * patterns) / ||t||."""
    energy = space.whole(t * t)
    return o.sqrt(o.full(energy, nphotons * space.patterns)) / o.sqrt(energy)


def per_pattern(o: SimpleNamespace, space: Any, t: Any, nphotons: float) -> Any:
    """The root of photons per pattern times the reciprocal of the energy."""
    energy = space.whole(t * t)
    return o.sqrt(o.full(energy, nphotons) * (space.patterns * (1 / energy)))
