"""The Poisson negative log-likelihood of photon counts, in absolute intensities."""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln, xlogy

from oracle.arguments import require_amplitudes, require_choice
from oracle.reduction import NLL_REDUCTIONS, reduce_elements

CONSTANTS = ("none", "lgamma", "stirling")


@jax.custom_jvp
def _rate_minus_counts_log_rate(predicted: jax.Array, target: jax.Array, scale: jax.Array) -> jax.Array:
    """lambda - k log(lambda) with lambda = (s p)^2, k = (s t)^2, and 0 log 0 = 0."""
    rate = jnp.square(scale * predicted)
    counts = jnp.square(scale * target)
    return rate - xlogy(counts, rate)


@_rate_minus_counts_log_rate.defjvp
def _rate_minus_counts_log_rate_jvp(
    primals: tuple[jax.Array, jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """Closed form, the scale constant: autodiff cancels at high counts and is NaN at k = lambda = 0."""
    predicted, target, scale = primals
    both_zero = (predicted == 0) & (target == 0)
    quotient = (predicted - target) * (predicted + target) / jnp.where(both_zero, 1, predicted)
    per_predicted = 2 * jnp.square(scale) * jnp.where(both_zero, 0, quotient)
    per_target = -2 * jnp.square(scale) * xlogy(target, jnp.square(scale * predicted))
    return _rate_minus_counts_log_rate(*primals), per_predicted * tangents[0] + per_target * tangents[1]


def _constant(counts: jax.Array, constant: str) -> jax.Array:
    if constant == "lgamma":
        return gammaln(counts + 1)
    many = counts > 1
    safe = jnp.where(many, counts, 1)
    return jnp.where(many, safe * jnp.log(safe) - safe + 0.5 * jnp.log(2 * math.pi * safe), 0)


def poisson_nll(
    predicted_amplitude: jax.Array,
    target_amplitude: jax.Array,
    intensity_scale: float | jax.Array,
    *,
    constant: str = "none",
    reduction: str = "mean",
) -> jax.Array:
    """Poisson negative log-likelihood of target counts under predicted rates, never L2-normalised.

        lambda = (s p)^2    k = (s t)^2    loss = reduce(lambda - k log(lambda) [+ constant(k)])

    Parameters
    ----------
    predicted_amplitude, target_amplitude : array (B, C, H, W), both float32 or both float64
        Diffraction amplitudes p and t. lambda and k are photons per pixel; counts need not be integers.
    intensity_scale : float or scalar array
        s, given, or derived with `oracle.intensity_scale`. A constant of the data set, never differentiated.
    constant : {"none", "lgamma", "stirling"}
        Data-only term. `none`: dropped. `lgamma`: log Gamma(k + 1). `stirling`: k log k - k + log(2 pi k) / 2 where
        k > 1, else 0. They are different constants, not approximations of one another.
    reduction : {"mean", "sum", "sample_sum", "none"}
        Mean of all elements; sum of all; sum over (C, H, W), then mean over B; or none, shape (B, C, H, W).

    Returns
    -------
    array of the input dtype
        The loss in nats; shape as `reduction` says.

    Raises
    ------
    TypeError
        Integer, complex, half-precision or mixed dtypes.
    ValueError
        Wrong rank, empty or different shapes, a scale that is no scalar, an unknown option.

    Notes
    -----
    Gradient with respect to p, with w the weight of an element: w 2 s^2 (p - t) (p + t) / p.
    Edges: k = 0 gives lambda, also at lambda = 0, with gradient 0 there. lambda = 0 with k > 0 gives +inf, gradient
    -inf. The Poisson deviance is this loss minus k - k log k, a term of the data alone.

    Source: this project's contract, version 1.
    """
    require_amplitudes(predicted_amplitude, target_amplitude)
    require_choice("constant", constant, CONSTANTS)
    scale = jax.lax.stop_gradient(jnp.asarray(intensity_scale, predicted_amplitude.dtype))
    if scale.ndim != 0:
        raise ValueError(f"intensity_scale: got shape {scale.shape}, wanted a scalar; one data set has one scale")
    elements = _rate_minus_counts_log_rate(predicted_amplitude, target_amplitude, scale)
    if constant != "none":
        elements = elements + _constant(jnp.square(scale * target_amplitude), constant)
    return reduce_elements(elements, reduction, NLL_REDUCTIONS)
