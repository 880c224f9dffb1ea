"""What a derivation returns: tolerances of value and gradient, and which signs rounding may decide either way."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conformance.case import Float64


@dataclass(frozen=True)
class Bounds:
    """`value` has the value's shape, `gradient` the prediction's.

    `unsettled` marks elements whose sign no correct code is bound to: |phat - that| is within the rounding of the two.
    `tied` marks exact ties that rounding preserves, where the contract's sign(0) = 0 can be held against a codepath.
    `settled_gradient` is the gradient's tolerance whatever sign an open element has, without the swing between two
    signs: the subgradient test uses it.
    """

    value: Float64
    gradient: Float64
    unsettled: NDArray[np.bool_]
    tied: NDArray[np.bool_]
    settled_gradient: Float64


def no_signs(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return an all-False mask."""
    return np.zeros(shape, np.bool_)
