"""Value and gradient of an arm from the shipped Torch losses."""

import numpy as np
import numpy.typing as npt
import torch

from conformance.codepaths import torch_losses as losses
from conformance.rollout.study.elsewhere import Float32, Slope


def slope(arm: str, gain: str) -> Slope:
    """Return the arm; arrays are (B, C, H, W)."""

    def evaluate(p: Float32, t: Float32, mask: npt.NDArray[np.bool_], scale: float) -> tuple[float, Float32]:
        predicted = torch.tensor(p, requires_grad=True)
        measured, valid = torch.tensor(t), torch.tensor(mask)
        if arm == "mae":
            loss = losses.amplitude_mae(predicted, measured, mask=valid)
        elif arm == "nll":
            loss = losses.poisson_nll(predicted, measured, scale, mask=valid)
        else:
            scope = arm.removeprefix("l2_")
            loss = losses.amplitude_l2_mae(predicted, measured, mask=valid, scope=scope, gain=gain)
        (gradient,) = torch.autograd.grad(loss, predicted)
        return float(loss.detach()), gradient.numpy()

    return evaluate
