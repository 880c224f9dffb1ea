"""Declared conventions: a codepath is right under the one it declares, wrong under another, and the map is exact."""

from collections.abc import Callable
from math import lgamma

import numpy as np
import pytest
import torch
from torch import Tensor

from conformance import UsageError, check_loss
from conformance.affine import affine, describe_map, under_profile
from conformance.case import Case, Parameters, Question, Scale
from conformance.codepaths import torch_losses
from conformance.profile import PROFILES, declare
from conformance.tolerance import ARITHMETICS

DOUBLE = ARITHMETICS["float64"]


def l2(p: Tensor, t: Tensor, axes: tuple[int, ...] = (1, 2, 3)) -> Tensor:
    def unit(x: Tensor) -> Tensor:
        energy = x.square().sum(axes, keepdim=True)
        lit = energy > 0
        norm = torch.where(lit, torch.where(lit, energy, 1.0).sqrt(), 0.0)
        norm = torch.where(norm.isinf(), torch.nan, norm)
        return x / torch.maximum(norm, torch.full_like(norm, 2.0**-40))

    return (unit(p) - unit(t)).abs()


def nll_elements(rate: Tensor, counts: Tensor) -> Tensor:
    """Right but at rate 0 under counts, where autodiff through the square gives NaN for -inf."""
    seen = counts > 0
    return rate - torch.where(seen, counts * torch.where(seen, rate, 1.0).log(), 0.0)


def from_amplitudes(p: Tensor, t: Tensor) -> Tensor:
    """lambda - 2 k log |p|, with a modulus of derivative 1 at 0: the gradient at p = 0 < t is -inf, not NaN."""
    seen = t != 0
    modulus = torch.where(p < 0, -p, p)
    return p * p - torch.where(seen, 2 * t * t * torch.where(seen, modulus, 1.0).log(), 0.0)


def test_a_keras_loss_is_right_under_its_own_convention_only() -> None:
    def keras_like(y_true: Tensor, y_pred: Tensor) -> Tensor:
        assert y_true.shape[1] == y_true.shape[2], "channels last: H = W"
        return l2(y_pred, y_true).mean()

    result = check_loss(keras_like, loss="amplitude_l2_mae", profile="keras")
    assert result.conformant, result.summary
    assert len(result.verdicts) > 40
    square = ("l2-prediction-tiny", "l2-signed", "l2-dark-target")
    assert not check_loss(keras_like, loss="amplitude_l2_mae", cases=square).conformant, "the arguments are swapped"


@pytest.mark.parametrize("scope", ["patch", "batch"])
def test_a_scope_is_declared(scope: str) -> None:
    axes = {"patch": (2, 3), "batch": (0, 1, 2, 3)}[scope]
    result = check_loss(
        lambda p, t: l2(p, t, axes).mean(), loss="amplitude_l2_mae", profile=declare("contract", {"scope": scope})
    )
    assert result.conformant, result.summary
    assert not check_loss(lambda p, t: l2(p, t, axes).mean(), loss="amplitude_l2_mae").conformant


def _summed_with_lgamma(p: Tensor, t: Tensor, s: Tensor) -> Tensor:
    elements = from_amplitudes(s * p, s * t) + torch.lgamma((s * t) ** 2 + 1)
    return elements.sum((1, 2, 3)).mean()


def test_a_mapped_truth_accepts_the_convention_and_nothing_else() -> None:
    result = check_loss(_summed_with_lgamma, loss="poisson_nll", profile="torch-sample-sum-lgamma")
    assert result.conformant, result.summary
    assert len(result.verdicts) >= 60
    for other in ("contract", "torch-sample-sum"):
        assert not check_loss(_summed_with_lgamma, loss="poisson_nll", profile=other).conformant


def test_a_caller_who_scales_and_squares_is_declared() -> None:
    def tensorflow_like(y_true: Tensor, y_pred: Tensor) -> Tensor:
        return nll_elements(y_pred, y_true).mean()

    kept = ("nll-typical", "nll-rare", "nll-dead-pixels", "nll-channels-apart", "nll-zero-counts")
    result = check_loss(tensorflow_like, loss="poisson_nll", profile="keras-scaled-intensity", cases=kept)
    assert result.conformant, result.summary
    assert not check_loss(tensorflow_like, loss="poisson_nll", profile="keras-scaled-amplitude", cases=kept).conformant


def _of_intensities(elements: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """The mean over valid pixels of a loss of rates and counts that keeps NaN under a mask out of its graph."""

    def loss(rate: Tensor, counts: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            return elements(rate, counts).mean()
        valid = mask.expand(rate.shape)
        kept = elements(torch.where(valid, rate, 1.0), torch.where(valid, counts, 1.0))
        return torch.where(valid, kept, 0.0).sum() / valid.sum().clamp(min=1)

    return loss


def _nan_kept(rate: Tensor, counts: Tensor) -> Tensor:
    seen = counts != 0
    return rate - torch.where(seen, counts * torch.where(seen, rate, 1.0).log(), 0.0)


def _difference(rate: Tensor, counts: Tensor) -> Tensor:
    """Of roots, with the derivative 0 at 0."""
    roots = [torch.where(x == 0, 0.0, torch.where(x == 0, 1.0, x).sqrt()) for x in (rate, counts)]
    d = roots[0] - roots[1]
    return d * d.detach().sign()


@pytest.mark.parametrize(
    ("loss", "elements"), [("poisson_nll", _nan_kept), ("amplitude_mae", _difference)], ids=["poisson_nll", "mae"]
)
def test_who_takes_intensities_can_be_right_and_is_caught_where_it_is_wrong(
    loss: str, elements: Callable[[Tensor, Tensor], Tensor]
) -> None:
    """Rates of 0, signs and NaN under a mask have no gradient through the judge's own square: it asks for none."""
    for settings in ({}, {"mask": "keyword"}, {"reduction": "sum"}):
        profile = declare("contract", {"inputs": "scaled_intensity", **settings})
        right = _of_intensities(elements)
        if "reduction" in settings:
            right = lambda rate, counts: elements(rate, counts).sum()  # noqa: E731
        result = check_loss(right, loss=loss, profile=profile)
        assert result.conformant, (settings, result.summary)
        assert len(result.verdicts) >= 30
    declared = declare("contract", {"inputs": "scaled_intensity"})

    def nan_at_zero(rate: Tensor, counts: Tensor) -> Tensor:
        both = (rate == 0) & (counts == 0)
        return (elements(rate, counts) + torch.where(both, (rate * 0).sqrt(), 0.0)).mean()

    assert not check_loss(nan_at_zero, loss=loss, profile=declared).conformant


def test_a_mask_is_declared() -> None:
    def masked(p: Tensor, t: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            return l2(p, t).mean()
        valid = mask.expand(p.shape)
        kept = l2(torch.where(valid, p, 0.0), torch.where(valid, t, 0.0))
        return kept.sum() / valid.sum().clamp(min=1)

    profile = declare("contract", {"mask": "keyword"})
    result = check_loss(masked, loss="amplitude_l2_mae", profile=profile)
    assert result.conformant, result.summary
    assert any("mask" in verdict.case_id for verdict in result.verdicts)
    assert not any("mask" in v.case_id for v in check_loss(masked, loss="amplitude_l2_mae").verdicts)


def test_the_map_is_the_arithmetic_of_its_formula() -> None:
    t = np.array([[[[1.0, 2.0]]], [[[3.0, 0.0]]]])
    question = Question("made", "poisson_nll", Parameters(scale=Scale(0.5)), t, t)
    found = affine(question, declare("contract", {"reduction": "sum", "constant": "lgamma"}))
    assert found.alpha == 4.0
    assert found.beta == pytest.approx(lgamma(1.25) + lgamma(2.0) + lgamma(3.25), rel=DOUBLE.grow(8))
    divided = affine(question, declare("contract", {"normaliser": "batch_mean_amplitude"}))
    assert divided.alpha == pytest.approx(1 / (1.5 + 1e-8), rel=DOUBLE.grow(4)) and divided.beta == 0.0


def test_the_map_is_printed_and_refused_where_there_is_none() -> None:
    lines = describe_map(PROFILES["keras"], PROFILES["torch-sample-sum-lgamma"])
    assert lines[0] == "alpha = [C H W] / [1]" and "lgamma(k + 1)" in lines[1]
    assert describe_map(PROFILES["keras"], declare("contract", {"scope": "patch"})) == [
        "no map: scope sample and patch are different functions"
    ]


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("kerass", {}, "profile: got 'kerass'"),
        ("contract", {"reductions": "sum"}, "--set reductions: unknown"),
        ("contract", {"reduction": "median"}, "--set reduction: got 'median'"),
        ("contract", {"eps": "1e-6"}, "--set eps: unknown"),
    ],
)
def test_an_unknown_declaration_is_refused(name: str, settings: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        declare(name, settings)


def test_every_profile_has_cases(case_of: dict[str, Case]) -> None:
    for profile in PROFILES.values():
        for loss in ("amplitude_l2_mae", "amplitude_mae", "poisson_nll"):
            chosen = under_profile([c for c in case_of.values() if c.question.loss == loss], profile)
            needs_nll = profile.parameters.constant != "none" or profile.parameters.reduction == "sample_sum"
            assert len(chosen) >= 10 or (needs_nll and loss != "poisson_nll"), (profile.name, loss)


@pytest.mark.parametrize(
    ("loss", "settings"),
    [
        ("amplitude_mae", {"constant": "lgamma"}),
        ("amplitude_mae", {"scope": "view"}),
        ("amplitude_mae", {"gain": "unit_rms"}),
        ("amplitude_l2_mae", {"normaliser": "batch_mean_amplitude"}),
        ("amplitude_l2_mae", {"rate_guard": "clamp", "rate_floor": "1e-8"}),
        ("poisson_nll", {"scope": "patch"}),
        ("poisson_nll", {"domain": "field"}),
        ("poisson_nll", {"reduction": "sample"}),
        ("poisson_nll", {"wrt": "target"}),
    ],
    ids=str,
)
def test_an_option_that_the_loss_does_not_have_is_refused(loss: str, settings: dict[str, str]) -> None:
    name = next(iter(settings))
    with pytest.raises(UsageError, match=f"--set {name}={settings[name]}: {loss} has no such"):
        check_loss(lambda p, t: p, loss=loss, profile=declare("contract", settings))


def test_a_constant_of_each_experiment_is_nothing_that_a_convention_declares() -> None:
    with pytest.raises(UsageError, match="--set normaliser=frozen_mean_intensity: divides by a constant"):
        check_loss(
            from_amplitudes, loss="poisson_nll", profile=declare("contract", {"normaliser": "frozen_mean_intensity"})
        )


@pytest.mark.parametrize("loss", ["amplitude_l2_mae", "amplitude_mae"])
def test_a_target_cut_off_from_the_gradient_fails_where_that_is_declared(loss: str) -> None:
    shipped, profile = getattr(torch_losses, loss), declare("contract", {"wrt": "target"})
    result = check_loss(shipped, loss=loss, profile=profile)
    assert result.conformant, result.summary
    assert len(result.verdicts) > 30
    result = check_loss(lambda p, t: shipped(p, t.detach()), loss=loss, profile=profile)
    assert not result.conformant and "does not depend on the target through autograd" in result.summary
    assert check_loss(lambda p, t: shipped(p, t.detach()), loss=loss).conformant, "it is asked where it is declared"


@pytest.mark.parametrize("inputs", ["scaled_amplitude", "scaled_intensity"])
def test_what_a_half_type_rounds_before_the_loss_is_called_is_not_the_loss_s(inputs: str) -> None:
    def right(rate: Tensor, counts: Tensor) -> Tensor:
        elements = _nan_kept if inputs == "scaled_intensity" else from_amplitudes
        return elements(rate.float(), counts.float()).mean()

    profile = declare("contract", {"inputs": inputs})
    result = check_loss(right, loss="poisson_nll", dtype=["bfloat16", "float16"], profile=profile)
    assert result.conformant, result.summary
    statuses = {verdict.status for verdict in result.verdicts if verdict.dtype == "bfloat16"}
    assert statuses == {"pass", "skip"}
    assert not check_loss(lambda *x: 2 * right(*x), loss="poisson_nll", dtype="bfloat16", profile=profile).conformant
