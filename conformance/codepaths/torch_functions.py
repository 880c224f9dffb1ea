"""The Torch losses as functions of `(input, target)` on channels-first tensors (B, C, H, W).

The docstrings of the reference are the contract; these are written independently of it. None of them reads a value
on the host: neither loss nor gradient makes a device wait.
"""

import torch
from torch import Tensor

from conformance.codepaths import torch_poisson
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
from conformance.codepaths.torch_inputs import constant as constant_beside
from conformance.codepaths.torch_inputs import identities, masked, operands, scalar
from conformance.codepaths.torch_reduction import count_in_scope, over_scope, reduced


def _distance(left: Tensor, right: Tensor) -> Tensor:
    """|left - right| with sign(0) = 0, the sign from comparisons: a fused multiply-add cannot unmake a tie."""
    sign = (left > right).to(left.dtype) - (left < right).to(left.dtype)
    return sign * (left - right)


def _unit(amplitude: Tensor, eps: Tensor, scope: str, ids: Tensor | None) -> Tensor:
    """Divide by max(norm, eps); by NaN where the norm is not finite, or an overflow would silently give 0."""
    energy = over_scope(amplitude.square(), scope, ids)
    dark = energy == 0
    norm = torch.where(dark, torch.zeros_like(energy), torch.where(dark, 1.0, energy).sqrt())
    bounded = torch.where(norm <= eps, eps, norm)  # not `maximum`, which shares the gradient out where they are equal
    return amplitude / torch.where(bounded.isfinite(), bounded, float("nan"))


def amplitude_l2_mae(
    input: Tensor,
    target: Tensor,
    *,
    mask: Tensor | None = None,
    scope: str = "sample",
    view_ids: Tensor | None = None,
    domain: str = "amplitude",
    reduction: str = "mean",
    gain: str = "unit_l2",
    eps: float = DEFAULT_EPS,
) -> Tensor:
    """MAE of amplitudes that are each divided by max(||.||, eps), the norm over a scope.

    Parameters
    ----------
    input, target : Tensor
        Prediction and target (B, C, H, W) of one dtype: float64, float32, bfloat16 or float16; complex64 or
        complex128 in the domain `field`. The gradient flows to both.
    mask : Tensor, optional
        Bool, integer or real, nonzero = valid, four axes, each that of `target` or 1. Masked elements, which may hold
        NaN, count nowhere and get gradient 0.
    scope : {"sample", "patch", "view", "batch"}
        What one norm is over: (C, H, W) of a sample; (H, W) of a channel; all samples of one id; everything.
    view_ids : Tensor, optional
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
        Scalar; (B,) for `sample`; (B, C, H, W) for `none`. In float32 for half types. A norm that is not finite gives
        NaN.

    Raises
    ------
    TypeError
        A dtype that is not one of those above, or two dtypes.
    ValueError
        A shape, an option or a number that is not one of those above.
    """
    choose("scope", scope, SCOPES)
    choose("domain", domain, DOMAINS)
    choose("reduction", reduction, MAE_REDUCTIONS)
    choose("gain", gain, MAE_GAINS)
    p, t, valid = operands(input, target, mask, domain)
    ids = identities(view_ids, scope, t)
    bound = constant_beside("eps", eps, t)
    elements = _distance(_unit(p, bound, scope, ids), _unit(t, bound, scope, ids))
    if gain == "unit_rms":
        elements = elements * count_in_scope(valid, t, scope, ids).to(elements.dtype).sqrt()
    return reduced(masked(elements, valid), valid, reduction)


def amplitude_mae(
    input: Tensor,
    target: Tensor,
    scale: Tensor | float = 1.0,
    *,
    mask: Tensor | None = None,
    domain: str = "amplitude",
    reduction: str = "mean",
) -> Tensor:
    """Legacy MAE of scaled amplitudes: reduce(|s p - s t|).

    Parameters
    ----------
    input, target : Tensor
        Prediction and target (B, C, H, W) of one dtype: float64, float32, bfloat16 or float16; complex64 or
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
        Scalar; (B,) for `sample`; (B, C, H, W) for `none`. In float32 for half types.

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
    p, t, valid = operands(input, target, mask, domain)
    s = scalar(scale, t)
    return reduced(masked(_distance(s * p, s * t), valid), valid, reduction)


def poisson_nll(
    input: Tensor,
    target: Tensor,
    scale: Tensor | float,
    *,
    mask: Tensor | None = None,
    constant: str = "none",
    rate_guard: str = "none",
    rate_floor: float | None = None,
    normaliser: str = "none",
    normaliser_value: float | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Poisson negative log-likelihood of k = (s t)^2 under lambda = (s p)^2, in absolute photons.

    Its gradient with respect to the prediction, 2 s^2 (p - t)(p + t) / p, is in closed form, exact at any count, and
    can be differentiated again.

    Parameters
    ----------
    input, target, mask
        As in `amplitude_l2_mae`; amplitudes.
    scale : float or Tensor
        Scalar s, in sqrt(photons) per unit of amplitude; it gets no gradient.
    constant : {"none", "lgamma", "stirling", "saturated"}
        Term of the counts that is added: nothing; lgamma(k + 1); k log k - k + 0.5 log(2 pi k) where k > 1, else 0;
        k log k - k, which makes the loss the deviance. The last three are free of cancellation.
    rate_guard : {"none", "clamp", "log_add"}
        `clamp`: lambda becomes max(lambda, floor); `log_add`: log(lambda) becomes log(lambda + floor).
    rate_floor : float, optional
        The floor in photons, finite and above 0; with a guard, and only with one.
    normaliser : {"none", "batch_mean_amplitude", "frozen_mean_intensity"}
        What the result is divided by: nothing; the mean of the unscaled valid targets + 1e-8; `normaliser_value`.
    normaliser_value : float, optional
        Finite and above 0; with `frozen_mean_intensity`, and only with it.
    reduction : {"mean", "sum", "sample_sum", "none"}
        `sample_sum`: sum over (C, H, W), mean over B.

    Returns
    -------
    Tensor
        Scalar, or (B, C, H, W) for `none`; float32 for half types. Without a guard, lambda = 0 < k gives inf.

    Raises
    ------
    TypeError, ValueError
        As in `amplitude_l2_mae`.
    """
    choose("constant", constant, NLL_CONSTANTS)
    choose("rate_guard", rate_guard, RATE_GUARDS)
    choose("normaliser", normaliser, NORMALISERS)
    choose("reduction", reduction, NLL_REDUCTIONS)
    require_partner("rate_floor", rate_floor, "rate_guard", rate_guard, RATE_GUARDS[1:])
    require_partner("normaliser_value", normaliser_value, "normaliser", normaliser, NORMALISERS[2:])
    p, t, valid = operands(input, target, mask)
    s = scalar(scale, t)
    floor = None if rate_floor is None else constant_beside("rate_floor", rate_floor, t)
    elements = torch_poisson.elements(p, t, s, constant, rate_guard, floor)
    result = reduced(masked(elements, valid), valid, reduction)
    if normaliser == "batch_mean_amplitude":
        return result / (reduced(t.detach(), valid, "mean") + 1e-8)
    return result if normaliser_value is None else result / constant_beside("normaliser_value", normaliser_value, t)
