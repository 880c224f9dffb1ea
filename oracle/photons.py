"""From a photon number to the intensity scale of a data set."""

import math

import jax
import jax.numpy as jnp

from oracle.arguments import require_amplitudes, require_choice, require_positive

SCALE_SOURCES = ("dataset", "closed_form")


def intensity_scale(
    nphotons: float,
    *,
    source: str = "dataset",
    target_amplitude: jax.Array | None = None,
    pixels: int | None = None,
) -> jax.Array:
    """Scale s that turns a normalised amplitude into one whose square is photons per pixel.

        dataset:      s = sqrt(nphotons / mean over (B, C) of sum over (H, W) of t^2)
        closed_form:  s = sqrt(nphotons) / (N / 2)

    Parameters
    ----------
    nphotons : float
        Mean number of photons in one diffraction pattern, above 0.
    source : {"dataset", "closed_form"}
        `closed_form` is right only for data normalised to a mean sum of t^2 of (N / 2)^2.
    target_amplitude : array (B, C, H, W), float32 or float64
        t, required by `dataset`. All of the data set: a scale taken per shard or per batch is another function.
    pixels : int
        N = H = W, required by `closed_form`.

    Returns
    -------
    scalar array
        s, in sqrt(photons) per unit of amplitude: dtype of t, or JAX's default float for `closed_form`. A constant:
        no gradient flows through it.

    Raises
    ------
    TypeError, ValueError
        The argument that `source` requires is missing or wrong, or a number is not above 0.

    Notes
    -----
    With the `dataset` scale the mean count per pixel is nphotons / (H W). An all-dark data set gives inf.

    Source: this project's contract, version 1.
    """
    require_choice("source", source, SCALE_SOURCES)
    require_positive("nphotons", nphotons)
    if source == "closed_form":
        if pixels is None or pixels <= 0:
            raise ValueError(f"pixels: got {pixels!r}, wanted N > 0, the side of a pattern, for source='closed_form'")
        return jnp.asarray(math.sqrt(nphotons) / (pixels / 2))
    if target_amplitude is None:
        raise ValueError(
            "target_amplitude: got None, wanted the data set's amplitudes (B, C, H, W) for source='dataset'"
        )
    require_amplitudes(target_amplitude, target_amplitude)
    intensity = jnp.mean(jnp.sum(jnp.square(target_amplitude), axis=(2, 3)))
    return jax.lax.stop_gradient(jnp.sqrt(nphotons / intensity))
