"""Terms of the Poisson loss that depend on the data alone; no branch that is not taken makes a NaN in a gradient."""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

CONSTANTS = ("none", "lgamma", "stirling", "saturated")
ASYMPTOTIC_FROM = 32.0


def _counts_log_counts(counts: jax.Array) -> jax.Array:
    """k log k, and 0 at k = 0, where its derivative is declared 0 too."""
    dark = counts == 0
    safe = jnp.where(dark, 1, counts)
    return jnp.where(dark, 0, safe * jnp.log(safe))


def _half_log(counts: jax.Array) -> jax.Array:
    return 0.5 * (math.log(2 * math.pi) + jnp.log(counts))


def plain_constant(counts: jax.Array, constant: str) -> jax.Array:
    """Return what is added to lambda - k log(lambda).

    `none`: 0. `lgamma`: log Gamma(k + 1). `stirling`: k log k - k + log(2 pi k) / 2 where k > 1, else 0. `saturated`:
    k log k - k.
    """
    if constant == "none":
        return jnp.zeros_like(counts)
    if constant == "lgamma":
        return gammaln(counts + 1)
    saturated = _counts_log_counts(counts) - counts
    if constant == "saturated":
        return saturated
    many = counts > 1
    return jnp.where(many, saturated + _half_log(jnp.where(many, counts, 1)), 0)


def constant_beside_deviance(counts: jax.Array, constant: str) -> jax.Array:
    """Return what is added to the deviance: `plain_constant` + k - k log k, large terms cancelled on paper.

    `none`: k - k log k. `lgamma`: k - k log k + log Gamma(k + 1), by its asymptotic series from k = 32. `stirling`:
    log(2 pi k) / 2 where k > 1, else k - k log k. `saturated`: 0.
    """
    if constant == "saturated":
        return jnp.zeros_like(counts)
    unsaturated = counts - _counts_log_counts(counts)
    if constant == "none":
        return unsaturated
    if constant == "lgamma":
        few = counts < ASYMPTOTIC_FROM
        inverse = 1 / jnp.where(few, ASYMPTOTIC_FROM, counts)
        square = jnp.square(inverse)
        series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)))
        large = _half_log(jnp.where(few, ASYMPTOTIC_FROM, counts)) + series
        return jnp.where(few, unsaturated + gammaln(jnp.where(few, counts, 0) + 1), large)
    many = counts > 1
    return jnp.where(many, _half_log(jnp.where(many, counts, 1)), unsaturated)
