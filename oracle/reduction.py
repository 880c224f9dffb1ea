"""From one loss per element to the number, or the array of numbers, that a caller asked for."""

import jax
import jax.numpy as jnp

from oracle.scope import SAMPLE_AXES

MAE_REDUCTIONS = ("mean", "sum", "sample", "none")
NLL_REDUCTIONS = ("mean", "sum", "sample_sum", "none")


def valid_mean(elements: jax.Array, valid: jax.Array, axis: tuple[int, ...] | None = None) -> jax.Array:
    """Sum of the valid elements over their number, 0 where there are none; counted in integers, beyond 2^24 too."""
    number = jnp.maximum(jnp.sum(valid, axis=axis), 1).astype(elements.dtype)
    return jnp.sum(jnp.where(valid, elements, 0), axis=axis) / number


def reduce_elements(elements: jax.Array, valid: jax.Array, reduction: str) -> jax.Array:
    """Reduce element losses of shape (B, C, H, W), of which only the valid ones count.

    `mean`: over the valid elements, shape (). `sum`: of them, shape (). `sample`: the mean within each b, shape (B,).
    `sample_sum`: sum over (C, H, W), then mean over all B samples, shape (). `none`: shape (B, C, H, W), 0 where not
    valid. Where nothing is valid: 0.
    """
    kept = jnp.where(valid, elements, 0)
    if reduction == "mean":
        return valid_mean(kept, valid)
    if reduction == "sum":
        return jnp.sum(kept)
    if reduction == "sample":
        return valid_mean(kept, valid, SAMPLE_AXES)
    if reduction == "sample_sum":
        return jnp.mean(jnp.sum(kept, axis=SAMPLE_AXES))
    return kept
