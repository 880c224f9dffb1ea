"""What shares one norm: sums, counts and maxima over the scope of every diffraction pattern."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from conformance.case import Float64, Question

PATTERN = (2, 3)


class Scopes:
    """The scopes of a question. Results have shape (B, C, 1, 1): per pattern, that of the scope it belongs to."""

    def __init__(self, question: Question) -> None:
        batch, channels = question.prediction.shape[:2]
        sample, channel = np.indices((batch, channels))
        scope = question.parameters.scope
        if scope == "view":
            if question.view_ids is None:
                raise ValueError(f"case {question.case_id}: scope view without view_ids")
            sample = np.unique(question.view_ids, return_inverse=True)[1].reshape(-1)[sample]
        labels: dict[str, NDArray[np.intp]] = {
            "sample": sample,
            "patch": sample * channels + channel,
            "view": sample,
            "batch": np.zeros_like(sample),
        }
        self.label = labels[scope]
        self.size = np.maximum(self.total(question.valid.astype(np.float64)), 1.0)
        """Number of valid elements; 1 where there is none."""

    def _gather(self, per_pattern: Float64, fold: Callable[..., object], start: float) -> Float64:
        folded = np.full(int(np.max(self.label)) + 1, start)
        fold(folded, self.label, per_pattern)
        return folded[self.label][:, :, None, None]

    def total(self, elements: Float64) -> Float64:
        """Sum of (B, C, H, W) over each scope."""
        return self._gather(np.sum(np.broadcast_to(elements, self._shape(elements)), axis=PATTERN), np.add.at, 0.0)

    def largest(self, elements: Float64) -> Float64:
        """Maximum of (B, C, H, W) over each scope."""
        return self._gather(np.max(elements, axis=PATTERN), np.maximum.at, -np.inf)

    def least(self, elements: Float64) -> Float64:
        """Minimum of (B, C, H, W) over each scope."""
        return self._gather(np.min(elements, axis=PATTERN), np.minimum.at, np.inf)

    def _shape(self, elements: Float64) -> tuple[int, ...]:
        return (*self.label.shape, *elements.shape[2:])
