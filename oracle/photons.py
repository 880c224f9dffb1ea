"""From a photon number to the intensity scale of a data set."""

import math
from numbers import Integral

import jax
import jax.numpy as jnp

from oracle.arguments import require_array, require_choice, require_positive
from oracle.entry import valid_elements, widened

SCALE_SOURCES = ("dataset", "closed_form")


def intensity_scale(
    nphotons: float,
    *,
    source: str = "dataset",
    target_amplitude: jax.Array | None = None,
    mask: jax.Array | None = None,
    pixels: int | None = None,
) -> jax.Array:
    """Scale s that turns a normalised amplitude into one whose square is photons per pixel.

        dataset:      s = sqrt(nphotons / mean over (B, C) of sum over (H, W) of t^2)
        closed_form:  s = sqrt(nphotons) / (N / 2)

    Parameters
    ----------
    nphotons : float
        Mean number of photons in one diffraction pattern, finite and above 0.
    source : {"dataset", "closed_form"}
        `closed_form` is right only for data normalised to a mean sum of t^2 of (N / 2)^2.
    target_amplitude : array (B, C, H, W), float64, float32, bfloat16 or float16
        t, required by `dataset`. All of the data set: a scale taken per shard or per batch is another function.
    mask : array of bool, integers or real floats, rank 4, each axis that of `target_amplitude` or 1, optional
        Nonzero: valid. Masked elements add nothing to the sums and may hold NaN or inf; the mean is over all B * C
        patterns, the wholly masked ones too. `closed_form` looks at neither.
    pixels : int
        N = H = W, required by `closed_form`.

    Returns
    -------
    scalar array
        s, in sqrt(photons) per unit of amplitude: float64 for a float64 t, float32 for the others, JAX's default float
        for `closed_form`. A constant: no gradient flows through it.

    Raises
    ------
    TypeError
        Integer, bool or complex amplitudes; a complex mask; an nphotons that is traced or no number; pixels that are no
        int.
    ValueError
        The argument that `source` requires is missing or has a wrong shape, a mask that does not broadcast, or a number
        is not finite and above 0.

    Notes
    -----
    With the `dataset` scale the mean count per pixel is nphotons / (H W). A data set without light gives inf, and one
    whose sum of squares overflows, or that holds a NaN or inf in a valid element, NaN.

    Source: this project's contract, version 1.
    """
    require_choice("source", source, SCALE_SOURCES)
    if source == "closed_form":
        nphotons = require_positive("nphotons", nphotons, float)
        if pixels is not None and (isinstance(pixels, bool) or not isinstance(pixels, Integral)):
            raise TypeError(f"pixels: got {pixels!r}, wanted an int, the side N of a pattern")
        if pixels is None or pixels <= 0:
            raise ValueError(f"pixels: got {pixels!r}, wanted N > 0, the side of a pattern, for source='closed_form'")
        return jnp.asarray(math.sqrt(nphotons) / (pixels / 2))
    if target_amplitude is None:
        raise ValueError(
            "target_amplitude: got None, wanted the data set's amplitudes (B, C, H, W) for source='dataset'"
        )
    require_array("target_amplitude", target_amplitude)
    t = widened(target_amplitude)
    nphotons = require_positive("nphotons", nphotons, t.dtype)
    valid = valid_elements(mask, t.shape)
    intensity = jnp.mean(jnp.sum(jnp.square(jnp.where(valid, t, 0)), axis=(2, 3)))
    intensity = jnp.where(jnp.isfinite(intensity), intensity, jnp.nan)  # an overflow must not become a scale of 0
    return jax.lax.stop_gradient(jnp.sqrt(nphotons / intensity))
