"""Half-precision inputs: cast up once and computed in float32; only the gradient is rounded back to the narrow type."""

from dataclasses import dataclass
from math import floor, log2

import numpy as np

from conformance.case import Array, Float64
from conformance.tolerance.arithmetic import ARITHMETICS

ROUNDINGS = 2
"""Of a gradient element in the narrow type: the adjoint of the one cast, and one to spare."""
LOSS_SCALED_TO = 13
"""The loss scale brings the largest gradient element to at least 2**13, so that a float16 holds it and most others."""


@dataclass(frozen=True)
class Narrow:
    """A storage type: unit roundoff, smallest normal number, and whether its range calls for a loss scale."""

    unit: float
    smallest_normal: float
    scaled: bool


NARROW = {"bfloat16": Narrow(2.0**-8, 2.0**-126, False), "float16": Narrow(2.0**-11, 2.0**-14, True)}


def computing_dtype(dtype: str) -> str:
    """Return the dtype that a loss of inputs of `dtype` is computed and returned in."""
    return "float32" if dtype in NARROW else dtype


def smallest_normal(dtype: str) -> float:
    """Return the smallest normal number of a dtype: below it, multiplying by a power of two is not exact."""
    return NARROW[dtype].smallest_normal if dtype in NARROW else ARITHMETICS[dtype].smallest_normal


def has_loss_scale(dtype: str) -> bool:
    """Return whether a loss of inputs of `dtype` is multiplied before it is differentiated."""
    return dtype in NARROW and NARROW[dtype].scaled


def loss_scale(gradient: Array, dtype: str) -> float:
    """Return the power of two that multiplies the loss before it is differentiated in `dtype`, from the true gradient.

    1 but for float16, whose range ends at 65504 above and 2**-24 below.
    """
    if not has_loss_scale(dtype):
        return 1.0
    sizes = np.abs(gradient[np.isfinite(gradient)])
    largest = float(np.max(sizes, initial=0.0))
    return 1.0 if largest == 0 else 2.0 ** (LOSS_SCALED_TO - floor(log2(largest)))


def narrowing(size: Float64, dtype: str, scale: float) -> Float64:
    """Return by how much rounding a gradient element of this size to `dtype` can move it; `scale` is its loss scale."""
    if dtype not in NARROW:
        return np.zeros(np.shape(size))
    narrow = NARROW[dtype]
    return ((1 + narrow.unit) ** ROUNDINGS - 1) * np.abs(size) + narrow.smallest_normal / scale


def before_narrowing(rounded: Float64, dtype: str, scale: float) -> Float64:
    """Return how far an element that was rounded to `dtype` can be from what it was."""
    if dtype not in NARROW:
        return np.zeros(np.shape(rounded))
    grown = (1 + NARROW[dtype].unit) ** ROUNDINGS - 1
    return narrowing(np.abs(rounded) / (1 - grown), dtype, scale) / (1 - grown)


def narrowed_gradient(tolerance: Float64, gradient: Float64, dtype: str, scale: float) -> Float64:
    """Return the tolerance of a gradient that is rounded to `dtype` at the end; `scale` is its loss scale."""
    return np.where(tolerance == 0, 0.0, tolerance + narrowing(np.abs(gradient) + tolerance, dtype, scale))
