"""The loss that a PtychoPINN Lightning module trains with, as a function that can be judged."""

from typing import Any

import torch
from torch import Tensor

from conformance.exit_codes import UsageError


def batch_of(target: Tensor, ids: Tensor | None = None) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Return a batch as the checkout's loaders build it: images and constants of 1, a probe, and its scale."""
    samples, channels, height, width = target.shape
    one = torch.ones((samples, 1, 1, 1), dtype=target.dtype, device=target.device)
    fields = {
        "images": target,
        "coords_relative": torch.zeros((samples, channels, 1, 2), dtype=target.dtype, device=target.device),
        "rms_scaling_constant": one,
        "physics_scaling_constant": one,
        "experiment_id": torch.zeros(samples, dtype=torch.int64, device=target.device) if ids is None else ids,
    }
    probe = torch.ones((samples, channels, 1, height, width), dtype=torch.complex64, device=target.device)
    return fields, probe, one.reshape(-1)


class AsUsed:
    """`compute_loss` of a model as f(prediction, target): its network is left out, its loss is all there.

    What the branch does around the loss, such as a division by a batch mean, is part of the answer.
    """

    def __init__(self, model: Any) -> None:
        on = [name for name in ("amp_loss", "phase_loss") if getattr(model.model_config, name, None)]
        if on:
            raise UsageError(f"model_config.{on[0]}: got a regulariser, wanted none: only the amplitude term is judged")
        self.model = model

    def __call__(self, prediction: Tensor, target: Tensor, view_ids: Tensor | None = None) -> Tensor:
        """Return the loss of a batch whose network gives `prediction`."""
        self.model.forward = lambda *_, **__: (prediction, prediction, prediction)
        try:
            value: Tensor = self.model.compute_loss(batch_of(target, view_ids))
        finally:
            del self.model.forward
        return value
