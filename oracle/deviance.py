"""Poisson terms per element, in amplitudes: the deviance without cancellation, and the two guarded terms.

Each has its derivatives in closed form: autodiff of lambda - k log(lambda) cancels at high counts and is NaN at 0.
The scale and the floor are constants, so their tangents are dropped.
"""

import jax
import jax.numpy as jnp

SERIES_BELOW = 0.25
SERIES_TERMS = 13  # 1/3 + v^2/5 + ... + v^24/27: what is left out is below 2^-56 of the first term at |v| = 1/4


def _log_ratio(left: jax.Array, right: jax.Array) -> jax.Array:
    """log(left / right) of positive numbers through log1p, accurate where they are close, -inf never by rounding."""
    above = left > right
    larger = jnp.where(above, left, right)
    smaller = jnp.where(above, right, left)
    return jnp.where(above, 1.0, -1.0).astype(left.dtype) * jnp.log1p((larger - smaller) / smaller)


def _slope(predicted: jax.Array, target: jax.Array, scale: jax.Array) -> jax.Array:
    """2 s^2 (p - t)(p + t) / p: 2 s^2 p where t = 0, and -inf where p = 0 < t, whatever the sign of that zero.

    The difference is taken first and s^2 is never formed: neither cancellation nor an overflow on the way.
    """
    no_counts = target == 0
    divisor = jnp.where(no_counts, 1, jnp.where(predicted == 0, 0, predicted))
    bright = 2 * scale * (scale * (predicted - target)) * ((predicted + target) / divisor)
    return jnp.where(no_counts, 2 * scale * (scale * predicted), bright)


@jax.custom_jvp
def deviance(predicted: jax.Array, target: jax.Array, scale: jax.Array) -> jax.Array:
    """D = lambda - k - k log(lambda / k) >= 0 with lambda = (s p)^2, k = (s t)^2.

    With delta = lambda - k = s^2 (|p| - |t|)(|p| + |t|), h = (|p| - |t|) / (|p| + |t|), v = 2 h / (1 + h^2), which is
    (lambda - k) / (lambda + k):

        |v| < 1/4:  D = delta v - 2 k v^3 (1/3 + v^2/5 + v^4/7 + ... + v^24/27)
        else:       D = delta + 2 k log(|t| / |p|)

    k = 0 gives lambda, also at lambda = 0; lambda = 0 < k gives +inf.
    """
    p, t = jnp.abs(predicted), jnp.abs(target)
    delta = (scale * (p - t)) * (scale * (p + t))
    counts = jnp.square(scale * t)
    both_zero = (p == 0) & (t == 0)
    h = jnp.where(both_zero, 0, (p - t) / jnp.where(both_zero, 1, p + t))
    v = 2 * h / (1 + jnp.square(h))
    v_squared = jnp.square(v)
    series = jnp.zeros_like(v)
    for term in reversed(range(SERIES_TERMS)):
        series = series * v_squared + 1 / (2 * term + 3)
    near = delta * v - 2 * counts * (v * v_squared) * series
    far = delta + jnp.where(counts == 0, 0, 2 * counts * _log_ratio(t, p))
    return jnp.where(jnp.abs(v) < SERIES_BELOW, near, far)


@deviance.defjvp
def _deviance_jvp(
    primals: tuple[jax.Array, jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """dD/dp = 2 s^2 (p - t)(p + t) / p, dD/dt = 4 s^2 t log(|t| / |p|), both 0 where p = t = 0."""
    predicted, target, scale = primals
    no_counts = target == 0
    log_ratio = _log_ratio(jnp.where(no_counts, 1, jnp.abs(target)), jnp.where(no_counts, 1, jnp.abs(predicted)))
    per_target = 4 * scale * (scale * target) * log_ratio
    return deviance(*primals), _slope(*primals) * tangents[0] + per_target * tangents[1]


@jax.custom_jvp
def clamped_rate_term(predicted: jax.Array, target: jax.Array, scale: jax.Array, floor: jax.Array) -> jax.Array:
    """r - k log(r) with r = max(lambda, floor)."""
    rate = jnp.maximum(jnp.square(scale * predicted), floor)
    return rate - jnp.square(scale * target) * jnp.log(rate)


@clamped_rate_term.defjvp
def _clamped_rate_term_jvp(
    primals: tuple[jax.Array, jax.Array, jax.Array, jax.Array],
    tangents: tuple[jax.Array, jax.Array, jax.Array, jax.Array],
) -> tuple[jax.Array, jax.Array]:
    """d/dp = 2 s^2 (p - t)(p + t) / p where lambda > floor, else 0; d/dt = -2 s^2 t log(max(lambda, floor))."""
    predicted, target, scale, floor = primals
    rate = jnp.square(scale * predicted)
    held = rate <= floor
    per_predicted = jnp.where(held, 0, _slope(jnp.where(held, 1, predicted), target, scale))
    per_target = -2 * scale * (scale * target) * jnp.log(jnp.where(held, floor, rate))
    return clamped_rate_term(*primals), per_predicted * tangents[0] + per_target * tangents[1]


@jax.custom_jvp
def log_added_rate_term(predicted: jax.Array, target: jax.Array, scale: jax.Array, floor: jax.Array) -> jax.Array:
    """lambda - k log(lambda + floor)."""
    rate = jnp.square(scale * predicted)
    return rate - jnp.square(scale * target) * jnp.log(rate + floor)


@log_added_rate_term.defjvp
def _log_added_rate_term_jvp(
    primals: tuple[jax.Array, jax.Array, jax.Array, jax.Array],
    tangents: tuple[jax.Array, jax.Array, jax.Array, jax.Array],
) -> tuple[jax.Array, jax.Array]:
    """d/dp = 2 s^2 p (s^2 (p - t)(p + t) + floor) / (lambda + floor); d/dt = -2 s^2 t log(lambda + floor)."""
    predicted, target, scale, floor = primals
    guarded = jnp.square(scale * predicted) + floor
    delta = (scale * (predicted - target)) * (scale * (predicted + target))
    per_predicted = 2 * scale * (scale * predicted) * ((delta + floor) / guarded)
    per_target = -2 * scale * (scale * target) * jnp.log(guarded)
    return log_added_rate_term(*primals), per_predicted * tangents[0] + per_target * tangents[1]
