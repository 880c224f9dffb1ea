"""From a caller's arrays to what every loss computes on: amplitudes in the computing dtype, 0 at masked elements."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from oracle.arguments import COMPLEX_DTYPES, REAL_DTYPES, require_choice, require_mask, require_pair

DOMAINS = ("amplitude", "intensity", "field")
HALF_DTYPES = ("bfloat16", "float16")


class Amplitudes(NamedTuple):
    """Prediction p and target t (B, C, H, W), float32 or float64, 0 where `valid`, of the same shape, is False."""

    predicted: jax.Array
    target: jax.Array
    valid: jax.Array


def widened(values: jax.Array) -> jax.Array:
    """Return half types as float32, everything else as it is. The adjoint casts a gradient back to the half type."""
    values = jnp.asarray(values)
    return values.astype(jnp.float32) if str(values.dtype) in HALF_DTYPES else values


def valid_elements(mask: jax.Array | None, shape: tuple[int, ...]) -> jax.Array:
    """Return a bool array of `shape`: everything, or where the broadcast mask is nonzero."""
    if mask is None:
        return jnp.ones(shape, bool)
    require_mask(mask, shape)
    return jnp.broadcast_to(mask.astype(bool), shape)


def modulus(values: jax.Array, domain: str) -> jax.Array:
    """Return amplitudes: the values, sqrt of intensities, or |field|; at 0 the derivatives of the last two are 0.

    Zeros are replaced before the square root, not after, so that no infinite derivative arises in any order.
    """
    if domain == "amplitude":
        return values
    dark = values == 0
    lit = jnp.where(dark, 1, values)
    return jnp.where(dark, 0, jnp.sqrt(lit) if domain == "intensity" else jnp.abs(lit))


def enter(prediction: jax.Array, target: jax.Array, mask: jax.Array | None, domain: str) -> Amplitudes:
    """Check, cast half types up, put 0 at masked elements before any arithmetic, and take the modulus."""
    require_choice("domain", domain, DOMAINS)
    require_pair(prediction, target, COMPLEX_DTYPES if domain == "field" else REAL_DTYPES)
    valid = valid_elements(mask, target.shape)
    predicted, measured = (modulus(jnp.where(valid, widened(values), 0), domain) for values in (prediction, target))
    return Amplitudes(predicted, measured, valid)
