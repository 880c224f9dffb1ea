"""The Poisson negative log-likelihood of photon counts, in absolute intensities."""

import jax
import jax.numpy as jnp

from oracle.arguments import require_choice, require_given, require_positive, require_scale
from oracle.count_terms import CONSTANTS, constant_beside_deviance, plain_constant
from oracle.deviance import clamped_rate_term, deviance, log_added_rate_term
from oracle.entry import enter
from oracle.reduction import NLL_REDUCTIONS, reduce_elements, valid_mean

RATE_GUARDS = ("none", "clamp", "log_add")
NORMALISERS = ("none", "batch_mean_amplitude", "frozen_mean_intensity")
NORMALISER_OFFSET = 1e-8


def poisson_nll(
    prediction: jax.Array,
    target: jax.Array,
    intensity_scale: float | jax.Array,
    *,
    mask: jax.Array | None = None,
    constant: str = "none",
    rate_guard: str = "none",
    rate_floor: float | None = None,
    normaliser: str = "none",
    normaliser_value: float | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Poisson negative log-likelihood of target counts under predicted rates, never L2-normalised.

        lambda = (s p)^2    k = (s t)^2    loss = reduce(lambda - k log(lambda) [+ constant(k)]) [/ normaliser]

    Parameters
    ----------
    prediction, target : array (B, C, H, W), both float64, float32, bfloat16 or float16
        Diffraction amplitudes p and t. lambda and k are photons per pixel; counts need not be integers. Half types are
        cast up to float32 once, before anything else. The formulas hold for signed amplitudes too.
    intensity_scale : float or real scalar array
        s, given, or derived with `oracle.intensity_scale`. A constant of the data set, never differentiated; held in
        the computing dtype, float32 for half types.
    mask : array of bool, integers or real floats, rank 4, each axis that of `target` or 1, optional
        Nonzero: valid. Masked elements add nothing to value, gradient (exactly 0), numbers of elements or normaliser,
        and may hold NaN or inf in both arrays. Where nothing is valid, loss and gradient are 0.
    constant : {"none", "lgamma", "stirling", "saturated"}
        Data-only term. `none`: dropped. `lgamma`: log Gamma(k + 1). `stirling`: k log k - k + log(2 pi k) / 2 where
        k > 1, else 0. `saturated`: k log k - k, which makes the loss the deviance D >= 0, 0 where p = t. They are
        different constants, not approximations of one another.
    rate_guard : {"none", "clamp", "log_add"}
        `clamp`: max(lambda, rate_floor) for lambda, in both terms. `log_add`: log(lambda + rate_floor), in the
        logarithm only. Three different functions.
    rate_floor : float
        Photons per pixel, finite and above 0; required by a guard, and refused without one. Fixed at compilation.
    normaliser : {"none", "batch_mean_amplitude", "frozen_mean_intensity"}
        What the whole result is divided by, a constant for the gradient. `batch_mean_amplitude`: 1e-8 + mean of the
        valid t of this batch, unscaled. `frozen_mean_intensity`: `normaliser_value`, one number per experiment.
    normaliser_value : float
        Finite and above 0; required by `frozen_mean_intensity`, and refused with any other normaliser.
    reduction : {"mean", "sum", "sample_sum", "none"}
        Mean of the valid elements; sum of them; sum over the valid (C, H, W), then mean over all B samples; or none,
        shape (B, C, H, W), 0 at masked elements.

    Returns
    -------
    array of float32 (for float32 and half types) or float64
        The loss in nats (per unit of the normaliser); shape as `reduction` says. The gradient has the dtype of the
        input.

    Raises
    ------
    TypeError
        Integer, bool, complex or mixed dtypes; a complex mask; a scale that is no real number; a floor or normaliser
        value that is traced or no number.
    ValueError
        Wrong rank, empty or different shapes, a mask that does not broadcast, a scale that is no scalar, an unknown
        option, a number missing, superfluous, or not finite and above 0 in the computing dtype.

    Notes
    -----
    Gradient with respect to p, with w the weight of an element (1 / number of valid elements for `mean`, 1 / B for
    `sample_sum`, 1 for `sum` and `none`; over the normaliser), and lambda - k = s^2 (p - t)(p + t):

        none:     w 2 s^2 (p - t)(p + t) / p, which is 0 where p = t = 0
        clamp:    the same where lambda > rate_floor, else 0
        log_add:  w 2 s^2 p (s^2 (p - t)(p + t) + rate_floor) / (lambda + rate_floor)

    With respect to t: -w 2 s^2 t log(guarded lambda), plus that of the constant, 0 at t = 0; never through s or the
    normaliser. Edges without a guard: k = 0 gives lambda, also at lambda = 0, with gradient 0 there. lambda = 0 with
    k > 0 gives +inf, gradient -inf. A NaN or inf in a valid element gives a non-finite loss.

    Computed without a guard as the deviance plus a term of the data alone:

        delta = s^2 (|p| - |t|)(|p| + |t|)    h = (|p| - |t|) / (|p| + |t|)    v = 2 h / (1 + h^2)
        D = delta v - 2 k v^3 (1/3 + v^2/5 + ... + v^24/27)   where |v| < 1/4
        D = delta + 2 k log(|t| / |p|)                        elsewhere
        loss = D + k - k log k        none            loss = D + k - k log k + log Gamma(k + 1)    lgamma
        loss = D                      saturated       loss = D + log(2 pi k) / 2                   stirling, k > 1

    so that in float32, at any count, the gradient is right to 3e-7 and the deviance to 3e-7 near p = t and to 1.2e-6
    where it is worst, |v| just above 1/4; lambda - k log(lambda) and its autodiff cancel instead. With a guard the
    formula is computed as it stands, its gradient in closed form.

    Additive over samples: shards weighted by their numbers of valid elements (`mean`) give the loss of the batch, if
    they share s; with `batch_mean_amplitude` the mean must come from the whole batch.

    Source: this project's contract, version 1.
    """
    p, t, valid = enter(prediction, target, mask, "amplitude")
    require_choice("constant", constant, CONSTANTS)
    require_choice("rate_guard", rate_guard, RATE_GUARDS)
    require_choice("normaliser", normaliser, NORMALISERS)
    require_choice("reduction", reduction, NLL_REDUCTIONS)
    number = "a finite number above 0"
    require_given("rate_floor", rate_floor, rate_guard != "none", f"rate_guard={rate_guard!r}", number)
    frozen = normaliser == "frozen_mean_intensity"
    require_given("normaliser_value", normaliser_value, frozen, f"normaliser={normaliser!r}", number)
    scale = require_scale(intensity_scale, p.dtype)
    counts = jnp.square(scale * t)
    if rate_guard == "none":
        elements = deviance(p, t, scale) + constant_beside_deviance(counts, constant)
    else:
        floor = jnp.asarray(require_positive("rate_floor", rate_floor, p.dtype), p.dtype)
        guarded = clamped_rate_term if rate_guard == "clamp" else log_added_rate_term
        elements = guarded(p, t, scale, floor) + plain_constant(counts, constant)
    loss = reduce_elements(elements, valid, reduction)
    if normaliser == "batch_mean_amplitude":
        return loss / jax.lax.stop_gradient(valid_mean(t, valid) + NORMALISER_OFFSET)
    if frozen:
        return loss / require_positive("normaliser_value", normaliser_value, p.dtype)
    return loss
