"""Weights that differ between the numbers that a loss returns, as in a loss of several terms or a weighted batch."""

import numpy as np

from conformance.case import Float64, Question

WEIGHTS = (1.0, 0.5, 0.25)
"""By turns; both exact, and none larger than 1, since the range of float16 is used up."""


STEPS = (1, 1, 2, 1)
"""By how many turns a step along each axis is another one: rows and columns exchanged have other weights."""


def uneven(question: Question) -> Float64 | None:
    """Return a weight for each returned number, such that each element of the gradient has one weight too.

    The numbers that share a norm share a weight: (B,) or (B, 1, 1, 1) for the scopes of a sample, a patch or a view, by
    turns from one sample or view to the next. Elsewhere they turn with each step along each axis. None where one number
    is returned, or everything shares a norm.
    """
    shape, parameters = question.value_shape, question.parameters
    if not shape or (question.loss == "amplitude_l2_mae" and parameters.scope == "batch"):
        return None
    if question.loss != "amplitude_l2_mae" and len(shape) == 4:
        places = np.tensordot(STEPS, np.indices(shape), 1)
    else:
        ids = question.view_ids
        of_samples = np.arange(shape[0]) if ids is None else np.unique(ids, return_inverse=True)[1].reshape(-1)
        places = of_samples.reshape(shape[0], *(1,) * (len(shape) - 1))
    found: Float64 = np.asarray(WEIGHTS)[places % len(WEIGHTS)]
    return found


def of_gradient(weights: Float64) -> Float64:
    """Return the weights as they stand in the gradient, broadcastable against it."""
    return weights if weights.ndim == 4 else weights.reshape(-1, 1, 1, 1)
