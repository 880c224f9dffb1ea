"""Element losses of the Poisson NLL: values free of cancellation, gradients in closed form.

Autodiff of lambda - k log(lambda) subtracts two numbers of size k: in float32, half of the gradient is noise at 1e8
photons per pixel, and it is NaN at k = lambda = 0. Everything small comes from p - t here, taken before any rounding.
"""

from typing import Any

import torch
from torch import Tensor

# Numbers stand in the functions: a compiler with dynamic shapes takes global ones for inputs that may change.


def _times_log(factor: Tensor, log: Tensor) -> Tensor:
    """`factor * log`, and 0 where `factor` is 0, also at log 0."""
    return torch.where(factor == 0, torch.zeros_like(factor), factor * log)


def _log_of(amplitude: Tensor, t: Tensor) -> Tensor:
    """log|amplitude|, but 0 where both are 0: what multiplies it there is 0."""
    return torch.where((amplitude == 0) & (t == 0), 1.0, amplitude.abs()).log()


def _log_ratio(p: Tensor, t: Tensor) -> Tensor:
    """log|t / p| with small relative error also where both are all but equal; 0 where t = 0, inf where p = 0 < |t|.

    Selections stand before the arithmetic, so that no unused branch brings NaN into a second derivative.
    """
    dark = t == 0
    p, t = torch.where(dark, 1.0, p.abs()), torch.where(dark, 1.0, t.abs())
    up = t > p
    high, low = torch.where(up, t, p), torch.where(up, p, t)
    apart = high > low * 2.0**100  # their quotient might overflow
    divisor = torch.where(apart, high, low)
    close = ((high - divisor) / divisor).log1p()
    far = torch.where(apart, high, 1.0).log() - torch.where(apart, low, 1.0).log()
    distance = torch.where(apart, far, close)
    return torch.where(up, distance, -distance)


def _atanh_rest(v: Tensor) -> Tensor:
    """(atanh(v) - v) / v^3 = 1/3 + v^2/5 + v^4/7 + ..., of |v| < 1/4: each term is 1/16 of the one before, or less."""
    square = v.square()
    terms = 13 if v.dtype == torch.float64 else 8
    rest = torch.full_like(v, 1 / (2 * terms + 1))
    for index in range(terms - 1, 0, -1):
        rest = rest * square + 1 / (2 * index + 1)
    return rest


def _deviance(p: Tensor, t: Tensor, s: Tensor, floor: Tensor | None) -> Tensor:
    """D = lambda - k - k log(lambda / k); with a floor, log((lambda + floor) / k)."""
    p, t = p.abs(), t.abs()
    k = (s * t).square()
    difference, total = p - t, p + t
    excess = (s * difference) * (s * total)
    if floor is None:
        h = difference / torch.where(total == 0, 1.0, total)  # of moduli: their squares may underflow
        v = 2 * h / (1 + h.square())
        near = excess * v - 2 * k * v * v.square() * _atanh_rest(v)
        log = _log_ratio(p, t)
    else:
        rate = (s * p).square() + floor
        v = (excess + floor) / (rate + k)
        near = (excess + floor) * v - 2 * k * v * v.square() * _atanh_rest(v) - floor
        log = _log_ratio(rate.sqrt(), s * t)
    return torch.where(v.abs() < 0.25, near, excess + 2 * _times_log(k, log))


def _beyond_deviance(k: Tensor, constant: str) -> Tensor:
    """What the loss with `constant` has more than the deviance, a function of the counts alone."""
    few = k - torch.xlogy(k, k)
    half_log = 0.5 * (1.8378770664093453 + k.log())  # log(2 pi k) / 2
    if constant == "stirling":
        return torch.where(k > 1, half_log, few)
    inverse = 1 / k
    square = inverse.square()
    tail = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)))
    return torch.where(k > 32, half_log + tail, few + torch.lgamma(k + 1))  # above, the series is exact to float64


def _value(p: Tensor, t: Tensor, s: Tensor, floor: Tensor | None, constant: str) -> Tensor:
    if constant == "none":  # has no cancellation to avoid: the entropy of the counts is in the value
        rate = (s * p).square()
        log = 2 * (s * p).abs().log() if floor is None else (rate + floor).log()
        return rate - _times_log((s * t).square(), log)
    deviance = _deviance(p, t, s, floor)
    return deviance if constant == "saturated" else deviance + _beyond_deviance((s * t).square(), constant)


def _slope_of_prediction(p: Tensor, t: Tensor, s: Tensor, floor: Tensor | None) -> Tensor:
    """2 s^2 (p - t)(p + t) / p: 0 where p = t = 0, -inf where p = 0 < |t|, -0 too; finite everywhere with a floor."""
    if floor is not None:
        return 2 * s * (s * p) * (((s * (p - t)) * (s * (p + t)) + floor) / ((s * p).square() + floor))
    dead = p == 0
    silent = dead & (t == 0)
    divisor = torch.where(silent, 1.0, torch.where(dead, p.abs(), p))
    return 2 * s * (s * torch.where(silent, p, (p - t) * ((p + t) / divisor)))  # p: the derivative of this is 1 there


def _slope_of_target(p: Tensor, t: Tensor, s: Tensor, floor: Tensor | None, constant: str) -> Tensor:
    rate = None if floor is None else (s * p).square() + floor
    k = (s * t).square()
    log_rate = 2 * _log_of(s * p, t) if rate is None else rate.log()
    if constant == "none":
        slope = -log_rate
    elif constant == "lgamma":
        slope = torch.digamma(k + 1) - log_rate
    else:
        slope = 2 * (_log_ratio(p, t) if rate is None else _log_ratio(rate.sqrt(), s * t))
        if constant == "stirling":
            many = k > 1
            slope = torch.where(many, slope + 0.5 / torch.where(many, k, 1.0), -log_rate)
    return 2 * s * (s * t) * slope


class _Element(torch.autograd.Function):
    """One element's loss; its gradient is made of ordinary operations, so that it can be differentiated in turn.

    It has no `jvp`: with one it would not compile, and forward over forward would silently give zeros.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(p: Tensor, t: Tensor, s: Tensor, floor: Tensor | None, constant: str) -> Tensor:
        return _value(p, t, s, floor, constant)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        p, t, s, floor, ctx.constant = inputs
        ctx.save_for_backward(p, t, s, floor)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        p, t, s, floor = ctx.saved_tensors
        (cotangent,) = cotangents
        of_p = of_t = None
        if ctx.needs_input_grad[0]:
            of_p = cotangent * _slope_of_prediction(p, t, s, floor)
        if ctx.needs_input_grad[1]:
            of_t = cotangent * _slope_of_target(p, t, s, floor, ctx.constant)
        return of_p, of_t, None, None, None


def elements(p: Tensor, t: Tensor, s: Tensor, constant: str, rate_guard: str, floor: Tensor | None) -> Tensor:
    """Loss of each element of amplitudes `p`, `t`, at a scale and a floor that get no gradient."""
    if rate_guard == "clamp" and floor is not None:
        # A clamped rate is the rate of a clamped amplitude, and where it is clamped no gradient passes. Not `maximum`,
        # which shares the gradient out at the floor itself; and a NaN stays NaN.
        p, floor = torch.where((s * p).square() <= floor, floor.sqrt() / s, p), None
    loss: Tensor = _Element.apply(p, t, s, floor, constant)  # type: ignore[no-untyped-call]  # untyped in torch
    return loss
