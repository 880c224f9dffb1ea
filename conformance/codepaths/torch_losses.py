"""Torch losses on channels-first tensors (B, C, H, W), arguments in Torch's order `(input, target)`.

The docstrings of the reference are the contract; these are written independently of it.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from conformance.codepaths.config import (
    DEFAULT_EPS,
    MAE_GAINS,
    MAE_REDUCTIONS,
    NLL_CONSTANTS,
    NLL_REDUCTIONS,
    SCALE_SOURCES,
    LossConfig,
    choose,
)

SAMPLE = (1, 2, 3)
LOG_2_PI = 1.8378770664093453


def _check(input: Tensor, target: Tensor) -> None:
    for name, tensor in (("input", input), ("target", target)):
        if not isinstance(tensor, Tensor) or tensor.dtype not in (torch.float32, torch.float64):
            got = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise TypeError(f"{name}: got {got}, wanted a float32 or float64 tensor; cast it on purpose")
        if tensor.ndim != 4 or 0 in tensor.shape:
            raise ValueError(f"{name}: got shape {tuple(tensor.shape)}, wanted four non-empty axes (B, C, H, W)")
    if input.dtype != target.dtype:
        raise TypeError(f"dtypes differ: input {input.dtype}, target {target.dtype}; cast one of them on purpose")
    if input.shape != target.shape:
        raise ValueError(f"shapes differ: input {tuple(input.shape)}, target {tuple(target.shape)}; no broadcasting")


def _scale(scale: Tensor | float, like: Tensor) -> Tensor:
    scalar = torch.as_tensor(scale, dtype=like.dtype, device=like.device).detach()
    if scalar.ndim != 0:
        raise ValueError(f"scale: got shape {tuple(scalar.shape)}, wanted a scalar; one data set has one scale")
    return scalar


def _modulus(left: Tensor, right: Tensor) -> Tensor:
    """|left - right| with sign(0) = 0, the sign from comparisons: a fused multiply-add cannot unmake a tie."""
    sign = (left > right).to(left.dtype) - (left < right).to(left.dtype)
    return sign * (left - right)


def _unit(amplitude: Tensor, eps: float) -> Tensor:
    energy = amplitude.square().sum(SAMPLE, keepdim=True)
    lit = energy > 0
    norm = torch.where(lit, torch.where(lit, energy, torch.ones_like(energy)).sqrt(), torch.zeros_like(energy))
    return amplitude / torch.maximum(norm, torch.full_like(norm, eps))


def _reduce(elements: Tensor, reduction: str, choices: tuple[str, ...]) -> Tensor:
    choose("reduction", reduction, choices)
    if reduction == "mean":
        return elements.mean()
    if reduction == "sum":
        return elements.sum()
    if reduction == "sample":
        return elements.mean(SAMPLE)
    if reduction == "sample_sum":
        return elements.sum(SAMPLE).mean()
    return elements


def amplitude_l2_mae(
    input: Tensor, target: Tensor, *, reduction: str = "mean", gain: str = "unit_l2", eps: float = DEFAULT_EPS
) -> Tensor:
    """MAE of amplitudes that are each divided by max(||.||, eps) over (C, H, W) of each sample.

    `input` is the prediction p, `target` the measured amplitude t. Options, edges and errors as in the contract.
    """
    _check(input, target)
    choose("gain", gain, MAE_GAINS)
    elements = _modulus(_unit(input, eps), _unit(target, eps))
    if gain == "unit_rms":
        elements = elements * float(elements[0].numel()) ** 0.5
    return _reduce(elements, reduction, MAE_REDUCTIONS)


def amplitude_mae(input: Tensor, target: Tensor, scale: Tensor | float = 1.0, *, reduction: str = "mean") -> Tensor:
    """Legacy MAE |s p - s t| of scaled amplitudes."""
    _check(input, target)
    s = _scale(scale, input)
    return _reduce(_modulus(s * input, s * target), reduction, MAE_REDUCTIONS)


class _RateTerm(torch.autograd.Function):
    """lambda - k log(lambda), with the gradient in closed form: autodiff of it cancels and is NaN at k = lambda = 0."""

    generate_vmap_rule = True

    @staticmethod
    def forward(p: Tensor, t: Tensor, s: Tensor) -> Tensor:
        rate = (s * p).square()
        return rate - torch.xlogy((s * t).square(), rate)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        p, t, s = ctx.saved_tensors
        (cotangent,) = cotangents
        slope = 2 * s.square()
        of_p = of_t = None
        if ctx.needs_input_grad[0]:
            silent = (p == 0) & (t == 0)
            divisor = torch.where(silent, torch.ones_like(p), p)
            of_p = cotangent * slope * ((p - t) * (p + t) / divisor)
        if ctx.needs_input_grad[1]:
            of_t = -cotangent * slope * torch.xlogy(t, (s * p).square())
        return of_p, of_t, None


def poisson_nll(
    input: Tensor, target: Tensor, scale: Tensor | float, *, constant: str = "none", reduction: str = "mean"
) -> Tensor:
    """Poisson negative log-likelihood of k = (s t)^2 under lambda = (s p)^2, in absolute photons."""
    _check(input, target)
    choose("constant", constant, NLL_CONSTANTS)
    s = _scale(scale, input)
    elements: Tensor = _RateTerm.apply(input, target, s)  # type: ignore[no-untyped-call]  # untyped in torch
    counts = (s * target).square()
    if constant == "lgamma":
        elements = elements + torch.lgamma(counts + 1)
    elif constant == "stirling":
        many = counts > 1
        k = torch.where(many, counts, torch.ones_like(counts))
        log_k = k.log()
        elements = elements + torch.where(many, k * log_k - k + 0.5 * (LOG_2_PI + log_k), torch.zeros_like(k))
    return _reduce(elements, reduction, NLL_REDUCTIONS)


def intensity_scale(target: Tensor, nphotons: float, *, source: str = "dataset") -> Tensor:
    """Scale s from a photon number: `dataset`, from the mean intensity of `target`, or `closed_form`, from its side."""
    choose("source", source, SCALE_SOURCES)
    if not 0.0 < nphotons < float("inf"):
        raise ValueError(f"nphotons: got {nphotons!r}, wanted a finite number above 0")
    _check(target, target)
    if source == "closed_form":
        return torch.as_tensor(nphotons**0.5 / (target.shape[-1] / 2), dtype=target.dtype, device=target.device)
    return (nphotons / target.square().sum((2, 3)).mean()).sqrt().detach()


class AmplitudeL2MAE(nn.Module):
    """`amplitude_l2_mae` as a module."""

    def __init__(self, reduction: str = "mean", gain: str = "unit_l2", eps: float = DEFAULT_EPS) -> None:
        super().__init__()
        self.reduction = choose("reduction", reduction, MAE_REDUCTIONS)
        self.gain = choose("gain", gain, MAE_GAINS)
        self.eps = eps

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return amplitude_l2_mae(input, target, reduction=self.reduction, gain=self.gain, eps=self.eps)


class AmplitudeMAE(nn.Module):
    """`amplitude_mae` as a module, at a fixed intensity scale."""

    def __init__(self, scale: float = 1.0, reduction: str = "mean") -> None:
        super().__init__()
        self.scale = scale
        self.reduction = choose("reduction", reduction, MAE_REDUCTIONS)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return amplitude_mae(input, target, self.scale, reduction=self.reduction)


class PoissonNLL(nn.Module):
    """`poisson_nll` as a module, at a fixed intensity scale."""

    def __init__(self, scale: float, constant: str = "none", reduction: str = "mean") -> None:
        super().__init__()
        self.scale = scale
        self.constant = choose("constant", constant, NLL_CONSTANTS)
        self.reduction = choose("reduction", reduction, NLL_REDUCTIONS)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return poisson_nll(input, target, self.scale, constant=self.constant, reduction=self.reduction)


class Losses(NamedTuple):
    """The two losses of a training run."""

    mae: nn.Module
    nll: nn.Module


def build_losses(config: LossConfig) -> Losses:
    """Return the modules that `config` describes; the NLL is the same whatever the MAE's normalisation."""
    mae: nn.Module
    if config.mae_normalization == "none":
        mae = AmplitudeMAE(config.intensity_scale, config.mae_reduction)
    else:
        mae = AmplitudeL2MAE(config.mae_reduction, config.mae_gain, config.eps)
    return Losses(mae, PoissonNLL(config.intensity_scale, config.nll_constant, config.nll_reduction))
