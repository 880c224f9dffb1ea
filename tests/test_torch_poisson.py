"""The Torch Poisson NLL, option by option, against plain float64 formulas; its accuracy in float32; and its edges."""

from typing import Any

import numpy as np
import plain_channels_first as plain
import pytest
import torch
from roundings import SIX_DIGITS, apart
from test_torch_losses import INF, NAN, SHAPE, assert_close, cotangent_of, derivatives, half_masked
from torch import Tensor

from conformance.codepaths.torch_losses import intensity_scale, poisson_nll

S = 3.0
CONSTANTS = ("none", "lgamma", "stirling", "saturated")
GUARDS: dict[str, dict[str, Any]] = {
    "none": {},
    "clamp": {"rate_guard": "clamp", "rate_floor": 2.5},
    "log_add": {"rate_guard": "log_add", "rate_floor": 2.5},
}


def drawn(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Amplitudes of 1e-3 to 1e3 photons, close to each other, equal and far apart, some counts and some rates 0."""
    rng = np.random.default_rng(seed)
    t = 10 ** rng.uniform(-1.5, 1.5, SHAPE) / S
    p = t * np.exp(rng.choice([1e-6, 0.01, 0.3, 3.0], SHAPE) * rng.normal(size=SHAPE))
    p[:, :, 0, 1] = t[:, :, 0, 1]
    t[:, :, 1, 1] = t[:, :, 2, 2] = p[:, :, 2, 2] = 0
    return torch.tensor(p), torch.tensor(t)


def one(*numbers: float, dtype: torch.dtype = torch.float32) -> tuple[Tensor, ...]:
    return tuple(torch.tensor(number, dtype=dtype).reshape(1, 1, 1, 1) for number in numbers)


@pytest.mark.parametrize("reduction", ["mean", "sum", "sample_sum", "none"])
@pytest.mark.parametrize("guard", list(GUARDS))
@pytest.mark.parametrize("constant", CONSTANTS)
def test_nll_is_the_formula(constant: str, guard: str, reduction: str) -> None:
    p, t = drawn()
    mask, cotangent = half_masked(), cotangent_of(reduction)
    s = torch.tensor(S, dtype=torch.float64, requires_grad=True)
    options = {"constant": constant, **GUARDS[guard]}
    got = derivatives(poisson_nll, p, t, cotangent, scale=s, mask=mask, reduction=reduction, **options)
    w = plain.weights(reduction, mask.numpy(), cotangent.numpy())
    floor = options.get("rate_floor", 0.0)
    wanted = plain.nll(p.numpy(), t.numpy(), w, mask.numpy(), S, constant=constant, guard=guard, floor=floor)
    size = np.abs(w).sum() * 1e4  # rates and counts go up to 1e4, and both cancel in the formula as it stands
    assert_close((cotangent * got[0]).sum(), wanted[0], size)
    for actual, expected in zip(got[1:], wanted[1:]):
        assert_close(actual, expected, size + np.abs(expected))
    assert got[0].shape == cotangent.shape
    unscaled = poisson_nll(p, t, s, mask=mask, reduction=reduction, **options)
    assert not unscaled.requires_grad  # nothing flows to the scale


@pytest.mark.parametrize("photons", [1e-3, 1.0, 1e3, 1e6, 1e9])
def test_float32_deviance_and_gradient_keep_six_digits_at_any_count(photons: float) -> None:
    rng = np.random.default_rng(int(photons))
    s = np.float32(np.sqrt(photons))
    t = rng.uniform(0.5, 1.5, (1, 1, 20, 20)).astype(np.float32)
    apart = rng.choice([1e-6, 1, 1e3], t.shape) / (s * t) * rng.normal(size=t.shape)  # 1 is what shot noise does
    p = (t * (1 + np.clip(apart, -0.05, 0.05))).astype(np.float32)
    value, dp, _ = derivatives(
        poisson_nll, torch.tensor(p), torch.tensor(t), scale=float(s), constant="saturated", reduction="none"
    )
    for index in np.argwhere(p != t):
        at = tuple(index)
        d, g = plain.deviance(float(p[at]), float(t[at]), float(s))
        assert abs(float(value[at]) - d) <= SIX_DIGITS * d
        assert abs(float(dp[at]) - g) <= SIX_DIGITS * abs(g)
    assert not value[p == t].any() and not dp[p == t].any()
    if photons < 1e9:
        return
    naive = torch.tensor(p, requires_grad=True)
    rate, k = (s * naive) ** 2, (s * torch.tensor(t)) ** 2
    (rate - k * rate.log()).sum().backward()
    assert naive.grad is not None
    seen = dp != 0
    assert float(((naive.grad - dp)[seen] / dp[seen]).abs().max()) > 1e-2


@pytest.mark.parametrize("constant", ["lgamma", "stirling", "saturated"])
@pytest.mark.parametrize("guard", list(GUARDS))
def test_float32_values_do_not_cancel_with_a_constant(constant: str, guard: str) -> None:
    p, t = (torch.linspace(low, low + 1, 24).reshape(1, 2, 3, 4) for low in (0.5, 0.5001))
    options = {"constant": constant, "reduction": "none", **GUARDS[guard]}
    narrow = poisson_nll(p, t, 2.0**14, **options)
    wide = poisson_nll(p.double(), t.double(), 2.0**14, **options)  # 1e8 photons: lambda - k log(lambda) is 1e9
    assert float(((narrow - wide) / wide).abs().max()) < SIX_DIGITS


@pytest.mark.parametrize("constant", CONSTANTS)
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_the_edges_of_counts_and_rates(constant: str, zero: float) -> None:
    def at(p: float, t: float) -> tuple[float, ...]:
        return tuple(float(x) for x in derivatives(poisson_nll, *one(p, t), scale=2.0, constant=constant))

    assert at(zero, zero) == (0, 0, 0)
    assert at(3.0, zero)[:2] == (36, 24)
    assert at(-3.0, zero)[:2] == (36, -24)
    assert at(zero, 1.0)[:2] == (INF, -INF)
    assert at(-1.5, 1.25)[0] == at(1.5, -1.25)[0] == at(1.5, 1.25)[0]
    assert at(-1.5, 1.25)[1] == -at(1.5, 1.25)[1]
    assert at(1.25, 1.25)[1] == at(-1.25, 1.25)[1] == 0


def test_a_rate_and_counts_too_far_apart_for_a_quotient_are_finite() -> None:
    p, t = one(1e-25, 1e15)
    for constant in CONSTANTS:
        narrow = poisson_nll(p, t, 1.0, constant=constant)
        wide = poisson_nll(p.double(), t.double(), 1.0, constant=constant)
        assert_close(narrow, wide, relative=apart(dtype="float32"))
        assert poisson_nll(t, p, 1.0, constant=constant).isfinite()


def test_a_clamp_passes_no_gradient_below_the_floor() -> None:
    p, t = torch.tensor([0.0, 1e-3, 0.5, 1.0, 2.0]).reshape(5, 1, 1, 1), torch.ones(5, 1, 1, 1)
    for constant in CONSTANTS:
        value, dp, _ = derivatives(
            poisson_nll, p, t, scale=1.0, rate_guard="clamp", rate_floor=0.25, constant=constant, reduction="none"
        )
        assert dp.flatten()[[0, 1]].tolist() == [0, 0] and value[0] == value[1] == value[2]
        assert dp.flatten()[2] in (0, 2 * 0.5 - 2 / 0.5)  # at the floor itself either one-sided derivative is right
        assert dp.flatten()[[3, 4]].tolist() == [0, 3]


@pytest.mark.parametrize("guard", list(GUARDS))
@pytest.mark.parametrize("constant", CONSTANTS)
@pytest.mark.parametrize("bad", [NAN, INF])
def test_nan_and_infinity_are_seen_where_valid_and_harmless_where_masked(guard: str, constant: str, bad: float) -> None:
    options = {"scale": 2.0, "constant": constant, "reduction": "none", **GUARDS[guard]}
    mask = half_masked()
    clean = derivatives(poisson_nll, *drawn(1), mask=mask, **options)
    for side in (0, 1):
        pair = drawn(1)
        pair[side][~mask] = bad
        assert not poisson_nll(*pair, **options)[~mask].isfinite().any()
        got = derivatives(poisson_nll, *pair, mask=mask, **options)
        assert all(torch.equal(left, right) for left, right in zip(got, clean))
        assert all((x[~mask] == 0).all() for x in got)


@pytest.mark.parametrize("guard", list(GUARDS))
@pytest.mark.parametrize("normaliser", ["none", "batch_mean_amplitude"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "sample_sum", "none"])
def test_nothing_valid_is_zero(guard: str, normaliser: str, reduction: str) -> None:
    p = t = torch.full(SHAPE, NAN)
    options = {"constant": "stirling", "normaliser": normaliser, "reduction": reduction, **GUARDS[guard]}
    for x in derivatives(poisson_nll, p, t, scale=2.0, mask=torch.zeros(1, 1, 1, 1), **options):
        assert (x == 0).all()


def test_normalisers_divide_and_get_no_gradient() -> None:
    p, t = drawn(2)
    mask = half_masked()
    options = {"scale": S, "mask": mask, "constant": "lgamma", "reduction": "sample_sum"}
    bare = derivatives(poisson_nll, p, t, **options)
    by_mean = derivatives(poisson_nll, p, t, normaliser="batch_mean_amplitude", **options)
    by_given = derivatives(poisson_nll, p, t, normaliser="frozen_mean_intensity", normaliser_value=12.5, **options)
    for divisor, divided in ((float(t[mask].mean()) + 1e-8, by_mean), (12.5, by_given)):
        for left, right in zip(divided, bare):
            assert_close(left * divisor, right)


def test_intensity_scale_counts_valid_pixels_in_float32_or_wider() -> None:
    t = drawn(3)[1][:, :, :3, :3].requires_grad_()
    mask = half_masked()[:, :, :3, :3]
    s = intensity_scale(t, 1e6, mask=mask)
    assert_close(s, 1e3 / (np.where(mask, t.detach(), 0) ** 2).sum((2, 3)).mean() ** 0.5, float(s))
    assert not s.requires_grad and s.dtype == torch.float64
    assert float(intensity_scale(t, 9.0, source="closed_form")) == 2
    big = torch.full((1, 1, 4, 4), 300.0, dtype=torch.float16)  # its square is beyond float16
    assert intensity_scale(big, 1e4).dtype == torch.float32
    assert_close(intensity_scale(big, 1e4), 1e2 / (16 * 300.0**2) ** 0.5, 1, 1e-6)
    with pytest.raises(ValueError, match=r"target: got shape \(4, 2, 3, 5\), wanted square frames"):
        intensity_scale(drawn()[1], 1.0, source="closed_form")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_types_are_computed_in_float32(dtype: torch.dtype) -> None:
    p, t = (x.to(dtype) for x in drawn(4))
    options = {"scale": torch.tensor(333.3, dtype=torch.float64), "constant": "saturated"}  # no number of float16
    value, *gradients = derivatives(poisson_nll, p, t, torch.tensor(2.0**-20), **options)
    wide, *wanted = derivatives(poisson_nll, p.float(), t.float(), torch.tensor(2.0**-20), **options)
    assert value.dtype == torch.float32 and torch.equal(value, wide)
    for actual, expected in zip(gradients, wanted):
        assert actual.dtype == dtype and torch.equal(actual, expected.to(dtype))
