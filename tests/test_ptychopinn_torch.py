"""`install` in a Torch model shaped as PtychoPINN's: it trains with the shipped loss, and nothing else moved."""

import copy
from itertools import product
from typing import Any

import pytest
import torch
from standin_torch import MAELoss, PtychoPINN_Lightning, model_of
from torch import Tensor

from conformance import UsageError, check_loss
from conformance.codepaths import LossConfig
from conformance.codepaths.config import MAE_GAINS, MAE_NORMALIZATIONS
from conformance.codepaths.torch_functions import amplitude_l2_mae
from conformance.profile import declare
from conformance.rollout.ptychopinn import install
from conformance.rollout.ptychopinn.torch_used import AsUsed, batch_of

JUDGED = sorted({*product(MAE_NORMALIZATIONS[1:], MAE_GAINS)} - {("l2_batch", "unit_rms")})
"""All that golden cases of the mean are held for."""
DRAW = torch.Generator().manual_seed(5)
IDS = torch.tensor([7, 3, 7])
OBSERVED = torch.rand((3, 2, 8, 8), generator=DRAW) + 0.25


def batch() -> Any:
    return batch_of(OBSERVED, IDS)


def step(model: PtychoPINN_Lightning) -> dict[str, Tensor]:
    """Loss and gradients of one batch."""
    model.zero_grad()
    loss = model.compute_loss(batch())
    loss.backward()
    return {
        "loss": loss.detach(),
        **{name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None},
    }


def trained(model: PtychoPINN_Lightning, steps: int) -> dict[str, Tensor]:
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        model.compute_loss(batch()).backward()
        optimizer.step()
    return copy.deepcopy(model.state_dict())


def same(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return actual.keys() == expected.keys() and all(torch.equal(actual[name], expected[name]) for name in expected)


def predicted(model: PtychoPINN_Lightning) -> Tensor:
    fields, probe, _ = batch()
    unit = fields["rms_scaling_constant"]
    return model(fields["images"], fields["coords_relative"], probe, input_scale_factor=unit)[0]


@pytest.mark.parametrize("normalization", MAE_NORMALIZATIONS[1:])
def test_the_loss_is_the_shipped_one_bit_for_bit(normalization: str) -> None:
    model = model_of(channels=2)
    scope = normalization.removeprefix("l2_")
    ids = {"view_ids": IDS} if scope == "view" else {}
    expected = amplitude_l2_mae(predicted(model), OBSERVED, scope=scope, **ids)
    gradients = torch.autograd.grad(expected, list(model.parameters()))
    install(model, LossConfig(mae_normalization=normalization))
    found = step(model)
    assert torch.equal(found.pop("loss"), expected.detach())
    assert all(torch.equal(actual, wanted) for actual, wanted in zip(found.values(), gradients))


@pytest.mark.parametrize(("normalization", "gain"), JUDGED)
def test_the_judge_passes_the_loss_that_is_used(normalization: str, gain: str) -> None:
    model = model_of()
    install(model, LossConfig(mae_normalization=normalization, mae_gain=gain))
    profile = declare("contract", {"scope": normalization.removeprefix("l2_"), "gain": gain})
    result = check_loss(AsUsed(model), loss="amplitude_l2_mae", profile=profile)
    assert result.conformant, result.summary


def test_the_judge_fails_the_loss_that_was_used_before() -> None:
    assert not check_loss(AsUsed(model_of()), loss="amplitude_l2_mae").conformant


def test_none_changes_nothing_in_loss_gradient_and_twenty_steps() -> None:
    plain, flagged = model_of(channels=2), model_of(channels=2)
    installation = install(flagged, LossConfig())
    assert not installation.changed and "nothing was replaced" in installation.notes[0]
    assert same(step(flagged), step(plain)) and same(trained(flagged, 20), trained(plain, 20))
    installation.uninstall()
    assert type(flagged.Loss) is MAELoss and "compute_loss" not in vars(flagged)


def test_uninstall_restores_loss_gradient_and_twenty_steps() -> None:
    plain, restored = model_of(channels=2), model_of(channels=2)
    before = step(plain)
    installation = install(restored, LossConfig(mae_normalization="l2_sample"))
    assert not same(step(restored), before)
    installation.uninstall()
    assert same(step(restored), before) and same(trained(restored, 20), trained(plain, 20))
    with pytest.raises(UsageError, match="nothing was restored"):
        installation.uninstall()


def test_the_nll_has_the_same_bits_before_beside_and_after() -> None:
    likelihood = model_of(channels=2, torch_loss_mode="poisson")
    before = step(likelihood)
    installation = install(model_of(channels=2), LossConfig(mae_normalization="l2_sample"))
    assert same(step(likelihood), before)
    with pytest.raises(
        UsageError, match=r"torch_loss_mode: got 'poisson', wanted 'mae'; .* the NLL is never normalised"
    ):
        install(likelihood, LossConfig(mae_normalization="l2_sample"))
    assert same(step(likelihood), before) and same(
        trained(likelihood, 20), trained(model_of(channels=2, torch_loss_mode="poisson"), 20)
    )
    installation.uninstall()


def test_regularisers_are_added_to_the_new_loss() -> None:
    model = model_of(channels=2, amp_loss="Total_Variation", amp_loss_coeff=0.5)
    prediction = predicted(model)
    install(model, LossConfig(mae_normalization="l2_sample"))
    expected = amplitude_l2_mae(prediction, OBSERVED) + 0.5 * model.AmpLoss(prediction).mean()
    assert torch.equal(step(model)["loss"], expected.detach())
    with pytest.raises(UsageError, match="amp_loss: got a regulariser, wanted none"):
        AsUsed(model)


def test_the_state_of_the_model_has_the_same_names() -> None:
    model = model_of()
    names = list(model.state_dict())
    install(model, LossConfig(mae_normalization="l2_sample"))
    assert list(model.state_dict()) == names


def test_a_copy_trains_with_the_loss_and_apart_from_the_model() -> None:
    model = model_of(channels=2)
    install(model, LossConfig(mae_normalization="l2_sample"))
    twin = copy.deepcopy(model)
    before = step(model)
    trained(twin, 3)
    assert same(step(model), before) and not same(step(twin), before)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"mode": "Supervised"}, r"model_config\.mode: got 'Supervised', wanted 'Unsupervised'; .* not labels"),
        ({"physics_forward_mode": "rectangular_scaled"}, r"physics_forward_mode: got 'rectangular_scaled', wanted"),
        ({"measurement_domain": "count_intensity"}, r"measurement_domain: got 'count_intensity', .* Poisson NLL"),
        ({"torch_mae_pred_l2_match_target": True}, r"l2_match_target: got True, wanted False; it rescales the pred"),
    ],
    ids=["supervised", "rectangular", "counts", "l2-match"],
)
def test_modes_that_the_loss_is_not_for_are_refused_before_and_during_training(
    settings: dict[str, Any], said: str
) -> None:
    model = model_of(**settings)
    with pytest.raises(UsageError, match=said):
        install(model, LossConfig(mae_normalization="l2_sample"))
    assert type(model.Loss) is MAELoss
    later = model_of(channels=2)
    install(later, LossConfig(mae_normalization="l2_sample"))
    for name, value in settings.items():
        holders = (later, later.model_config, later.data_config)
        setattr(next(holder for holder in holders if hasattr(holder, name)), name, value)
    with pytest.raises(UsageError, match=said):
        later.compute_loss(batch())


def test_another_shape_is_refused() -> None:
    config = LossConfig(mae_normalization="l2_sample")
    with pytest.raises(UsageError, match=r"model: got Linear, wanted PtychoPINN_Lightning of ptycho_torch/model\.py"):
        install(torch.nn.Linear(1, 1), config)
    other = model_of()
    other.Loss = torch.nn.L1Loss()
    with pytest.raises(UsageError, match="Loss: got 'L1Loss', wanted MAELoss; this checkout, or somebody before"):
        install(other, config)
    two = model_of()
    two.compute_loss = lambda batch, stage: batch  # type: ignore[method-assign]  # another revision
    with pytest.raises(UsageError, match=r"compute_loss: got .*'stage'.*, wanted a method of one batch"):
        install(two, config)
    twice = model_of()
    install(twice, config)
    with pytest.raises(UsageError, match="got one that install put there, wanted the class's; uninstall first"):
        install(twice, config)


def test_a_branch_that_does_not_call_its_loss_once_is_refused() -> None:
    class Aside(PtychoPINN_Lightning):
        def compute_loss(self, batch: Any) -> Tensor:
            return super().compute_loss(batch) + super().compute_loss(batch)

    model = Aside(*(getattr(model_of(), name) for name in ("model_config", "data_config", "training_config")))
    install(model, LossConfig(mae_normalization="l2_sample"))
    with pytest.raises(UsageError, match="called Loss 2 times, wanted once"):
        model.compute_loss(batch_of(OBSERVED[:, :1]))


def test_norms_over_views_need_ids_and_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    config = LossConfig(mae_normalization="l2_view")
    model = model_of(channels=2)
    install(model, config)
    fields, *rest = batch()
    whole = model.compute_loss(batch())
    assert torch.equal(model.compute_loss(({**fields, "experiment_id": IDS[:, None]}, *rest)), whole)
    assert not torch.equal(model.compute_loss(batch_of(OBSERVED)), whole)
    del fields["experiment_id"]
    with pytest.raises(UsageError, match="got no field 'experiment_id', wanted one integer per sample"):
        model.compute_loss((fields, *rest))
    with pytest.raises(UsageError, match=r"accum_steps: got 2, wanted 1; norms of 'l2_view' are of the whole batch"):
        install(model_of(accum_steps=2), config)
    install(model_of(accum_steps=2), LossConfig(mae_normalization="l2_sample"))
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    with pytest.raises(UsageError, match="got 'l2_view' in a process group of 2, wanted one process"):
        model.compute_loss(batch())


def test_a_step_that_fails_leaves_nothing_behind() -> None:
    model = model_of(channels=2, amp_loss="Total_Variation")
    install(model, LossConfig(mae_normalization="l2_sample"))
    before, roughness = step(model), model.AmpLoss
    model.AmpLoss = torch.nn.Linear(1, 1)
    with pytest.raises(RuntimeError):
        model.compute_loss(batch())
    model.AmpLoss = roughness
    assert same(step(model), before)
