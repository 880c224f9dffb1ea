"""From a photon number to the intensity scale of a data set, in Torch."""

import torch
from torch import Tensor

from conformance.codepaths.config import SCALE_SOURCES, choose
from conformance.codepaths.torch_inputs import constant as constant_beside
from conformance.codepaths.torch_inputs import operands


def intensity_scale(target: Tensor, nphotons: float, *, source: str = "dataset", mask: Tensor | None = None) -> Tensor:
    """Scale s that turns a normalised amplitude into one whose square is photons per pixel.

        dataset:      s = sqrt(nphotons / mean over (B, C) of sum over (H, W) of t^2)
        closed_form:  s = sqrt(nphotons) / (N / 2)

    Parameters
    ----------
    target : tensor (B, C, H, W), float64, float32, bfloat16 or float16
        t, all of the data set: a scale taken per shard or per batch is another function. For `closed_form` only its
        shape counts, H = W = N.
    nphotons : float
        Mean number of photons in one diffraction pattern, finite and above 0.
    source : {"dataset", "closed_form"}
        `closed_form` is right only for data normalised to a mean sum of t^2 of (N / 2)^2.
    mask : tensor of bool, integers or real floats, rank 4, each axis that of `target` or 1, optional
        Nonzero: valid. Masked elements add nothing and may hold NaN; the mean is over all B * C patterns.

    Returns
    -------
    scalar tensor
        s, in sqrt(photons) per unit of amplitude, in the dtype of `target`, float32 for half types; without gradient.
        inf for a data set without light; NaN where the sum of squares overflows or a valid element is not finite.

    Raises
    ------
    TypeError, ValueError
        A dtype, shape, mask or number other than these; frames that are not square for `closed_form`.

    Source: docs/contract.md, `intensity_scale`, whose arguments have other names and another order.
    """
    choose("source", source, SCALE_SOURCES)
    t = operands(target, target, mask).target.detach()
    photons = constant_beside("nphotons", nphotons, t)
    if source == "dataset":
        intensity = t.square().sum((2, 3)).mean()
        return (photons / torch.where(intensity.isfinite(), intensity, torch.nan)).sqrt()
    height, width = t.shape[2:]
    if height != width:
        raise ValueError(f"target: got shape {tuple(t.shape)}, wanted square frames for the source closed_form")
    return photons.sqrt() / torch.full_like(photons, width / 2)
