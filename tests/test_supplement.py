"""Conventions that few golden cases declare: who is wrong about the rest fails, who is right passes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diagnosed import only
from torch import Tensor
from torch.nn.functional import poisson_nll_loss

from conformance import UsageError, check_loss
from conformance.backends import BACKENDS, load_backend
from conformance.case import Case
from conformance.codepaths import torch_losses
from conformance.profile import Profile, declare
from conformance.supplement import supplement

MASKED = {"mask": "keyword"}
VIEWS = {"scope": "view", "reduction": "sample", "gain": "unit_rms"}
"""Options that no golden case has together."""


def mae(p: Tensor, t: Tensor) -> Tensor:
    return only("amplitude_mae")(p, t)


def distance(p: Tensor, t: Tensor) -> Tensor:
    d = p - t
    return d * d.detach().sign()


def unit(x: Tensor, axes: tuple[int, ...] = (1, 2, 3)) -> Tensor:
    norm = torch.linalg.vector_norm(x.double(), dim=axes, keepdim=True).clamp_min(2.0**-40)
    return (x / norm).to(x.dtype)


def l2(p: Tensor, t: Tensor) -> Tensor:
    return distance(unit(p), unit(t))


def _ignored_unless_all(p: Tensor, t: Tensor, mask: Tensor | None = None) -> Tensor:
    if mask is None:
        return mae(p, t)
    return torch.where(mask.any().expand_as(p), distance(p, t), 0.0).mean()


def _patch_without_its_mask(p: Tensor, t: Tensor, mask: Tensor | None = None) -> Tensor:
    return distance(unit(p, (2, 3)), unit(t, (2, 3))).mean()


def nll(p: Tensor, t: Tensor, s: Tensor, floor: float = 0.0) -> Tensor:
    rate, counts = (s * p) ** 2, (s * t) ** 2
    return rate - torch.xlogy(counts, rate + floor)


def _masked(p: Tensor, t: Tensor, mask: Tensor, elements: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    return elements(torch.where(mask, p, 0.0), torch.where(mask, t, 0.0)) * mask


def _nan_lost_under_a_mask(p: Tensor, t: Tensor, mask: Tensor | None = None) -> Tensor:
    if mask is None:
        return mae(p, t)
    valid = mask.expand_as(t)
    p, t = torch.nan_to_num(p) * valid, torch.nan_to_num(t) * valid
    return distance(p, t).sum() / valid.sum().clamp_min(1)


def _mean_of_nothing(p: Tensor, t: Tensor, mask: Tensor | None = None) -> Tensor:
    """Patch norms, and 0 / 0 where nothing is valid."""
    elements = lambda a, b: distance(unit(a, (2, 3)), unit(b, (2, 3)))  # noqa: E731
    if mask is None:
        return elements(p, t).mean()
    valid = mask.expand_as(p)
    return _masked(p, t, valid, elements).sum() / valid.sum()


def _empty_sample(p: Tensor, t: Tensor, mask: Tensor | None = None) -> Tensor:
    if mask is None:
        return distance(p, t).mean((1, 2, 3))
    valid = mask.expand_as(p)
    return _masked(p, t, valid, distance).sum((1, 2, 3)) / valid.sum((1, 2, 3))


def _mask_of_channels_miscounted(p: Tensor, t: Tensor, mask: Tensor | None = None) -> Tensor:
    if mask is None:
        return torch_losses.amplitude_l2_mae(p, t, scope="patch")
    total = torch_losses.amplitude_l2_mae(p, t, mask=mask, scope="patch", reduction="sum")
    return total / mask.expand(*p.shape[:2], *mask.shape[2:]).sum().clamp_min(1)


def _mask_of_the_first_sample(p: Tensor, t: Tensor, mask: Tensor | None = None) -> Tensor:
    if mask is not None and mask.shape[1] == 1 and p.shape[1] > 1:
        mask = mask[:1]
    return torch_losses.amplitude_l2_mae(p, t, mask=mask, reduction="sum")


def _infinity_times_the_mask(p: Tensor, t: Tensor, mask: Tensor | None = None) -> Tensor:
    valid = torch.ones_like(p, dtype=torch.bool) if mask is None else mask.expand_as(p)
    p, t = (torch.where(x.isnan() & ~valid, 0.0, x) * valid for x in (p, t))
    return distance(unit(p, (2, 3)), unit(t, (2, 3))).sum() / valid.sum().clamp_min(1)


def _ids(change: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    return lambda p, t, view_ids: torch_losses.amplitude_l2_mae(p, t, view_ids=change(view_ids), **VIEWS)


WRONG: dict[str, tuple[str, Callable[..., Any], dict[str, str]]] = {
    "mask-ignored": ("amplitude_mae", _ignored_unless_all, MASKED),
    "mask-ignored-in-a-sum": (
        "amplitude_mae",
        lambda p, t, mask=None: distance(p, t).sum(),
        {**MASKED, "reduction": "sum"},
    ),
    "nan-lost-under-a-mask": ("amplitude_mae", _nan_lost_under_a_mask, MASKED),
    "nan-lost-in-patches": (
        "amplitude_l2_mae",
        lambda p, t: torch.nan_to_num(distance(unit(p, (2, 3)), unit(t, (2, 3)))).mean(),
        {"scope": "patch"},
    ),
    "mean-without-nan": (
        "amplitude_mae",
        lambda p, t: torch.nanmean(distance(p, t), dim=(1, 2, 3)),
        {"reduction": "sample"},
    ),
    "mean-of-nothing": ("amplitude_l2_mae", _mean_of_nothing, {**MASKED, "scope": "patch"}),
    "mean-of-an-empty-sample": ("amplitude_mae", _empty_sample, {**MASKED, "reduction": "sample"}),
    "dark-rates-dropped-under-a-guard": (
        "poisson_nll",
        lambda p, t, s: torch.where(p != 0, nll(p, t, s, 1e-8), (s * p) ** 2).mean(),
        {"rate_guard": "log_add", "rate_floor": "1e-8"},
    ),
    "infinity-bounded": (
        "poisson_nll",
        lambda p, t, s: nll(p, t, s).clamp_max(1e30),
        {"reduction": "none"},
    ),
    "mask-taken-from-nan": (
        "amplitude_mae",
        lambda p, t, mask=None: torch.where(t.isfinite() & p.isfinite(), distance(p, t), 0.0).sum(),
        {**MASKED, "reduction": "sum"},
    ),
    "views-taken-for-pairs": (
        "amplitude_l2_mae",
        lambda p, t, view_ids: torch_losses.amplitude_l2_mae(
            p, t, scope="view", domain="field", view_ids=torch.arange(len(view_ids)) // 2
        ),
        {"scope": "view", "domain": "field"},
    ),
    "mask-of-channels-miscounted": ("amplitude_l2_mae", _mask_of_channels_miscounted, {**MASKED, "scope": "patch"}),
    "mask-of-the-first-sample": ("amplitude_l2_mae", _mask_of_the_first_sample, {**MASKED, "reduction": "sum"}),
    "infinity-times-the-mask": ("amplitude_l2_mae", _infinity_times_the_mask, {**MASKED, "scope": "patch"}),
    "ids-of-16-bits": ("amplitude_l2_mae", _ids(lambda ids: ids & 0xFFFF), VIEWS),
    "ids-in-float32": ("amplitude_l2_mae", _ids(lambda ids: ids.float().int()), VIEWS),
    "ids-without-their-sign": ("amplitude_l2_mae", _ids(torch.abs), VIEWS),
    "ids-clamped": ("amplitude_l2_mae", _ids(lambda ids: ids.clamp_min(0)), VIEWS),
    "the-first-view-or-not": ("amplitude_l2_mae", _ids(lambda ids: (ids != ids[0]).int()), VIEWS),
    "mask-ignored-by-patch-norms": ("amplitude_l2_mae", _patch_without_its_mask, {**MASKED, "scope": "patch"}),
    "not-even-a-field": ("amplitude_mae", lambda p, t: 7 * (p.abs() - t.abs()).square().sum(), {"domain": "field"}),
    "channels-summed": ("amplitude_mae", lambda p, t: distance(p, t).mean((2, 3)).sum(1), {"reduction": "sample"}),
    "l2-channels-summed": ("amplitude_l2_mae", lambda p, t: l2(p, t).mean((2, 3)).sum(1), {"reduction": "sample"}),
    "gain-without-channels": (
        "amplitude_l2_mae",
        lambda p, t: l2(p, t).mean() * (p.shape[2] * p.shape[3]) ** 0.5,
        {"gain": "unit_rms"},
    ),
    "norms-per-channel": (
        "amplitude_l2_mae",
        lambda p, t: distance(unit(p, (2, 3)), unit(t, (2, 3))),
        {"reduction": "none"},
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_who_is_wrong_about_the_rest_fails(name: str) -> None:
    loss, codepath, settings = WRONG[name]
    result = check_loss(codepath, loss=loss, profile=declare("contract", settings))
    assert any(":" in verdict.case_id for verdict in result.failures), result.summary


SETTINGS: list[tuple[str, dict[str, str]]] = [
    ("amplitude_mae", MASKED),
    ("amplitude_mae", {**MASKED, "reduction": "sum"}),
    ("amplitude_mae", {"domain": "field"}),
    ("amplitude_mae", {"domain": "intensity", "reduction": "sample"}),
    ("amplitude_l2_mae", {**MASKED, "scope": "patch", "gain": "unit_rms"}),
    ("amplitude_l2_mae", {"scope": "view"}),
    ("amplitude_l2_mae", VIEWS),
    ("amplitude_l2_mae", {**MASKED, "reduction": "none"}),
    ("poisson_nll", MASKED),
    ("poisson_nll", {**MASKED, "reduction": "sum", "constant": "lgamma"}),
    ("amplitude_l2_mae", {"domain": "field", "reduction": "none", "scope": "batch"}),
]


@pytest.mark.parametrize(
    ("loss", "settings"), SETTINGS, ids=lambda value: str(value) if isinstance(value, str) else "-".join(value.values())
)
def test_who_is_right_passes(loss: str, settings: dict[str, str]) -> None:
    options = {name: value for name, value in settings.items() if name != "mask"}

    def right(*operands: Tensor, **arrays: Tensor) -> Tensor:
        return getattr(torch_losses, loss)(*operands, **options, **arrays)

    result = check_loss(right, loss=loss, profile=declare("contract", settings))
    assert result.conformant, result.summary
    assert sum(":" in verdict.case_id for verdict in result.verdicts) >= 20


@pytest.mark.parametrize("floor", ["1e-8", "0.5"])
def test_a_guard_is_declared_with_its_floor(floor: str) -> None:
    """The loss that most people have: Torch's, of rates and counts."""

    def torchs(p: Tensor, t: Tensor, s: Tensor, eps: float = float(floor)) -> Tensor:
        return poisson_nll_loss((s * p) ** 2, (s * t) ** 2, log_input=False, eps=eps)

    def off(p: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return torchs(p, t, s, 2 * float(floor))

    profile = declare("contract", {"rate_guard": "log_add", "rate_floor": floor})
    assert check_loss(torchs, loss="poisson_nll", profile=profile).conformant
    assert not check_loss(off, loss="poisson_nll", profile=profile).conformant
    clamped = declare("contract", {"rate_guard": "clamp", "rate_floor": floor})
    assert not check_loss(torchs, loss="poisson_nll", profile=clamped).conformant
    shipped = lambda p, t, s: torch_losses.poisson_nll(p, t, s, rate_guard="clamp", rate_floor=float(floor))  # noqa: E731
    assert check_loss(shipped, loss="poisson_nll", profile=clamped).conformant


@pytest.mark.parametrize(
    "settings",
    [
        {"rate_guard": "clamp"},
        {"rate_floor": "0.5"},
        {"rate_guard": "clamp", "rate_floor": "0"},
        {"rate_guard": "log_add", "rate_floor": "small"},
        {"rate_guard": "log_add", "rate_floor": "inf"},
    ],
)
def test_a_guard_without_a_floor_is_refused(settings: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="rate_floor"):
        declare("contract", settings)


def test_conventions_that_map_exactly_need_nothing_more(case_of: dict[str, Case]) -> None:
    backend = load_backend("torch")
    for name in ("contract", "keras", "torch-sample-sum-lgamma"):
        assert supplement(list(case_of.values()), "poisson_nll", declare(name, {}), backend) == []
    frozen = Profile(options={"normaliser": "frozen_mean_intensity"})
    assert supplement(list(case_of.values()), "poisson_nll", frozen, backend) == []


@pytest.mark.parametrize("framework", BACKENDS)
def test_a_case_is_the_same_question_in_every_framework(case_of: dict[str, Case], framework: str) -> None:
    pool = [case_of[name] for name in ("l2-typical", "l2-four-channels", "l2-nan-target", "l2-signed")]
    found = supplement(
        pool, "amplitude_l2_mae", declare("contract", {**MASKED, "scope": "patch"}), load_backend(framework)
    )
    names = [case.question.case_id for case in found]
    both, empty = ("declared", "masked"), ("sample-masked", "all-masked")
    kinds = {
        "l2-typical": (*both, *empty),
        "l2-four-channels": (*both, *empty),
        "l2-nan-target": both,
        "l2-signed": both,
    }
    assert names == [f"{name}:{kind}" for name in kinds for kind in kinds[name]]
    for case in found:
        question = case.question
        assert question.parameters.scope == "patch" and (question.mask is None) == (":declared" in question.case_id)
        assert question.mask is None or (~question.valid).any((2, 3)).all()
        assert "computed under" in case.why
    shapes = [case.question.mask.shape for case in found if case.question.mask is not None]
    assert {shape[:2] == (1, 1) for shape in shapes} == {True, False}
