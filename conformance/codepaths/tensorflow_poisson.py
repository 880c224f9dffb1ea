"""Element losses of the Poisson NLL: values free of cancellation, gradients in closed form.

Autodiff of lambda - k log(lambda) subtracts two numbers of size k: in float32, half of the gradient is noise at 1e8
photons per pixel, and it is NaN at k = lambda = 0.
"""

from typing import Any

import tensorflow as tf

Tensor = Any  # TensorFlow ships no types
LOG_2_PI = 1.8378770664093453
NEAR = 0.25  # below it the series serves: term j of it is below (1/16)^j of the first
TERMS = {tf.float32: 8, tf.float64: 13}


def _contrast(p: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Return v = (p^2 - t^2) / (p^2 + t^2), from moduli and not from squares, which overflow, and v^2 S(v^2).

    log(lambda / k) = 2 atanh(v) = 2 (v + v^3 S(v^2)).
    """
    p, t = tf.abs(p), tf.abs(t)
    total = p + t
    h = (p - t) / tf.where(total == 0, tf.ones_like(total), total)
    v = 2 * h / (1 + tf.square(h))
    square = tf.square(v)
    terms = TERMS[v.dtype]
    series = 1 / (2 * terms + 1)
    for index in range(terms - 1, 0, -1):
        series = series * square + 1 / (2 * index + 1)
    return v, square * series


def _unrecorded(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Shut autodiff out of a value whose gradient is given, or a tape keeps every step of it in memory in vain."""
    return tuple(tf.stop_gradient(tensor) for tensor in tensors)


def _half_log_ratio(p: Tensor, t: Tensor) -> Tensor:
    """log|t/p|, also where both are all but equal; 0 where t = 0, +inf where p = 0 < |t|."""
    p, t = tf.abs(p), tf.abs(t)
    near = 8 * tf.abs(p - t) < p + t
    near_p, one = tf.where(near, p, tf.ones_like(p)), tf.ones_like(p)
    close = tf.math.log1p(tf.where(near, t - p, tf.zeros_like(p)) / near_p)
    idle = near | (t == 0)
    return tf.where(near, close, tf.math.log(tf.where(idle, one, t) / tf.where(idle, one, p)))


def _slope(p: Tensor, t: Tensor) -> Tensor:
    """(p - t)(p + t) / p: 0, with derivative 1, where p = t = 0, and -inf where p = 0 < |t|, for p = -0 too."""
    dead = p == 0
    silent = dead & (t == 0)
    divisor = tf.where(silent, tf.ones_like(p), tf.where(dead, tf.abs(p), p))
    return tf.where(silent, p, (p - t) * ((p + t) / divisor))


@tf.custom_gradient  # type: ignore[untyped-decorator]  # TensorFlow ships no types
def deviance(p: Tensor, t: Tensor, s: Tensor) -> tuple[Tensor, Any]:
    """D = lambda - k - k log(lambda / k) >= 0: lambda where k = 0, +inf where lambda = 0 < k."""

    def backward(cotangent: Tensor) -> tuple[Tensor, Tensor, None]:
        of_log = cotangent * 2 * tf.square(s)
        return of_log * _slope(p, t), of_log * 2 * t * _half_log_ratio(p, t), None

    a, b = _unrecorded(tf.abs(p), tf.abs(t))
    excess = (s * (a - b)) * (s * (a + b))
    k = tf.square(s * b)
    v, rest = _contrast(a, b)
    near = excess * v - 2 * k * v * rest
    far = excess + 2 * tf.where(k == 0, k, k * _half_log_ratio(a, b))
    value = tf.where(tf.abs(v) < NEAR, near, far)
    return tf.where((a == 0) & (b != 0), tf.constant(float("inf"), p.dtype), value), backward


@tf.custom_gradient  # type: ignore[untyped-decorator]  # TensorFlow ships no types
def clamped(p: Tensor, t: Tensor, s: Tensor, floor: Tensor) -> tuple[Tensor, Any]:
    """r - k log(r) with r = max(lambda, floor); no gradient with respect to p at and below the floor."""

    def bounded(p: Tensor) -> tuple[Tensor, Tensor]:
        rate = tf.square(s * p)
        below = rate <= floor  # not `maximum`: a NaN must stay NaN, in value and gradient
        return below, tf.where(below, floor, rate)

    def backward(cotangent: Tensor) -> tuple[Tensor, Tensor, None, None]:
        below, rate = bounded(p)
        of_log = cotangent * 2 * tf.square(s)
        of_p = tf.where(below, tf.zeros_like(p), of_log * _slope(tf.where(below, tf.ones_like(p), p), t))
        return of_p, -of_log * t * tf.math.log(rate), None, None

    a, b = _unrecorded(p, t)
    _, rate = bounded(a)
    return rate - tf.square(s * b) * tf.math.log(rate), backward


@tf.custom_gradient  # type: ignore[untyped-decorator]  # TensorFlow ships no types
def raised(p: Tensor, t: Tensor, s: Tensor, floor: Tensor) -> tuple[Tensor, Any]:
    """lambda - k log(lambda + floor)."""

    def backward(cotangent: Tensor) -> tuple[Tensor, Tensor, None, None]:
        of_log = cotangent * 2 * tf.square(s)
        rate = tf.square(s * p) + floor
        of_p = of_log * p * (((s * (p - t)) * (s * (p + t)) + floor) / rate)
        return of_p, -of_log * t * tf.math.log(rate), None, None

    a, b = _unrecorded(p, t)
    rate = tf.square(s * a)
    return rate - tf.square(s * b) * tf.math.log(rate + floor), backward


def _some(k: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """Where k is above `bound`, and k there, else 1: a logarithm that is safe to differentiate."""
    enough = k > bound
    return enough, tf.where(enough, k, tf.ones_like(k))


def entropy(k: Tensor) -> Tensor:
    """K log k - k, 0 at k = 0."""
    seen, safe = _some(k, 0.0)
    return tf.where(seen, safe * tf.math.log(safe) - safe, k * 0)


def _half_log_two_pi(k: Tensor) -> Tensor:
    """0.5 log(2 pi k) where k > 1."""
    return 0.5 * (LOG_2_PI + tf.math.log(_some(k, 1.0)[1]))


def beyond_deviance(k: Tensor, constant: str) -> Tensor:
    """What a loss with `constant` has more than the deviance; a function of the counts alone."""
    if constant == "saturated":
        return k * 0
    if constant == "stirling":
        return tf.where(k > 1, _half_log_two_pi(k), -entropy(k))
    return tf.math.lgamma(k + 1) - entropy(k) if constant == "lgamma" else -entropy(k)


def constant_term(k: Tensor, constant: str) -> Tensor:
    """Return the constant itself, as it stands beside a guarded rate."""
    if constant == "none":
        return k * 0
    if constant == "saturated":
        return entropy(k)
    if constant == "stirling":
        return tf.where(k > 1, entropy(k) + _half_log_two_pi(k), k * 0)
    return tf.math.lgamma(k + 1)
