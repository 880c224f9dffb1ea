"""Element losses of the Poisson likelihood without a guard: each takes `(operations, p, t, s, data)`.

`data` is the data-only term as a function of the counts. They return what is to be summed, in one or several parts.
At p = 0 < t the value is +inf and the slope -inf, at p = t = 0 both are 0; autodiff of k log((s p)^2) gives neither.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

Data = Callable[[Any], Any]
Parts = tuple[Any, ...]
Elements = Callable[[SimpleNamespace, Any, Any, Any, Data], Parts]
LN_2 = 0.6931471805599453


def _positive(o: SimpleNamespace, p: Any) -> Any:
    """|p| with slope 1 at 0, where the slope of log p has to be inf and not 0 * inf."""
    return o.where(p < 0, -p, p)


def _log_rate(o: SimpleNamespace, p: Any, s: Any, rate: Any, seen: Any, log: Callable[[Any], Any]) -> Any:
    """`log(rate)` of a rate above 0 where there are counts, twice log(s p) where squaring has left nothing."""
    dark = rate == 0
    usual = log(o.where(seen & ~dark, rate, o.ones(rate)))
    twice = 2 * o.log(o.where(seen & dark, s * _positive(o, p), o.ones(rate)))
    return o.where(dark, twice, usual)


def log_of_rate(o: SimpleNamespace, p: Any, t: Any, s: Any, data: Data) -> Parts:
    """The formula as it stands, of squares of scaled amplitudes."""
    rate, counts = (s * p) * (s * p), (s * t) * (s * t)
    return (rate - counts * _log_rate(o, p, s, rate, counts != 0, o.log) + data(counts),)


def binary_log(o: SimpleNamespace, p: Any, t: Any, s: Any, data: Data) -> Parts:
    """With log2, and s^2 into the squares."""
    a = s * s
    rate, counts = a * (p * p), a * (t * t)
    log = _log_rate(o, p, s, rate, counts != 0, lambda x: o.log2(x) * LN_2)
    return (rate - counts * log, data(counts))


def twice_log_of_amplitude(o: SimpleNamespace, p: Any, t: Any, s: Any, data: Data) -> Parts:
    """2 k log|s p|, and three sums of their own."""
    x, y = s * p, s * t
    seen = y != 0
    log = o.log(o.where(seen, _positive(o, x), o.ones(x)))
    return (x * x, -2 * (y * y) * log, data(y * y))


def logs_apart(o: SimpleNamespace, p: Any, t: Any, s: Any, data: Data) -> Parts:
    """log s and log p by themselves."""
    counts = s * t * s * t
    seen = counts != 0
    log = o.log(s) + o.log(o.where(seen, _positive(o, p), o.ones(p)))
    return (s * p * s * p, data(counts) - o.where(seen, 2 * counts * log, o.zeros(log)))


def ratio(o: SimpleNamespace, p: Any, t: Any, s: Any, data: Data) -> Parts:
    """k (r^2 - 2 log r) - k log k with r = p / t where there are counts."""
    counts = (s * t) * (s * t)
    seen = counts != 0
    r = _positive(o, p) / o.where(seen, o.abs(t), o.ones(t))
    r = o.where(seen, r, o.ones(r))
    log_counts = o.log(o.where(seen, counts, o.ones(counts)))
    rate = o.where(seen, counts * (r * r), (s * p) * (s * p))
    return (rate - counts * (2 * o.log(r) + log_counts) + data(counts),)


def closed_form(o: SimpleNamespace, p: Any, t: Any, s: Any, data: Data) -> Parts:
    """The value by the library's x log y, the slopes 2 s^2 (p - t) (p + t) / p and -2 s^2 t log(rate) by hand."""
    rate, counts = o.stop((s * p) * (s * p)), (s * t) * (s * t)
    none = o.zeros(rate)
    unseen = o.stop(counts == 0)
    value = rate - o.stop(o.xlogy(o.where(unseen, none, counts), o.where(unseen, o.ones(rate), rate)))
    silent = (p == 0) & (t == 0)
    of_p = 2 * s * s * ((p - t) * (p + t) / o.where(silent, o.ones(p), p))
    of_t = -2 * s * s * t * o.log(o.where(unseen, o.ones(rate), rate))
    return (o.attach(value, p, t, o.stop(of_p), o.stop(of_t)) + data(counts),)


def _deviance(o: SimpleNamespace, p: Any, t: Any, s: Any) -> Any:
    """delta v - 2 k v^3 (1/3 + v^2/5 + ...) near p = t, delta + 2 k log(t / p) elsewhere."""
    above, below = o.abs(p), o.abs(t)
    delta, counts = s * s * (above - below) * (above + below), (s * t) * (s * t)
    both_dark = (above == 0) & (below == 0)
    h = (above - below) / o.where(both_dark, o.ones(p), above + below)
    v = 2 * h / (1 + h * h)
    near = o.abs(v) < 0.25
    w = o.where(near, v, o.zeros(v))
    series = o.zeros(v)
    for power in range(27, 1, -2):
        series = series * w * w + 1 / power
    close = delta * w - 2 * counts * w * w * w * series
    seen = ~near & (counts != 0)
    far = delta + 2 * counts * o.log(o.where(seen, below, o.ones(p)) / o.where(seen, above, o.ones(p)))
    return o.where(near, close, o.where(counts == 0, (s * p) * (s * p) + counts, far))


def _own(o: SimpleNamespace, counts: Any) -> Any:
    """k - k log k."""
    return counts - counts * o.log(o.where(counts == 0, o.ones(counts), counts))


def deviance_by_hand(o: SimpleNamespace, p: Any, t: Any, s: Any, data: Data) -> Parts:
    """The deviance in amplitude form plus what it lacks, the slope in p put in by hand, that in t not at all."""
    counts = (s * t) * (s * t)
    silent = (p == 0) & (t == 0)
    of_p = 2 * s * s * ((p - t) * (p + t) / o.where(silent, o.ones(p), p))
    value = o.attach(o.stop(_deviance(o, p, t, s)), p, t, o.stop(of_p), o.zeros(p))
    return (value + (_own(o, counts) + data(counts)),)


def deviance_by_log1p(o: SimpleNamespace, p: Any, t: Any, s: Any, data: Data) -> Parts:
    """k (x - log1p(x)) with x = (p - t) (p + t) / t^2 near p = t, elsewhere k (x - 2 log(p / t)); autodiff.

    log1p(x) alone would have no correct digit left where p is small beside t and x close to -1.
    """
    counts = (s * t) * (s * t)
    unseen, dark = counts == 0, p == 0
    lit = ~unseen & ~dark
    safe = o.where(lit, t, o.ones(t))
    other = o.where(lit, p, o.ones(p))
    x = (other - safe) * (other + safe) / (safe * safe)
    near = (x > -0.5) & (x < 0.5)
    log = o.where(near, o.log1p(o.where(near, x, o.zeros(x))), 2 * o.log(_positive(o, other / safe)))
    rate = (s * p) * (s * p)
    twice = 2 * o.log(o.where(dark & ~unseen, s * _positive(o, p), o.ones(p)))
    rest = o.where(dark, rate - counts * twice, rate)
    return (o.where(lit, counts * (x - log) + _own(o, counts), rest), data(counts))
