"""Sums over a scope: the elements that share one norm."""

import jax
import jax.numpy as jnp

SCOPES = ("sample", "patch", "view", "batch")
SAMPLE_AXES = (1, 2, 3)
_AXES = {"sample": SAMPLE_AXES, "patch": (2, 3), "batch": (0, 1, 2, 3)}


def scope_sum(elements: jax.Array, scope: str, view_ids: jax.Array | None) -> jax.Array:
    """Sum (B, C, H, W) over each scope, in a shape that broadcasts against the elements.

    `view` compares every id with every other and selects before it sums: a matrix product could run in reduced
    precision, and 0 * NaN would carry a NaN from one view into the next. The ids are compared as they came, so that
    NumPy's 64-bit ids keep all their bits where JAX has 32.
    """
    if scope != "view":
        return jnp.sum(elements, axis=_AXES[scope], keepdims=True)
    assert view_ids is not None  # required with this scope, and checked
    per_sample = jnp.sum(elements, axis=SAMPLE_AXES)
    same = view_ids[:, None] == view_ids[None, :]
    per_view = jnp.sum(jnp.where(same, per_sample[None, :], 0), axis=1)
    return per_view[:, None, None, None]
