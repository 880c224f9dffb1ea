"""What a codepath is asked, and what the judge alone knows: a question, its truth, and the two together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

LOSSES = ("amplitude_l2_mae", "amplitude_mae", "poisson_nll")
DTYPES = ("float32", "float64")
"""Judged unless told otherwise."""
HALF_DTYPES = ("bfloat16", "float16")
ALL_DTYPES = (*DTYPES, *HALF_DTYPES)


def dtypes_of(requested: Sequence[str]) -> tuple[str, ...]:
    """Return the dtypes that are asked for, `all` standing for every one; unknown names stay, to be refused."""
    return tuple(dict.fromkeys(name for entry in requested for name in (ALL_DTYPES if entry == "all" else (entry,))))


@dataclass(frozen=True)
class Scale:
    """Intensity scale: its binary64 value, whether it was `given` or derived, and from which photon number."""

    value: float
    source: str = "given"
    nphotons: float | None = None


@dataclass(frozen=True)
class Parameters:
    """Options of a loss, at their defaults where the loss has none."""

    reduction: str = "mean"
    domain: str = "amplitude"
    scope: str = "sample"
    gain: str = "unit_l2"
    eps: float = 2.0**-40
    constant: str = "none"
    rate_guard: str = "none"
    rate_floor: float | None = None
    normaliser: str = "none"
    normaliser_value: float | None = None
    wrt: str = "prediction"
    scale: Scale | None = None

    @property
    def canonical(self) -> bool:
        """True where a plain `f(prediction, target[, scale])` needs to know nothing else."""
        return replace(self, scale=None) == Parameters()

    def described(self) -> str:
        """Return the options that are not at their defaults, for a person."""
        return _described(self)


@cache
def _described(parameters: Parameters) -> str:
    default = Parameters()
    said = {name: value for name, value in vars(parameters).items() if name != "scale"}
    return ", ".join(f"{name}={value}" for name, value in said.items() if value != getattr(default, name)) or "defaults"


def _in_float32(array: Array) -> bool:
    """Whether float32, or complex64, holds every number that the array has, as 0 or a normal number."""
    with np.errstate(over="ignore"):
        narrow = array.astype(np.complex64 if array.dtype.kind == "c" else np.float32)
    if not np.array_equal(narrow.astype(array.dtype), array, equal_nan=True):
        return False
    parts = (array.real, array.imag) if array.dtype.kind == "c" else (array,)
    return not any(bool(np.any((part != 0) & (np.abs(part) < np.finfo(np.float32).tiny))) for part in parts)


@dataclass(frozen=True)
class Question:
    """All that a codepath under test ever sees.

    Arrays are float64, or complex128 for the domain `field`, that every dtype of `holds` holds exactly. `mask` has rank
    4 and broadcasts against them; masked elements may be NaN. `view_ids` are integers, one per sample.
    """

    case_id: str
    loss: str
    parameters: Parameters
    prediction: Array
    target: Array
    mask: Bool | None = None
    view_ids: NDArray[np.int32] | None = None
    handed: str = "amplitude"
    """What the judge hands over in the caller's place: amplitudes, or s p and s t, or the squares of those."""

    @cached_property
    def valid(self) -> Bool:
        """The mask in full."""
        if self.mask is None:
            return np.ones(self.prediction.shape, np.bool_)
        return np.broadcast_to(self.mask, self.prediction.shape)

    @property
    def of_gradient(self) -> Array:
        """The array that the gradient is taken with respect to."""
        return self.target if self.parameters.wrt == "target" else self.prediction

    @cached_property
    def weight(self) -> Float64:
        """What one element's loss is multiplied by in the sum of the returned values; shape (B, 1, 1, 1)."""
        batch = self.prediction.shape[0]
        per_sample = np.sum(self.valid, axis=(1, 2, 3), keepdims=True, dtype=np.float64)
        whole = np.broadcast_to(np.sum(per_sample), per_sample.shape)
        weights: dict[str, Float64] = {
            "mean": 1 / np.maximum(whole, 1),
            "sum": np.ones_like(per_sample),
            "sample": 1 / np.maximum(per_sample, 1),
            "sample_sum": np.full_like(per_sample, 1 / batch),
            "none": np.ones_like(per_sample),
        }
        return weights[self.parameters.reduction]

    @property
    def value_shape(self) -> tuple[int, ...]:
        """Shape of the value that the reduction returns."""
        return {"none": self.prediction.shape, "sample": self.prediction.shape[:1]}.get(self.parameters.reduction, ())

    @cached_property
    def _in_float32(self) -> bool:
        return all(map(_in_float32, (self.prediction, self.target)))

    def holds(self, dtype: str) -> bool:
        """Return whether the inputs are exact numbers of `dtype`, normal ones, so that a flush to zero spares them."""
        if dtype not in HALF_DTYPES:
            return dtype == "float64" or self._in_float32
        if self.parameters.domain == "field":
            return False
        largest, smallest, bits = {"float16": (65504.0, 2.0**-14, 11), "bfloat16": (2.0**127, 2.0**-126, 8)}[dtype]
        numbers = np.abs(np.concatenate([a[np.isfinite(a)] for a in (self.prediction, self.target)]))
        if self.handed != "amplitude":
            scale = self.parameters.scale.value if self.parameters.scale else 1.0
            if dtype == "float16" and (scale != 1.0 or self.handed == "scaled_intensity"):
                return False  # nor has it the range for gradients on the other side of a scale or a square
            numbers = numbers * scale
        if self.handed == "scaled_intensity":
            numbers = numbers * numbers
        lit = numbers[numbers > 0]
        significand = np.ldexp(np.frexp(lit)[0], bits)
        return bool(np.all((lit >= smallest) & (lit <= largest) & (significand == np.floor(significand))))


@dataclass(frozen=True)
class Truth:
    """The answer. `value_error` and `gradient_error` bound how far it is itself from the exact numbers.

    A NaN value stands for any number that is not finite; a NaN gradient is not judged. `sign` is that of
    phat - that, or for a clamped rate that of lambda - floor.
    """

    value: Float64
    gradient: Array
    sign: NDArray[np.int8] | None
    value_error: Float64
    gradient_error: Float64


@dataclass(frozen=True, eq=False)
class Case:
    """A question with its truth and its reason. One is equal to itself alone, so that what follows from it is kept."""

    question: Question
    truth: Truth
    why: str = ""
    catches: str = ""
    bit_exact: bool = False
    """Straight IEEE arithmetic makes no error here. Libraries may (a vectorised power), so it is no tolerance."""
    has_ties: bool = False
