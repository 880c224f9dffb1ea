"""The one configuration of both frameworks' losses; legacy unless told otherwise."""

from dataclasses import dataclass

MAE_NORMALIZATIONS = ("none", "l2_sample")
MAE_GAINS = ("unit_l2", "unit_rms")
MAE_REDUCTIONS = ("mean", "sum", "sample", "none")
NLL_CONSTANTS = ("none", "lgamma", "stirling")
NLL_REDUCTIONS = ("mean", "sum", "sample_sum", "none")
SCALE_SOURCES = ("dataset", "closed_form")
DEFAULT_EPS = 2.0**-40


def choose(name: str, value: str, choices: tuple[str, ...]) -> str:
    """Return `value` if it is one of `choices`; raise ValueError otherwise."""
    if value not in choices:
        raise ValueError(f"{name}: got {value!r}, wanted one of {', '.join(choices)}")
    return value


@dataclass(frozen=True)
class LossConfig:
    """What a training run's amplitude losses are.

    Parameters
    ----------
    mae_normalization : {"none", "l2_sample"}
        `none`, the default: the legacy MAE of scaled amplitudes. `l2_sample`: prediction and target scaled to unit L2
        norm over (C, H, W) of each sample first. A string, never a bool. It never touches the Poisson NLL.
    mae_gain : {"unit_l2", "unit_rms"}
        Gain of the normalised MAE; `unit_rms` multiplies by sqrt(C H W). The legacy MAE has none.
    mae_reduction : {"mean", "sum", "sample", "none"}
    eps : float
        Lower bound of the norms of the normalised MAE.
    nll_constant : {"none", "lgamma", "stirling"}
    nll_reduction : {"mean", "sum", "sample_sum", "none"}
    intensity_scale : float
        s, in sqrt(photons) per unit of amplitude; used by the legacy MAE and by the Poisson NLL.

    Raises
    ------
    ValueError
        An unknown choice, or a number that is not finite and above 0.
    """

    mae_normalization: str = "none"
    mae_gain: str = "unit_l2"
    mae_reduction: str = "mean"
    eps: float = DEFAULT_EPS
    nll_constant: str = "none"
    nll_reduction: str = "mean"
    intensity_scale: float = 1.0

    def __post_init__(self) -> None:
        choose("mae_normalization", self.mae_normalization, MAE_NORMALIZATIONS)
        choose("mae_gain", self.mae_gain, MAE_GAINS)
        choose("mae_reduction", self.mae_reduction, MAE_REDUCTIONS)
        choose("nll_constant", self.nll_constant, NLL_CONSTANTS)
        choose("nll_reduction", self.nll_reduction, NLL_REDUCTIONS)
        for name, number in (("eps", self.eps), ("intensity_scale", self.intensity_scale)):
            if not 0.0 < number < float("inf"):
                raise ValueError(f"{name}: got {number!r}, wanted a finite number above 0")
