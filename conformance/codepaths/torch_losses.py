"""Torch losses on channels-first tensors (B, C, H, W), arguments in Torch's order `(input, target)`."""

from conformance.codepaths.torch_functions import amplitude_l2_mae, amplitude_mae, poisson_nll
from conformance.codepaths.torch_modules import AmplitudeL2MAE, AmplitudeMAE, Losses, PoissonNLL, build_losses
from conformance.codepaths.torch_photons import intensity_scale

__all__ = [
    "AmplitudeL2MAE",
    "AmplitudeMAE",
    "Losses",
    "PoissonNLL",
    "amplitude_l2_mae",
    "amplitude_mae",
    "build_losses",
    "intensity_scale",
    "poisson_nll",
]
