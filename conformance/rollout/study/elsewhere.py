"""The same arms with value and gradient from the shipped Torch or TensorFlow loss, through NumPy."""

from collections.abc import Callable
from importlib import import_module

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Slope = Callable[[Float32, Float32, npt.NDArray[np.bool_], float], tuple[float, Float32]]
"""(predicted, measured, mask, scale) -> loss, gradient with respect to the predicted amplitudes."""


def slope(backend: str, arm: str, gain: str) -> Slope:
    """Return value and gradient of one arm as `backend` computes it; the frameworks are imported here and not before.

    Raises ValueError for arms that only the JAX study has: the variance term and the combinations are no shipped loss.
    """
    if arm not in ("mae", "nll", "l2_sample", "l2_patch", "l2_batch"):
        raise ValueError(f"arm: got {arm!r} with backend {backend!r}, wanted mae, nll, l2_sample, l2_patch or l2_batch")
    module = import_module(f"conformance.rollout.study.{backend}_slope")
    made: Slope = module.slope(arm, gain)
    return made
