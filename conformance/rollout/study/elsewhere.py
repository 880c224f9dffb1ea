"""The same arms with value and gradient from the shipped Torch or TensorFlow loss, through NumPy."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Slope = Callable[[Float32, Float32, npt.NDArray[np.bool_], float], tuple[float, Float32]]
"""(predicted, measured, mask, scale) -> loss, gradient with respect to the predicted amplitudes."""


def call_of(arm: str, gain: str, scale: float) -> tuple[str, dict[str, Any]]:
    """Return the shipped function that an arm is, by name, and its options; the names are the same in both frameworks.

    Raises ValueError for arms that only the JAX study has: the variance term and the combinations are no shipped loss.
    """
    if arm == "mae":
        return "amplitude_mae", {}
    if arm == "nll":
        return "poisson_nll", {"scale": scale}
    if arm in ("l2_sample", "l2_patch", "l2_batch"):
        return "amplitude_l2_mae", {"scope": arm.removeprefix("l2_"), "gain": gain}
    raise ValueError(
        f"arm: got {arm!r} with another backend than jax, wanted mae, nll, l2_sample, l2_patch or l2_batch"
    )


def slope(backend: str, arm: str, gain: str) -> Slope:
    """Return value and gradient of one arm as `backend` computes it; the frameworks are imported here and not before.

    Raises ValueError as `call_of` does.
    """
    call_of(arm, gain, 1.0)
    made: Slope = import_module(f"conformance.rollout.study.{backend}_slope").slope(arm, gain)
    return made
