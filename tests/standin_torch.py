"""What `install` meets in a Torch checkout, in small: the names, the batch, and where its loss is computed."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass
class ModelConfig:
    mode: str = "Unsupervised"
    loss_function: str = "MAE"
    physics_forward_mode: str = "amplitude"
    amp_loss: str | None = None
    amp_loss_coeff: float = 1.0
    phase_loss: str | None = None


@dataclass
class DataConfig:
    N: int = 64
    C: int = 1
    measurement_domain: str = "normalized_amplitude"


@dataclass
class TrainingConfig:
    torch_loss_mode: str = "mae"
    torch_mae_pred_l2_match_target: bool = False
    accum_steps: int = 1


class InferenceConfig: ...


class MAELoss(nn.Module):
    def forward(self, predicted: Tensor, observed: Tensor) -> Tensor:
        return (predicted - observed).abs()


class PoissonLoss(nn.Module):
    def forward(self, predicted: Tensor, observed: Tensor) -> Tensor:
        rate, counts = predicted.square(), observed.square()
        return (rate - torch.xlogy(counts, rate) + torch.lgamma(counts + 1)).sum((1, 2, 3))


class Roughness(nn.Module):
    def forward(self, amplitude: Tensor) -> Tensor:
        return amplitude.diff(dim=-1).square()


class PtychoPINN_Lightning(nn.Module):  # noqa: N801  # the name that install looks for
    """Not a LightningModule: install uses none of Lightning."""

    def __init__(
        self,
        model_config: ModelConfig,
        data_config: DataConfig,
        training_config: TrainingConfig,
        inference_config: InferenceConfig | None = None,
    ) -> None:
        super().__init__()
        self.model_config, self.data_config, self.training_config = model_config, data_config, training_config
        self.torch_loss_mode = training_config.torch_loss_mode
        self.torch_mae_pred_l2_match_target = training_config.torch_mae_pred_l2_match_target
        self.loss_name = "mae_train_loss"
        self.model = nn.Conv2d(data_config.C, data_config.C, 3, padding=1)
        self.Loss = MAELoss() if self.torch_loss_mode == "mae" else PoissonLoss()
        self.AmpLoss = Roughness()

    def forward(
        self, x: Tensor, positions: Tensor, probe: Tensor, input_scale_factor: Tensor, **_: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        amplitude = nn.functional.softplus(self.model(x * input_scale_factor))
        return amplitude, amplitude, amplitude

    def compute_loss(self, batch: Any) -> Tensor:
        fields, probe, _ = batch
        seen = fields.get("observed_images", fields["images"])
        unit = fields["rms_scaling_constant"]
        predicted, amplitude, _ = self(
            fields["images"],
            fields["coords_relative"],
            probe,
            input_scale_factor=unit,
            output_scale_factor=unit,
            experiment_ids=fields.get("experiment_id"),
        )
        p, t = (fields["physics_scaling_constant"] * one for one in (predicted, seen))
        if self.torch_mae_pred_l2_match_target:
            p = p * (t.square().sum((1, 2, 3), keepdim=True) / p.square().sum((1, 2, 3), keepdim=True)).sqrt()
        total: Any = 0.0
        total += self.Loss(p, t).mean()
        total /= seen.mean().detach() + 1e-8
        if self.model_config.amp_loss:
            total += self.model_config.amp_loss_coeff * self.AmpLoss(amplitude).mean()
        return total  # type: ignore[no-any-return]  # a float before the first term


def model_of(*, channels: int = 1, **settings: Any) -> PtychoPINN_Lightning:
    """Return a model whose configurations have these settings, with the weights of one seed."""
    torch.manual_seed(3)
    configs = []
    for kind in (ModelConfig, DataConfig, TrainingConfig):
        names = kind.__dataclass_fields__.keys() & settings.keys()
        configs.append(kind(**{name: settings.pop(name) for name in names}))
    configs[1].C = channels
    assert not settings
    return PtychoPINN_Lightning(*configs)
