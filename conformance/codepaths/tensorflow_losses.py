"""TensorFlow losses on channels-last tensors (B, H, W, C), arguments in Keras' order `(y_true, y_pred)`.

The docstrings of the reference are the contract; these are written independently of it. The serialisable Keras
objects are in `keras_losses`.
"""

import tensorflow as tf

from conformance.codepaths import tensorflow_poisson as poisson
from conformance.codepaths.config import (
    DEFAULT_EPS,
    DOMAINS,
    MAE_GAINS,
    MAE_REDUCTIONS,
    NLL_CONSTANTS,
    NLL_REDUCTIONS,
    NORMALISERS,
    RATE_GUARDS,
    SCOPES,
    choose,
    require_partner,
)
from conformance.codepaths.tensorflow_inputs import Tensor, identities, number, operands, scalar
from conformance.codepaths.tensorflow_photons import intensity_scale
from conformance.codepaths.tensorflow_reduction import count_in_scope, masked, over_scope, reduced

__all__ = ["amplitude_l2_mae", "amplitude_mae", "intensity_scale", "poisson_nll"]


def _distance(left: Tensor, right: Tensor) -> Tensor:
    """|left - right| with sign(0) = 0, the sign from comparisons: a fused multiply-add cannot unmake a tie."""
    sign = tf.cast(left > right, left.dtype) - tf.cast(left < right, left.dtype)
    return sign * (left - right)


def _unit(amplitude: Tensor, eps: float, scope: str, ids: Tensor) -> Tensor:
    """Divide by max(norm, eps); by NaN where the norm is not finite, or it would silently give 0."""
    energy = over_scope(tf.square(amplitude), scope, ids)
    dark = energy == 0
    norm = tf.where(dark, tf.zeros_like(energy), tf.sqrt(tf.where(dark, tf.ones_like(energy), energy)))
    norm = tf.where(norm <= eps, tf.constant(eps, norm.dtype), norm)
    return amplitude / tf.where(tf.math.is_finite(norm), norm, tf.constant(float("nan"), norm.dtype))


def amplitude_l2_mae(
    y_true: Tensor,
    y_pred: Tensor,
    *,
    mask: Tensor = None,
    scope: str = "sample",
    view_ids: Tensor = None,
    domain: str = "amplitude",
    reduction: str = "mean",
    gain: str = "unit_l2",
    eps: float = DEFAULT_EPS,
) -> Tensor:
    """MAE of amplitudes that are each divided by max(||.||, eps), the norm over a scope.

    Parameters
    ----------
    y_true, y_pred : Tensor
        Target and prediction (B, H, W, C) of one dtype: float64, float32, bfloat16 or float16; complex64 or
        complex128 in the domain `field`.
    mask : Tensor, optional
        Bool, integer or real float, nonzero = valid, four axes, each that of `y_true` or 1. Masked elements, which
        may hold NaN, count nowhere and get gradient 0.
    scope : {"sample", "patch", "view", "batch"}
        What one norm is over: (H, W, C) of a sample; (H, W) of a channel; all samples of one id; everything.
    view_ids : Tensor
        Integers (B,), for the scope `view` and no other.
    domain : {"amplitude", "intensity", "field"}
        Of both tensors; an intensity's square root or a field's modulus is taken first, with gradient 0 at 0.
    reduction : {"mean", "sum", "sample", "none"}
    gain : {"unit_l2", "unit_rms"}
        `unit_rms` multiplies by sqrt(valid elements in the scope).
    eps : float
        Lower bound of the norms, finite and above 0.

    Returns
    -------
    Tensor
        Scalar; (B,) for `sample`; (B, H, W, C) for `none`. In float32 for half types. A norm that is not finite
        gives NaN.

    Raises
    ------
    TypeError
        A dtype that is not one of those above, or two dtypes.
    ValueError
        A shape, an option or a number that is not one of those above. Axes that are unknown while a tf.function is
        traced are compared when it runs: tf.errors.InvalidArgumentError.
    """
    for name, value, choices in (
        ("scope", scope, SCOPES),
        ("domain", domain, DOMAINS),
        ("reduction", reduction, MAE_REDUCTIONS),
        ("gain", gain, MAE_GAINS),
    ):
        choose(name, value, choices)
    t, p, valid = operands(y_true, y_pred, mask, domain)
    ids = identities(view_ids, scope, p)
    eps = number("eps", eps, p.dtype)
    elements = _distance(_unit(p, eps, scope, ids), _unit(t, eps, scope, ids))
    if gain == "unit_rms":
        elements = elements * tf.sqrt(tf.cast(count_in_scope(valid, p, scope, ids), elements.dtype))
    return reduced(masked(elements, valid), valid, reduction)


def amplitude_mae(
    y_true: Tensor,
    y_pred: Tensor,
    scale: Tensor = 1.0,
    *,
    mask: Tensor = None,
    domain: str = "amplitude",
    reduction: str = "mean",
) -> Tensor:
    """Legacy MAE of scaled amplitudes: reduce(|s p - s t|).

    Parameters
    ----------
    y_true, y_pred : Tensor
        Target and prediction (B, H, W, C) of one dtype: float64, float32, bfloat16 or float16; complex64 or
        complex128 in the domain `field`. The gradient flows to both.
    scale : float or scalar tensor
        s, in sqrt(photons) per unit of amplitude, finite and above 0; a tensor's value is not inspected. It gets no
        gradient.
    mask : tensor, optional
        Bool, integer or real, nonzero = valid, four axes, each that of the target or 1. Masked elements, which may hold
        NaN, count nowhere and get gradient 0.
    domain : {"amplitude", "intensity", "field"}
        Of both; an intensity's square root or a field's modulus is taken first, with gradient 0 at 0.
    reduction : {"mean", "sum", "sample", "none"}

    Returns
    -------
    tensor
        Scalar; (B,) for `sample`; (B, H, W, C) for `none`. In float32 for half types.

    Raises
    ------
    TypeError
        A dtype that is not one of those above, two dtypes, or a scale that is no real number.
    ValueError
        A shape, an option or a number that is not one of those above.

    Source: docs/contract.md, `amplitude_mae`.
    """
    choose("domain", domain, DOMAINS)
    choose("reduction", reduction, MAE_REDUCTIONS)
    t, p, valid = operands(y_true, y_pred, mask, domain)
    s = scalar(scale, p)
    return reduced(masked(_distance(s * p, s * t), valid), valid, reduction)


def poisson_nll(
    y_true: Tensor,
    y_pred: Tensor,
    scale: Tensor,
    *,
    mask: Tensor = None,
    constant: str = "none",
    rate_guard: str = "none",
    rate_floor: float | None = None,
    normaliser: str = "none",
    normaliser_value: float | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Poisson negative log-likelihood of k = (s t)^2 under lambda = (s p)^2, in absolute photons.

    Its gradient with respect to the prediction, 2 s^2 (p - t)(p + t) / p, is in closed form and can be differentiated
    again. Without a guard, the value is the deviance, free of cancellation, plus a term of the counts alone.

    Parameters
    ----------
    y_true, y_pred, mask
        As in `amplitude_l2_mae`; amplitudes.
    scale : float or Tensor
        Scalar s, in sqrt(photons) per unit of amplitude; it gets no gradient.
    constant : {"none", "lgamma", "stirling", "saturated"}
        Term of the counts that is added: nothing; lgamma(k + 1); k log k - k + 0.5 log(2 pi k) where k > 1, else 0;
        k log k - k, which makes the loss the deviance.
    rate_guard : {"none", "clamp", "log_add"}
        `clamp`: lambda becomes max(lambda, floor); `log_add`: log(lambda) becomes log(lambda + floor).
    rate_floor : float, optional
        The floor, finite and above 0; with a guard, and only with one.
    normaliser : {"none", "batch_mean_amplitude", "frozen_mean_intensity"}
        What the result is divided by: nothing; the mean of the unscaled valid targets + 1e-8; `normaliser_value`.
    normaliser_value : float, optional
        Finite and above 0; with `frozen_mean_intensity`, and only with it.
    reduction : {"mean", "sum", "sample_sum", "none"}
        `sample_sum`: sum over (H, W, C), mean over B.

    Returns
    -------
    Tensor
        Scalar, or (B, H, W, C) for `none`; float32 for half types.

    Raises
    ------
    TypeError, ValueError
        As in `amplitude_l2_mae`.
    """
    choose("constant", constant, NLL_CONSTANTS)
    choose("reduction", reduction, NLL_REDUCTIONS)
    guard = choose("rate_guard", rate_guard, RATE_GUARDS)
    require_partner("rate_floor", rate_floor, "rate_guard", guard, RATE_GUARDS[1:])
    choose("normaliser", normaliser, NORMALISERS)
    require_partner("normaliser_value", normaliser_value, "normaliser", normaliser, NORMALISERS[2:])
    t, p, valid = operands(y_true, y_pred, mask)
    s = scalar(scale, p)
    floor = None if rate_floor is None else tf.constant(number("rate_floor", rate_floor, p.dtype), p.dtype)
    k = tf.square(s * t)
    if floor is None:
        elements = poisson.deviance(p, t, s) + poisson.beyond_deviance(k, constant)
    else:
        guarded = poisson.clamped if guard == "clamp" else poisson.raised
        elements = guarded(p, t, s, floor) + poisson.constant_term(k, constant)
    result = reduced(masked(elements, valid), valid, reduction)
    if normaliser == "batch_mean_amplitude":
        return result / tf.stop_gradient(reduced(t, valid, "mean") + 1e-8)
    return result if normaliser_value is None else result / number("normaliser_value", normaliser_value, p.dtype)
