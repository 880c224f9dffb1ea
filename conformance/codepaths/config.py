"""The one configuration of both frameworks' losses; legacy unless told otherwise."""

from dataclasses import dataclass
from numbers import Real

SCOPES = ("sample", "patch", "view", "batch")
DOMAINS = ("amplitude", "intensity", "field")
MAE_NORMALIZATIONS = ("none", "l2_sample", "l2_patch", "l2_view", "l2_batch")
MAE_GAINS = ("unit_l2", "unit_rms")
MAE_REDUCTIONS = ("mean", "sum", "sample", "none")
NLL_CONSTANTS = ("none", "lgamma", "stirling", "saturated")
NLL_REDUCTIONS = ("mean", "sum", "sample_sum", "none")
RATE_GUARDS = ("none", "clamp", "log_add")
NORMALISERS = ("none", "batch_mean_amplitude", "frozen_mean_intensity")
SCALE_SOURCES = ("dataset", "closed_form")
DEFAULT_EPS = 2.0**-40


def choose(name: str, value: str, choices: tuple[str, ...]) -> str:
    """Return `value` if it is one of `choices`; raise ValueError otherwise."""
    if value not in choices:
        raise ValueError(f"{name}: got {value!r}, wanted one of {', '.join(choices)}")
    return value


def require_positive(name: str, number: float) -> float:
    """Return `number` if it is finite and above 0; raise ValueError, or TypeError for what is no number at all."""
    if isinstance(number, bool) or not isinstance(number, Real):
        raise TypeError(f"{name}: got {type(number).__name__} {number!r}, wanted a number; give float({name})")
    if not 0.0 < number < float("inf"):
        raise ValueError(f"{name}: got {number!r}, wanted a finite number above 0")
    return number


def require_partner(name: str, number: float | None, option: str, value: str, used_with: tuple[str, ...]) -> None:
    """Refuse a `number` that `option` does not use, and the lack of one that it does."""
    if value not in used_with:
        if number is not None:
            raise ValueError(f"{name}: got {number!r} with {option} {value!r}, which uses none; leave it out")
    elif number is None:
        raise ValueError(f"{name}: got None with {option} {value!r}, wanted a finite number above 0")
    else:
        require_positive(name, number)


@dataclass(frozen=True)
class LossConfig:
    """What a training run's amplitude losses are.

    Parameters
    ----------
    mae_normalization : {"none", "l2_sample", "l2_patch", "l2_view", "l2_batch"}
        `none`, the default: the legacy MAE of scaled amplitudes. Otherwise prediction and target are scaled to unit L2
        norm first, over all channels of a sample, over each pattern, over all samples of one view id, or over the
        batch. A string, never a bool. It never touches the Poisson NLL.
    mae_gain : {"unit_l2", "unit_rms"}
        Gain of the normalised MAE; `unit_rms` multiplies by sqrt(valid elements in the scope). The legacy MAE has none.
    mae_reduction : {"mean", "sum", "sample", "none"}
    mae_domain : {"amplitude", "intensity", "field"}
        What the MAE is given: amplitudes, their squares, or complex waves. The NLL always takes amplitudes.
    eps : float
        Lower bound of the norms of the normalised MAE.
    nll_constant : {"none", "lgamma", "stirling", "saturated"}
        Term of the counts alone that is added; with `saturated` the NLL is the deviance.
    nll_reduction : {"mean", "sum", "sample_sum", "none"}
    nll_rate_guard : {"none", "clamp", "log_add"}
        What keeps the logarithm of the rate finite.
    nll_rate_floor : float, optional
        The guard's floor, in photons; wanted with a guard and only then.
    nll_normaliser : {"none", "batch_mean_amplitude", "frozen_mean_intensity"}
        What the NLL is divided by.
    nll_normaliser_value : float, optional
        The frozen mean intensity; wanted with `frozen_mean_intensity` and only then.
    intensity_scale : float
        s, in sqrt(photons) per unit of amplitude; used by the legacy MAE and by the Poisson NLL.

    Raises
    ------
    ValueError
        An unknown choice, a number that is not finite and above 0, or one that is missing or has no use.
    TypeError
        Something else in a number's place.
    """

    mae_normalization: str = "none"
    mae_gain: str = "unit_l2"
    mae_reduction: str = "mean"
    eps: float = DEFAULT_EPS
    nll_constant: str = "none"
    nll_reduction: str = "mean"
    intensity_scale: float = 1.0
    mae_domain: str = "amplitude"
    nll_rate_guard: str = "none"
    nll_rate_floor: float | None = None
    nll_normaliser: str = "none"
    nll_normaliser_value: float | None = None

    def __post_init__(self) -> None:
        choose("mae_normalization", self.mae_normalization, MAE_NORMALIZATIONS)
        choose("mae_gain", self.mae_gain, MAE_GAINS)
        choose("mae_reduction", self.mae_reduction, MAE_REDUCTIONS)
        choose("mae_domain", self.mae_domain, DOMAINS)
        choose("nll_constant", self.nll_constant, NLL_CONSTANTS)
        choose("nll_reduction", self.nll_reduction, NLL_REDUCTIONS)
        guard = choose("nll_rate_guard", self.nll_rate_guard, RATE_GUARDS)
        require_partner("nll_rate_floor", self.nll_rate_floor, "nll_rate_guard", guard, RATE_GUARDS[1:])
        normaliser = choose("nll_normaliser", self.nll_normaliser, NORMALISERS)
        require_partner(
            "nll_normaliser_value", self.nll_normaliser_value, "nll_normaliser", normaliser, NORMALISERS[2:]
        )
        require_positive("eps", self.eps)
        require_positive("intensity_scale", self.intensity_scale)

    @property
    def mae_scope(self) -> str | None:
        """Scope of the normalised MAE's norms; None for the legacy MAE."""
        return None if self.mae_normalization == "none" else self.mae_normalization.removeprefix("l2_")
