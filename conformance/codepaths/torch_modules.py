"""The Torch losses as modules with fixed options, and `build_losses`. They hold no tensors: `state_dict` is empty."""

from typing import NamedTuple

from torch import Tensor, nn

from conformance.codepaths import torch_functions
from conformance.codepaths.config import (
    DEFAULT_EPS,
    DOMAINS,
    MAE_GAINS,
    MAE_REDUCTIONS,
    NLL_CONSTANTS,
    NLL_REDUCTIONS,
    NORMALISERS,
    RATE_GUARDS,
    SCOPES,
    LossConfig,
    choose,
    require_partner,
    require_positive,
)


def _shown(module: nn.Module, names: tuple[str, ...]) -> str:
    return ", ".join(f"{name}={getattr(module, name)!r}" for name in names)


class AmplitudeL2MAE(nn.Module):
    """`amplitude_l2_mae` as a module, called `loss(prediction, target, mask=, view_ids=)` on (B, C, H, W).

    `view_ids` go with the scope `view`, and with no other. Parameters, results and errors are those of the function in
    `torch_losses`; a number or option that is none is refused where the module is made.
    """

    def __init__(
        self,
        reduction: str = "mean",
        gain: str = "unit_l2",
        eps: float = DEFAULT_EPS,
        *,
        scope: str = "sample",
        domain: str = "amplitude",
    ) -> None:
        super().__init__()
        self.scope = choose("scope", scope, SCOPES)
        self.domain = choose("domain", domain, DOMAINS)
        self.reduction = choose("reduction", reduction, MAE_REDUCTIONS)
        self.gain = choose("gain", gain, MAE_GAINS)
        self.eps = require_positive("eps", eps)

    def extra_repr(self) -> str:
        return _shown(self, ("scope", "domain", "reduction", "gain", "eps"))

    def forward(
        self, input: Tensor, target: Tensor, *, mask: Tensor | None = None, view_ids: Tensor | None = None
    ) -> Tensor:
        return torch_functions.amplitude_l2_mae(
            input,
            target,
            mask=mask,
            scope=self.scope,
            view_ids=view_ids,
            domain=self.domain,
            reduction=self.reduction,
            gain=self.gain,
            eps=self.eps,
        )


class AmplitudeMAE(nn.Module):
    """`amplitude_mae` as a module, called `loss(prediction, target, mask=)` on (B, C, H, W).

    `scale` is the intensity scale s of the data set, a number above 0. Else as the function in `torch_losses`.
    """

    def __init__(self, scale: float = 1.0, reduction: str = "mean", *, domain: str = "amplitude") -> None:
        super().__init__()
        self.scale = require_positive("scale", scale)
        self.domain = choose("domain", domain, DOMAINS)
        self.reduction = choose("reduction", reduction, MAE_REDUCTIONS)

    def extra_repr(self) -> str:
        return _shown(self, ("scale", "domain", "reduction"))

    def forward(self, input: Tensor, target: Tensor, *, mask: Tensor | None = None) -> Tensor:
        return torch_functions.amplitude_mae(
            input, target, self.scale, mask=mask, domain=self.domain, reduction=self.reduction
        )


class PoissonNLL(nn.Module):
    """`poisson_nll` as a module, called `loss(prediction, target, mask=)` on (B, C, H, W).

    `scale` is the intensity scale s of the data set, a number above 0. Else as the function in `torch_losses`.
    """

    def __init__(
        self,
        scale: float,
        constant: str = "none",
        reduction: str = "mean",
        *,
        rate_guard: str = "none",
        rate_floor: float | None = None,
        normaliser: str = "none",
        normaliser_value: float | None = None,
    ) -> None:
        super().__init__()
        self.scale = require_positive("scale", scale)
        self.constant = choose("constant", constant, NLL_CONSTANTS)
        self.rate_guard = choose("rate_guard", rate_guard, RATE_GUARDS)
        self.normaliser = choose("normaliser", normaliser, NORMALISERS)
        self.reduction = choose("reduction", reduction, NLL_REDUCTIONS)
        require_partner("rate_floor", rate_floor, "rate_guard", rate_guard, RATE_GUARDS[1:])
        require_partner("normaliser_value", normaliser_value, "normaliser", normaliser, NORMALISERS[2:])
        self.rate_floor, self.normaliser_value = rate_floor, normaliser_value

    def extra_repr(self) -> str:
        options = ("scale", "constant", "rate_guard", "rate_floor", "normaliser", "normaliser_value", "reduction")
        return _shown(self, options)

    def forward(self, input: Tensor, target: Tensor, *, mask: Tensor | None = None) -> Tensor:
        return torch_functions.poisson_nll(
            input,
            target,
            self.scale,
            mask=mask,
            constant=self.constant,
            rate_guard=self.rate_guard,
            rate_floor=self.rate_floor,
            normaliser=self.normaliser,
            normaliser_value=self.normaliser_value,
            reduction=self.reduction,
        )


class Losses(NamedTuple):
    """The two losses of a training run, each called `loss(prediction, target, mask=)` on (B, C, H, W) amplitudes.

    A `mae` of the normalisation `l2_view` wants `view_ids=` too.
    """

    mae: nn.Module
    nll: nn.Module


def build_losses(config: LossConfig) -> Losses:
    """Return the modules that `config` describes; the NLL is the same whatever the MAE's normalisation.

    Parameters
    ----------
    config : LossConfig
        Checked where it was made: nothing is refused here.
    """
    mae: nn.Module
    scope = config.mae_scope
    if scope is None:
        mae = AmplitudeMAE(config.intensity_scale, config.mae_reduction, domain=config.mae_domain)
    else:
        mae = AmplitudeL2MAE(config.mae_reduction, config.mae_gain, config.eps, scope=scope, domain=config.mae_domain)
    nll = PoissonNLL(
        config.intensity_scale,
        config.nll_constant,
        config.nll_reduction,
        rate_guard=config.nll_rate_guard,
        rate_floor=config.nll_rate_floor,
        normaliser=config.nll_normaliser,
        normaliser_value=config.nll_normaliser_value,
    )
    return Losses(mae, nll)
