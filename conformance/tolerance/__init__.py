"""How far a correct codepath can be from the truth: derived from a case's inputs, its dtype and nothing else."""

import numpy as np
from numpy.typing import NDArray

from conformance.case import Float64, Question
from conformance.tolerance.amplitude import l2_bounds
from conformance.tolerance.arithmetic import ARITHMETICS, Arithmetic
from conformance.tolerance.bounds import Bounds
from conformance.tolerance.legacy import mae_bounds
from conformance.tolerance.narrow import (
    before_narrowing,
    computing_dtype,
    has_loss_scale,
    loss_scale,
    narrowed_gradient,
    smallest_normal,
)
from conformance.tolerance.poisson import nll_bounds

__all__ = [
    "ARITHMETICS",
    "Arithmetic",
    "Bounds",
    "before_narrowing",
    "bounds",
    "computing_dtype",
    "has_loss_scale",
    "loss_scale",
    "narrowed_gradient",
    "smallest_normal",
]


def bounds(question: Question, value: Float64, sign: NDArray[np.int8] | None, dtype: str) -> Bounds:
    """Return the tolerances of value and of every gradient element for one case and one dtype.

    Parameters
    ----------
    question : Question
        Inputs and parameters of the case.
    value : array
        The true value, for the relative roundings of the last operation.
    sign : int8 array of the prediction's shape, or None
        Exact sign(phat - that); required by the two MAEs.
    dtype : {"float32", "float64"}
        What is computed in; half-precision inputs are computed in float32, and `narrowed_gradient` adds the rest.

    Raises
    ------
    ValueError
        Unknown dtype or loss, or signs missing.
    """
    if dtype not in ARITHMETICS:
        raise ValueError(f"dtype: got {dtype!r}, wanted one of {', '.join(ARITHMETICS)}")
    arithmetic = ARITHMETICS[dtype]
    if question.loss == "poisson_nll":
        return nll_bounds(question, value, arithmetic)
    if sign is None:
        raise ValueError(f"case {question.case_id}: the signs of phat - that are missing")
    if question.loss == "amplitude_l2_mae":
        return l2_bounds(question, value, sign, arithmetic)
    if question.loss == "amplitude_mae":
        return mae_bounds(question, value, sign, arithmetic)
    raise ValueError(f"case {question.case_id}: unknown loss {question.loss!r}")
