"""What a codepath is asked, and what the judge alone knows: a question, its truth, and the two together."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Float64 = NDArray[np.float64]

LOSSES = ("amplitude_l2_mae", "amplitude_mae", "poisson_nll")
DTYPES = ("float32", "float64")


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
    gain: str = "unit_l2"
    eps: float = 2.0**-40
    constant: str = "none"
    scale: Scale | None = None

    @property
    def canonical(self) -> bool:
        """True where a plain `f(prediction, target[, scale])` needs to know nothing else."""
        return self.reduction == "mean" and self.gain == "unit_l2" and self.constant == "none" and self.eps == 2.0**-40


@dataclass(frozen=True)
class Question:
    """All that a codepath under test ever sees. Arrays are float64 that every judged dtype holds exactly."""

    case_id: str
    loss: str
    parameters: Parameters
    prediction: Float64
    target: Float64

    @property
    def weight(self) -> float:
        """What one element's loss is multiplied by in the sum of the returned values."""
        batch, elements = self.prediction.shape[0], self.prediction.size
        weights: dict[str, float] = {
            "mean": 1 / elements,
            "sum": 1.0,
            "sample": batch / elements,
            "sample_sum": 1 / batch,
            "none": 1.0,
        }
        return weights[self.parameters.reduction]

    @property
    def value_shape(self) -> tuple[int, ...]:
        """Shape of the value that the reduction returns."""
        return {"none": self.prediction.shape, "sample": self.prediction.shape[:1]}.get(self.parameters.reduction, ())


@dataclass(frozen=True)
class Truth:
    """The answer. `value_error` and `gradient_error` bound how far it is itself from the exact numbers."""

    value: Float64
    gradient: Float64
    sign: NDArray[np.int8] | None
    value_error: Float64
    gradient_error: Float64


@dataclass(frozen=True)
class Case:
    """A question with its truth and its reason."""

    question: Question
    truth: Truth
    why: str = ""
    catches: str = ""
    bit_exact: bool = False
    """Straight IEEE arithmetic makes no error here. Libraries may (a vectorised power), so it is no tolerance."""
    has_ties: bool = False
