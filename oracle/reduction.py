"""From one loss per element to the number, or the array of numbers, that a caller asked for."""

import jax
import jax.numpy as jnp

from oracle.arguments import require_choice

SAMPLE_AXES = (1, 2, 3)
MAE_REDUCTIONS = ("mean", "sum", "sample", "none")
NLL_REDUCTIONS = ("mean", "sum", "sample_sum", "none")


def reduce_elements(elements: jax.Array, reduction: str, choices: tuple[str, ...]) -> jax.Array:
    """Reduce element losses of shape (B, C, H, W).

    `mean`: over all elements, shape (). `sum`: of all elements, shape (). `sample`: mean over (C, H, W), shape (B,).
    `sample_sum`: sum over (C, H, W), then mean over B, shape (). `none`: as they are, shape (B, C, H, W).
    """
    require_choice("reduction", reduction, choices)
    if reduction == "mean":
        return jnp.mean(elements)
    if reduction == "sum":
        return jnp.sum(elements)
    if reduction == "sample":
        return jnp.mean(elements, axis=SAMPLE_AXES)
    if reduction == "sample_sum":
        return jnp.mean(jnp.sum(elements, axis=SAMPLE_AXES))
    return elements
