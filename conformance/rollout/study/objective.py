"""The arms: each a loss of predicted and measured amplitudes, made of the reference's losses."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

import oracle

Loss = Callable[[jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]
"""(predicted, measured, mask, scale) -> scalar; amplitudes (B, C, N, N), scale in sqrt(photons) per amplitude."""

VARIANCE_WEIGHT = 1.0


def log_scale_variance(predicted: jax.Array, measured: jax.Array, mask: jax.Array) -> jax.Array:
    """Return the variance over the batch of log(||p_b|| / ||t_b||): it sees relative scales, and no common one.

    Samples of the batch are compared with each other; 0 for a batch of one. A dark sample has no logarithm: its norms
    are bounded below by 1e-6.
    """

    def log_norm(amplitudes: jax.Array) -> jax.Array:
        energy = jnp.sum(jnp.square(jnp.where(mask, amplitudes, 0)), axis=(1, 2, 3))
        return 0.5 * jnp.log(jnp.maximum(energy, 1e-12))

    return jnp.var(log_norm(predicted) - log_norm(measured))


def _l2(scope: str, gain: str) -> Loss:
    def loss(p: jax.Array, t: jax.Array, mask: jax.Array, _: jax.Array) -> jax.Array:
        return oracle.amplitude_l2_mae(p, t, mask=mask, scope=scope, gain=gain)

    return loss


def _l2_with_variance(gain: str) -> Loss:
    plain = _l2("sample", gain)

    def loss(p: jax.Array, t: jax.Array, mask: jax.Array, scale: jax.Array) -> jax.Array:
        return plain(p, t, mask, scale) + VARIANCE_WEIGHT * log_scale_variance(p, t, mask)

    return loss


def _mae(p: jax.Array, t: jax.Array, mask: jax.Array, _: jax.Array) -> jax.Array:
    return oracle.amplitude_mae(p, t, mask=mask)


def _nll(p: jax.Array, t: jax.Array, mask: jax.Array, scale: jax.Array) -> jax.Array:
    return oracle.poisson_nll(p, t, scale, mask=mask)


def terms(arm: str, gain: str) -> tuple[Loss, ...]:
    """Return the losses that an arm adds, each to be weighted: one, or the NLL and another."""
    single: Mapping[str, Loss] = {
        "mae": _mae,
        "nll": _nll,
        "l2_sample": _l2("sample", gain),
        "l2_patch": _l2("patch", gain),
        "l2_batch": _l2("batch", gain),
        "l2_sample_var": _l2_with_variance(gain),
    }
    return tuple(single[name] for name in arm.split("+"))
