"""JAX reference of the losses of ptychography networks: straight-line formulas, whose docstrings are the contract."""

from oracle.amplitude import amplitude_l2_mae, amplitude_mae
from oracle.evaluation import Differentiated, Evaluation, evaluate
from oracle.photons import intensity_scale
from oracle.poisson import poisson_nll

__all__ = [
    "Differentiated",
    "Evaluation",
    "amplitude_l2_mae",
    "amplitude_mae",
    "evaluate",
    "intensity_scale",
    "poisson_nll",
]
