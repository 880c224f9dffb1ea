"""Value and gradient of an arm from the shipped Torch losses."""

import numpy as np
import numpy.typing as npt
import torch

from conformance.codepaths import torch_losses as losses
from conformance.rollout.study.elsewhere import Float32, Slope, call_of


def slope(arm: str, gain: str) -> Slope:
    """Return the arm; arrays are (B, C, H, W)."""

    def evaluate(p: Float32, t: Float32, mask: npt.NDArray[np.bool_], scale: float) -> tuple[float, Float32]:
        predicted = torch.tensor(p, requires_grad=True)
        measured, valid = torch.tensor(t), torch.tensor(mask)
        name, options = call_of(arm, gain, scale)
        loss = getattr(losses, name)(predicted, measured, mask=valid, **options)
        (gradient,) = torch.autograd.grad(loss, predicted)
        return float(loss.detach()), gradient.numpy()

    return evaluate
