"""The TensorFlow losses as serialisable Keras objects, right in float64 too, and `build_losses`."""

from typing import Any, NamedTuple

import keras

from conformance.codepaths import tensorflow_losses
from conformance.codepaths.config import (
    DEFAULT_EPS,
    DOMAINS,
    MAE_GAINS,
    NLL_CONSTANTS,
    NORMALISERS,
    RATE_GUARDS,
    SCOPES,
    LossConfig,
    choose,
    require_partner,
    require_positive,
)
from conformance.codepaths.keras_reduction import AmplitudeLoss
from conformance.codepaths.tensorflow_inputs import Tensor

_PACKAGE = "ptycho_loss_oracle"
_REDUCTION = {
    "mean": ("sum_over_batch_size", "element"),
    "sum": ("sum", "element"),
    "sample": ("none", "sample_mean"),
    "sample_sum": ("sum_over_batch_size", "sample_sum"),
    "none": ("none", "element"),
}


@keras.saving.register_keras_serializable(package=_PACKAGE)
class AmplitudeL2MAE(AmplitudeLoss):
    """`amplitude_l2_mae` as a Keras loss, with any scope but `view`; `mask`, `per`, ... as in `AmplitudeLoss`.

    Keras hands a loss no ids. Where norms are over the samples of one view, call
    `tensorflow_losses.amplitude_l2_mae(..., scope="view", view_ids=ids)` from a custom `train_step`.
    """

    def __init__(
        self,
        gain: str = "unit_l2",
        eps: float = DEFAULT_EPS,
        *,
        scope: str = "sample",
        domain: str = "amplitude",
        mask: Any = None,
        per: str = "element",
        reduction: str = "sum_over_batch_size",
        name: str = "amplitude_l2_mae",
        dtype: Any = None,
    ) -> None:
        super().__init__(mask, per, reduction, name, dtype)
        if choose("scope", scope, SCOPES) == "view":
            raise ValueError(
                "scope: got 'view', wanted sample, patch or batch: Keras hands a loss no view ids; call "
                "tensorflow_losses.amplitude_l2_mae(..., scope='view', view_ids=ids) from a custom train_step"
            )
        self.scope = scope
        self.gain = choose("gain", gain, MAE_GAINS)
        self.domain = choose("domain", domain, DOMAINS)
        self.eps = float(require_positive("eps", eps))

    def elements(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return tensorflow_losses.amplitude_l2_mae(
            y_true,
            y_pred,
            mask=self.mask,
            scope=self.scope,
            domain=self.domain,
            gain=self.gain,
            eps=self.eps,
            reduction="none",
        )

    def get_config(self) -> dict[str, Any]:
        own = {"gain": self.gain, "eps": self.eps, "scope": self.scope, "domain": self.domain}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package=_PACKAGE)
class AmplitudeMAE(AmplitudeLoss):
    """`amplitude_mae` as a Keras loss; `scale` is the data set's s; `mask`, `per`, ... as in `AmplitudeLoss`."""

    def __init__(
        self,
        scale: float = 1.0,
        *,
        domain: str = "amplitude",
        mask: Any = None,
        per: str = "element",
        reduction: str = "sum_over_batch_size",
        name: str = "amplitude_mae",
        dtype: Any = None,
    ) -> None:
        super().__init__(mask, per, reduction, name, dtype)
        self.scale = float(require_positive("scale", scale))
        self.domain = choose("domain", domain, DOMAINS)

    def elements(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return tensorflow_losses.amplitude_mae(
            y_true, y_pred, self.scale, mask=self.mask, domain=self.domain, reduction="none"
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "domain": self.domain}


@keras.saving.register_keras_serializable(package=_PACKAGE)
class PoissonNLL(AmplitudeLoss):
    """`poisson_nll` as a Keras loss; `scale` is the data set's s; `mask`, `per`, ... as in `AmplitudeLoss`."""

    def __init__(
        self,
        scale: float,
        constant: str = "none",
        *,
        rate_guard: str = "none",
        rate_floor: float | None = None,
        normaliser: str = "none",
        normaliser_value: float | None = None,
        mask: Any = None,
        per: str = "element",
        reduction: str = "sum_over_batch_size",
        name: str = "poisson_nll",
        dtype: Any = None,
    ) -> None:
        super().__init__(mask, per, reduction, name, dtype)
        self.scale = float(require_positive("scale", scale))
        self.constant = choose("constant", constant, NLL_CONSTANTS)
        self.rate_guard = choose("rate_guard", rate_guard, RATE_GUARDS)
        self.normaliser = choose("normaliser", normaliser, NORMALISERS)
        require_partner("rate_floor", rate_floor, "rate_guard", rate_guard, RATE_GUARDS[1:])
        require_partner("normaliser_value", normaliser_value, "normaliser", normaliser, NORMALISERS[2:])
        self.rate_floor = None if rate_floor is None else float(rate_floor)
        self.normaliser_value = None if normaliser_value is None else float(normaliser_value)

    def _options(self) -> dict[str, Any]:
        names = ("constant", "rate_guard", "rate_floor", "normaliser", "normaliser_value")
        return {name: getattr(self, name) for name in names}

    def elements(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return tensorflow_losses.poisson_nll(
            y_true, y_pred, self.scale, mask=self.mask, reduction="none", **self._options()
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, **self._options()}


class Losses(NamedTuple):
    """The two losses of a training run, each called `loss(y_true, y_pred, sample_weight=None)` on (B, H, W, C)."""

    mae: AmplitudeLoss
    nll: AmplitudeLoss


def build_losses(config: LossConfig, *, mask: Any = None) -> Losses:
    """Return the Keras losses that `config` describes; the NLL is the same whatever the MAE's normalisation.

    Parameters
    ----------
    config : LossConfig
        Any but `mae_normalization="l2_view"`: see `AmplitudeL2MAE`.
    mask : array of shape (1, H, W, 1) or (1, H, W, C), optional
        The detector's, nonzero = valid, for both losses.

    Raises
    ------
    ValueError
        The normalisation `l2_view`, or a mask of another shape.
    TypeError
        A complex mask.
    """
    mae: AmplitudeLoss
    reduction, per = _REDUCTION[config.mae_reduction]
    shared = {"domain": config.mae_domain, "mask": mask, "per": per, "reduction": reduction}
    if config.mae_scope is None:
        mae = AmplitudeMAE(config.intensity_scale, **shared)
    else:
        mae = AmplitudeL2MAE(config.mae_gain, config.eps, scope=config.mae_scope, **shared)
    reduction, per = _REDUCTION[config.nll_reduction]
    nll = PoissonNLL(
        config.intensity_scale,
        config.nll_constant,
        rate_guard=config.nll_rate_guard,
        rate_floor=config.nll_rate_floor,
        normaliser=config.nll_normaliser,
        normaliser_value=config.nll_normaliser_value,
        mask=mask,
        per=per,
        reduction=reduction,
    )
    return Losses(mae, nll)
