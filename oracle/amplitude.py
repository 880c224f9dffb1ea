"""The two mean absolute errors between diffraction amplitudes: L2-normalised per scope, and legacy."""

import jax
import jax.numpy as jnp

from oracle.arguments import require_amplitudes, require_choice, require_positive
from oracle.modulus import absolute_difference
from oracle.reduction import MAE_REDUCTIONS, SAMPLE_AXES, reduce_elements

DEFAULT_EPS = 2.0**-40
SCOPES = ("sample",)
GAINS = ("unit_l2", "unit_rms")


def _unit_norm(amplitude: jax.Array, eps: float) -> jax.Array:
    """Return amplitude / max(||amplitude||, eps), the norm over (C, H, W); a dark sample stays 0, gradient finite."""
    energy = jnp.sum(jnp.square(amplitude), axis=SAMPLE_AXES, keepdims=True)
    lit = energy > 0
    norm = jnp.where(lit, jnp.sqrt(jnp.where(lit, energy, 1)), 0)
    return amplitude / jnp.maximum(norm, jnp.asarray(eps, amplitude.dtype))


def amplitude_l2_mae(
    predicted_amplitude: jax.Array,
    target_amplitude: jax.Array,
    *,
    scope: str = "sample",
    reduction: str = "mean",
    gain: str = "unit_l2",
    eps: float = DEFAULT_EPS,
) -> jax.Array:
    """Mean absolute error between amplitudes that are each scaled to unit L2 norm.

        phat = p / max(||p||, eps)    that = t / max(||t||, eps)    loss = mean |phat - that|

    Parameters
    ----------
    predicted_amplitude, target_amplitude : array (B, C, H, W), both float32 or both float64
        Diffraction amplitudes p and t: square roots of intensities, in any common unit (the loss has none). They are
        meant to be >= 0 and finite; the formulas hold for signed values too. Values are not inspected: a NaN gives NaN.
    scope : {"sample"}
        What shares one norm. `sample`: the C * H * W elements of each b, so that sum(phat^2) = 1 per sample.
    reduction : {"mean", "sum", "sample", "none"}
        Mean of all elements; sum of all; mean within each b, shape (B,); or none, shape (B, C, H, W).
    gain : {"unit_l2", "unit_rms"}
        `unit_l2`: as above, values of order 1 / sqrt(C H W). `unit_rms`: times sqrt(C H W), comparable with an
        amplitude MAE on data of unit root mean square.
    eps : float, default 2**-40
        Bounds the norm itself, by max: never its square, never by addition.

    Returns
    -------
    array of the input dtype
        The loss; shape as `reduction` says.

    Raises
    ------
    TypeError
        Integer, complex, half-precision or mixed dtypes.
    ValueError
        Wrong rank, empty or different shapes, an unknown option, eps not above 0.

    Notes
    -----
    Gradient with respect to p, with P = ||p||, s = sign(phat - that), w the weight of an element (1 / (B C H W) for
    `mean`), c = sum_j s_j phat_j over the scope: where P > eps, g_i = (w / P) (s_i - phat_i c), hence <g, p> = 0;
    where P <= eps the normaliser is a constant and g_i = (w / eps) s_i. sign(0) = 0: an exact tie, such as a dead
    pixel p = t = 0, adds nothing to g_i nor to c. A dark sample (P = 0) has phat = 0, a finite loss and a finite
    gradient. For array-valued reductions the gradient meant is that of the sum of the returned array.

    Scale invariance: L(a p, t) = L(p, t) for a > 0. For non-negative data 0 <= L <= sqrt(2 / (C H W)) (`unit_l2`).

    Source: this project's contract, version 1. The loss equals, per sample, the MAE of a prediction rescaled to the
    target's norm, divided by ||t||.
    """
    require_amplitudes(predicted_amplitude, target_amplitude)
    require_choice("scope", scope, SCOPES)
    require_choice("gain", gain, GAINS)
    require_positive("eps", eps)
    predicted_unit = _unit_norm(predicted_amplitude, eps)
    target_unit = _unit_norm(target_amplitude, eps)
    elements = absolute_difference(predicted_unit, target_unit)
    if gain == "unit_rms":
        elements = elements * jnp.sqrt(jnp.asarray(elements[0].size, elements.dtype))
    return reduce_elements(elements, reduction, MAE_REDUCTIONS)


def amplitude_mae(
    predicted_amplitude: jax.Array,
    target_amplitude: jax.Array,
    *,
    intensity_scale: float | jax.Array = 1.0,
    reduction: str = "mean",
) -> jax.Array:
    """Legacy mean absolute error between scaled amplitudes, the default of every configuration.

        loss = mean |s p - s t|

    Parameters
    ----------
    predicted_amplitude, target_amplitude : array (B, C, H, W), both float32 or both float64
        Diffraction amplitudes p and t.
    intensity_scale : float or scalar array, default 1
        s: turns an amplitude into one whose square is photons. A constant of the data set, never differentiated.
    reduction : {"mean", "sum", "sample", "none"}
        As in `amplitude_l2_mae`.

    Returns
    -------
    array of the input dtype
        The loss, in units of s times amplitude.

    Raises
    ------
    TypeError, ValueError
        As in `amplitude_l2_mae`.

    Notes
    -----
    Gradient: w s sign(p_i - t_i), with sign(0) = 0 and w the weight of an element.

    Source: this project's contract, version 1; the amplitude loss that ptychography networks train with today.
    """
    require_amplitudes(predicted_amplitude, target_amplitude)
    scale = jax.lax.stop_gradient(jnp.asarray(intensity_scale, predicted_amplitude.dtype))
    elements = absolute_difference(scale * predicted_amplitude, scale * target_amplitude)
    return reduce_elements(elements, reduction, MAE_REDUCTIONS)
