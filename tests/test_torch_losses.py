"""The Torch amplitude losses, option by option, against plain float64 formulas: value and both gradients."""

import math
from typing import Any

import numpy as np
import plain_channels_first as plain
import pytest
import torch
from roundings import apart, require_close
from torch import Tensor

from conformance.codepaths.torch_losses import amplitude_l2_mae, amplitude_mae

SHAPE = (4, 2, 3, 5)
IDS = torch.tensor([7, -2, 7, 0])
NAN, INF = float("nan"), float("inf")


def drawn(seed: int = 0, domain: str = "amplitude") -> tuple[Tensor, Tensor]:
    """Positive amplitudes whose samples and channels are of very different energy, some pixels dark in one or both."""
    rng = np.random.default_rng(seed)
    energy = 4.0 ** np.arange(8).reshape(4, 2, 1, 1)
    pair = [energy * rng.uniform(0.2, 2, SHAPE) for _ in range(2)]
    pair[0][:, :, 0, 0] = pair[1][:, :, 0, 0] = pair[0][:, :, 1, 0] = pair[1][:, :, 2, 0] = 0
    if domain == "field":
        pair = [amplitude * np.exp(2j * math.pi * rng.random(SHAPE)) for amplitude in pair]
    return torch.tensor(pair[0]), torch.tensor(pair[1])


def half_masked() -> Tensor:
    return torch.tensor(np.random.default_rng(9).random(SHAPE) < 0.6)


def derivatives(loss: Any, p: Tensor, t: Tensor, cotangent: Tensor | None = None, **options: Any) -> tuple[Any, ...]:
    """Value, and the gradients of sum(cotangent * value) with respect to both inputs."""
    p, t = p.detach().clone().requires_grad_(), t.detach().clone().requires_grad_()
    value = loss(p, t, **options)
    cotangent = torch.ones_like(value) if cotangent is None else cotangent
    dp, dt = torch.autograd.grad((cotangent * value).sum(), (p, t))
    return value.detach(), dp, dt


def cotangent_of(reduction: str, dtype: torch.dtype = torch.float64) -> Tensor:
    shape = {"sample": SHAPE[:1], "none": SHAPE}.get(reduction, ())
    return torch.tensor(np.random.default_rng(5).uniform(-1, 2, shape), dtype=dtype)


def assert_close(actual: Any, expected: Any, size: Any = None, relative: float = apart(3 * math.prod(SHAPE))) -> None:
    """Three sums at most: a norm's, the gradient's projection, the reduction's."""
    require_close(actual, expected, relative, size)


def assert_derivatives(got: tuple[Any, ...], wanted: tuple[Any, ...], cotangent: Tensor) -> None:
    assert_close((cotangent * got[0]).sum(), wanted[0], 1 + abs(wanted[0]))
    for actual, expected in zip(got[1:], wanted[1:]):
        assert_close(actual, expected)


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize(("reduction", "gain"), [("mean", "unit_rms"), ("sum", "unit_l2"), ("sample", "unit_rms"),
                                                  ("none", "unit_rms")])  # fmt: skip
@pytest.mark.parametrize("scope", ["sample", "patch", "view", "batch"])
def test_l2_mae_is_the_formula(scope: str, reduction: str, gain: str, masked: bool) -> None:
    p, t = drawn()
    mask = half_masked() if masked else None
    cotangent = cotangent_of(reduction)
    ids = {"view_ids": IDS} if scope == "view" else {}
    options = {"mask": mask, "scope": scope, "reduction": reduction, "gain": gain, **ids}
    got = derivatives(amplitude_l2_mae, p, t, cotangent, **options)
    valid = plain.valid_of(None if mask is None else mask.numpy(), SHAPE)
    w = plain.weights(reduction, valid, cotangent.numpy())
    of = plain.groups(scope, SHAPE, IDS.numpy())
    assert_derivatives(got, plain.l2_mae(p.numpy(), t.numpy(), w, valid, of, gain), cotangent)
    assert got[0].shape == cotangent.shape


@pytest.mark.parametrize("domain", ["amplitude", "intensity", "field"])
@pytest.mark.parametrize("loss", ["amplitude_l2_mae", "amplitude_mae"])
def test_domains_are_the_formula_and_have_gradient_zero_at_zero(loss: str, domain: str) -> None:
    p, t = drawn(1, domain)
    mask, cotangent = half_masked(), cotangent_of("mean")
    valid = mask.numpy()
    w = plain.weights("mean", valid, cotangent.numpy())
    if loss == "amplitude_mae":
        got = derivatives(amplitude_mae, p, t, cotangent, mask=mask, domain=domain, scale=2.5)
        wanted = plain.mae(p.numpy(), t.numpy(), w, valid, 2.5, domain)
    else:
        got = derivatives(amplitude_l2_mae, p, t, cotangent, mask=mask, domain=domain)
        of = plain.groups("sample", SHAPE)
        wanted = plain.l2_mae(p.numpy(), t.numpy(), w, valid, of, domain=domain)
    assert_derivatives(got, wanted, cotangent)
    assert domain == "amplitude" or ((got[1][p == 0] == 0).all() and (got[2][t == 0] == 0).all())
    assert got[0].dtype == torch.float64 and got[1].dtype == p.dtype


@pytest.mark.parametrize("reduction", ["mean", "sum", "sample", "none"])
def test_legacy_mae_is_the_formula(reduction: str) -> None:
    p, t = drawn(2)
    cotangent, s = cotangent_of(reduction), torch.tensor(3.5, dtype=torch.float64, requires_grad=True)
    got = derivatives(amplitude_mae, p, t, cotangent, scale=s, reduction=reduction)
    valid = plain.valid_of(None, SHAPE)
    w = plain.weights(reduction, valid, cotangent.numpy())
    assert_derivatives(got, plain.mae(p.numpy(), t.numpy(), w, valid, 3.5), cotangent)
    assert not amplitude_mae(p, t, s).requires_grad  # nothing flows to the scale


def test_eps_bounds_the_norm_and_is_a_constant_below_and_at_the_norm() -> None:
    p = torch.zeros(3, 1, 1, 2, dtype=torch.float64)
    p[1, 0, 0], p[2, 0, 0] = torch.tensor([3.0, 4.0]), torch.tensor([0.3, 0.4])  # norms 0, 5 and 0.5
    t = torch.full_like(p, 2.0)
    value, dp, _ = derivatives(amplitude_l2_mae, p, t, reduction="none", eps=5.0)
    assert_close(value, (t - p).abs() / 5, 1)
    assert_close(dp, torch.sign(p - t) / 5, 1)
    dark = derivatives(amplitude_l2_mae, p, torch.zeros_like(p))
    assert dark[0].isfinite() and dark[1].isfinite().all() and dark[2].isfinite().all()


@pytest.mark.parametrize("factor", [1.0, 2.0, 0.125])
def test_a_tie_contributes_nothing(factor: float) -> None:
    t = drawn(3)[1].float()
    value, dp, dt = derivatives(amplitude_l2_mae, factor * t, t)
    assert value == 0 and not dp.any() and not dt.any()
    assert not torch.cat(derivatives(amplitude_mae, t, t)[1:]).any()


MASKS = {
    "bool": lambda mask: mask,
    "integer": lambda mask: -3 * mask.to(torch.int16),
    "byte": lambda mask: 255 * mask.to(torch.uint8),
    "real": lambda mask: 1e-30 * mask.float(),
    "half": lambda mask: mask.bfloat16(),
}


@pytest.mark.parametrize("axes", [(4, 2, 3, 5), (1, 1, 3, 5), (4, 1, 1, 1), (1, 2, 1, 5), (1, 1, 1, 1)], ids=str)
@pytest.mark.parametrize("kind", list(MASKS))
def test_masks_of_every_kind_and_shape_are_the_full_mask(kind: str, axes: tuple[int, ...]) -> None:
    p, t = drawn(4)
    small = torch.tensor(np.random.default_rng(1).random(axes) < 0.7)
    for options in ({"gain": "unit_rms", "scope": "patch"}, {"scope": "view", "view_ids": IDS, "gain": "unit_rms"}):
        one = derivatives(amplitude_l2_mae, p, t, mask=MASKS[kind](small), reduction="sample", **options)
        other = derivatives(amplitude_l2_mae, p, t, mask=small.expand(SHAPE).clone(), reduction="sample", **options)
        assert all(torch.equal(left, right) for left, right in zip(one, other))


@pytest.mark.parametrize("domain", ["amplitude", "intensity", "field"])
@pytest.mark.parametrize("junk", [NAN, INF, -INF, -1.0])
@pytest.mark.parametrize("loss", [amplitude_l2_mae, amplitude_mae])
def test_what_is_masked_may_hold_anything(loss: Any, junk: float, domain: str) -> None:
    p, t = drawn(5, domain)
    mask = half_masked()
    clean = derivatives(loss, p, t, mask=mask, domain=domain, reduction="none")
    for fill in ((junk, junk), (junk, 0), (0, junk)):
        dirty = [torch.where(mask, x, torch.full_like(x, y)) for x, y in zip((p, t), fill)]
        got = derivatives(loss, *dirty, mask=mask, domain=domain, reduction="none")
        assert all(torch.equal(left, right) for left, right in zip(got, clean))
        assert all((x[~mask] == 0).all() for x in got)


@pytest.mark.parametrize("reduction", ["mean", "sum", "sample", "none"])
@pytest.mark.parametrize("scope", ["sample", "patch", "view", "batch"])
def test_nothing_valid_is_zero(scope: str, reduction: str) -> None:
    p, t = (torch.full(SHAPE, NAN) for _ in range(2))
    ids = {"view_ids": IDS} if scope == "view" else {}
    none = torch.zeros(1, 1, 1, 1)
    for x in derivatives(amplitude_l2_mae, p, t, mask=none, scope=scope, reduction=reduction, gain="unit_rms", **ids):
        assert (x == 0).all()
    assert all((x == 0).all() for x in derivatives(amplitude_mae, p, t, mask=none, reduction=reduction))
    p, t = drawn(6)
    mask = torch.ones(4, 1, 1, 1)
    mask[1] = 0
    value, dp, dt = derivatives(amplitude_l2_mae, p, t, mask=mask, reduction="sample")
    assert value[1] == 0 and not dp[1].any() and not dt[1].any()
    assert torch.equal(value[[0, 2, 3]], amplitude_l2_mae(p[[0, 2, 3]], t[[0, 2, 3]], reduction="sample"))


@pytest.mark.parametrize("bad", [NAN, INF])
@pytest.mark.parametrize("side", [0, 1], ids=["input", "target"])
def test_a_valid_nan_or_infinity_is_never_a_finite_loss(side: int, bad: float) -> None:
    pair = drawn(7)
    pair[side][0, 0, 1, 1] = bad
    for domain in ("amplitude", "intensity"):
        assert not amplitude_l2_mae(*pair, domain=domain).isfinite()
        assert not amplitude_mae(*pair, domain=domain).isfinite()
    value, *gradients = derivatives(amplitude_l2_mae, *pair, reduction="none", scope="view", view_ids=IDS)
    for x in (value, *gradients):
        assert x[[1, 3]].isfinite().all()  # other views are untouched
    assert not value[[0, 2]].isfinite().any() or bad != bad


@pytest.mark.parametrize("side", [0, 1], ids=["input", "target"])
def test_a_norm_that_overflows_is_nan_not_zero(side: int) -> None:
    pair = [x.float() for x in drawn(8)]
    pair[side][0] = 1e20  # finite, and its square is not
    assert amplitude_l2_mae(*pair).isnan()
    assert amplitude_l2_mae(*pair, reduction="sample")[1:].isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("loss", [amplitude_l2_mae, amplitude_mae])
@pytest.mark.parametrize("domain", ["amplitude", "intensity"])
def test_half_types_are_computed_in_float32(loss: Any, dtype: torch.dtype, domain: str) -> None:
    p, t = (x.clamp_max(3e4).to(dtype) for x in drawn(10))  # squares beyond float16
    cotangent = torch.tensor(1024.0)
    value, *gradients = derivatives(loss, p, t, cotangent, domain=domain)
    wide, *wanted = derivatives(loss, p.float(), t.float(), cotangent, domain=domain)
    assert value.dtype == torch.float32 and torch.equal(value, wide) and wide > 0
    for actual, expected in zip(gradients, wanted):
        assert actual.dtype == dtype and torch.equal(actual, expected.to(dtype))


def test_the_gradient_of_a_field_is_d_dre_plus_i_d_dim() -> None:
    p, t = torch.tensor([[[[3 + 4j]]]]), torch.tensor([[[[1 + 0j]]]])
    value, dp, dt = derivatives(amplitude_mae, p, t, domain="field")
    assert value == 4 and value.dtype == torch.float32 and dp.dtype == torch.complex64
    assert torch.allclose(dp, p / 5) and torch.allclose(dt, -t)
    assert torch.equal(derivatives(amplitude_mae, p.conj(), t, domain="field")[1], dp.conj())
