"""The modulus of a difference, with sign(0) = 0 in every transformation."""

import jax
import jax.numpy as jnp


@jax.custom_jvp
def absolute_difference(left: jax.Array, right: jax.Array) -> jax.Array:
    """|left - right|, element by element, with derivative sign(left - right) and sign(0) = 0.

    `jax.grad(jnp.abs)(0.0)` is 1. The sign is taken by comparing the two rounded operands and not from their
    difference, because a compiler may contract `p / P - t / T` into a fused multiply-add, which is not zero at a tie.
    Where one of them is NaN so is the sign: a broken loss must not come with a gradient of 0.
    """
    return jnp.abs(left - right)


@absolute_difference.defjvp
def _absolute_difference_jvp(
    primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    left, right = primals
    tie = jnp.where(left == right, 0, jnp.nan)
    sign = jnp.where(left > right, 1, jnp.where(left < right, -1, tie)).astype(left.dtype)
    return absolute_difference(left, right), sign * (tangents[0] - tangents[1])
