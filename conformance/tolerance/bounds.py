"""What a derivation returns: tolerances of value and gradient, and which signs rounding may decide either way."""

from dataclasses import dataclass

import numpy as np

from conformance.case import Bool, Float64


@dataclass(frozen=True)
class Bounds:
    """`value` has the value's shape, `gradient` the prediction's, with a last axis of two components for a field.

    `unsettled` marks elements whose sign no correct code is bound to: |phat - that| is within the rounding of the two.
    `tied` marks exact ties that rounding preserves, where the contract's sign(0) = 0 can be held against a codepath.
    `settled_gradient` is the tolerance of the gradient with respect to the amplitude whatever sign an open element has,
    without the swing between two signs: the subgradient test uses it. `overflow` says that intermediate numbers may
    exceed the largest one of the dtype: then an answer may be not finite, but never finite and wrong.
    """

    value: Float64
    gradient: Float64
    unsettled: Bool
    tied: Bool
    settled_gradient: Float64
    overflow: bool = False


def no_signs(shape: tuple[int, ...]) -> Bool:
    """Return an all-False mask."""
    return np.zeros(shape, np.bool_)
