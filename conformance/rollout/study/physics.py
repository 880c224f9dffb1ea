"""From the patches that a network proposes to the amplitudes that a detector would see, in JAX."""

import jax
import jax.numpy as jnp

FAINTEST = 1e-12
"""Added to intensities, so that the derivative of the root stays finite in the dark; normalised patterns have 1/4 of
intensity per pixel in the mean."""


def merge(patches: jax.Array, corners: jax.Array, canvas: int) -> jax.Array:
    """Return patches (B, C, N, N) after those of one sample have been averaged where they overlap.

    `corners` (B, C, 2) are the upper left corners in a canvas of that many pixels a side.
    """
    if patches.shape[1] == 1:
        return patches
    batch, _, size, _ = patches.shape
    rows = corners[:, :, 0, None, None] + jnp.arange(size)[:, None]
    columns = corners[:, :, 1, None, None] + jnp.arange(size)[None, :]
    place = (jnp.arange(batch)[:, None, None, None], rows, columns)
    total = jnp.zeros((batch, canvas, canvas), patches.dtype).at[place].add(patches)
    number = jnp.zeros((batch, canvas, canvas), jnp.float32).at[place].add(1.0)
    return (total / jnp.maximum(number, 1.0))[place]


def far_field_amplitude(patches: jax.Array, probe: jax.Array) -> jax.Array:
    """Return sqrt(sum over modes |FFT(probe patch)|^2) (B, C, N, N), unitary, zero frequency in the middle."""
    waves = jnp.fft.fft2(patches[:, :, None] * probe, norm="ortho")
    intensity = jnp.sum(jnp.square(waves.real) + jnp.square(waves.imag), axis=2)
    return jnp.sqrt(jnp.fft.fftshift(intensity, axes=(-2, -1)) + FAINTEST)
