"""The TensorFlow losses as serialisable Keras objects, right in float64 too, and `build_losses`."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from conformance.codepaths import tensorflow_losses
from conformance.codepaths.config import DEFAULT_EPS, LossConfig, choose
from conformance.codepaths.tensorflow_losses import Tensor, reduced

PER = ("element", "sample_mean", "sample_sum")
_PACKAGE = "ptycho_loss_oracle"
_REDUCTION = {
    "mean": ("sum_over_batch_size", "element"),
    "sum": ("sum", "element"),
    "sample": ("none", "sample_mean"),
    "sample_sum": ("sum_over_batch_size", "sample_sum"),
    "none": ("none", "element"),
}


class _AmplitudeLoss(keras.losses.Loss):  # type: ignore[misc]  # Keras ships no types
    """What the three share: what Keras reduces over, and computing in the prediction's own precision.

    Parameters
    ----------
    per : {"element", "sample_mean", "sample_sum"}
        What `call` returns, before Keras applies `reduction` and sample weights: one loss per element (B, H, W, C),
        or one per sample (B,), the mean or the sum of its elements.
    reduction : str
        Keras' own: "sum_over_batch_size", "sum" or "none".
    dtype : str, optional
        As in Keras. Keras would cast a float64 prediction down to it; this class computes in float64 instead.
    """

    def __init__(self, per: str, reduction: str, name: str, dtype: Any) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.per = choose("per", per, PER)

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> Tensor:
        if tf.convert_to_tensor(y_pred).dtype == tf.float64 and self.dtype != "float64":
            in_float64 = type(self).from_config({**self.get_config(), "dtype": "float64"})
            return in_float64(y_true, y_pred, sample_weight)
        return super().__call__(y_true, y_pred, sample_weight)

    def elements(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} is abstract: build AmplitudeL2MAE, AmplitudeMAE or PoissonNLL")

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        elements = self.elements(y_true, y_pred)
        if self.per == "sample_sum":
            return tf.reduce_sum(elements, (1, 2, 3))
        return reduced(elements, "sample" if self.per == "sample_mean" else "none", ("sample", "none"))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "per": self.per, "dtype": self.dtype}


@keras.saving.register_keras_serializable(package=_PACKAGE)
class AmplitudeL2MAE(_AmplitudeLoss):
    """`amplitude_l2_mae` as a Keras loss."""

    def __init__(
        self,
        gain: str = "unit_l2",
        eps: float = DEFAULT_EPS,
        per: str = "element",
        reduction: str = "sum_over_batch_size",
        name: str = "amplitude_l2_mae",
        dtype: Any = None,
    ) -> None:
        super().__init__(per, reduction, name, dtype)
        self.gain, self.eps = gain, eps

    def elements(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return tensorflow_losses.amplitude_l2_mae(y_true, y_pred, gain=self.gain, eps=self.eps, reduction="none")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gain": self.gain, "eps": self.eps}


@keras.saving.register_keras_serializable(package=_PACKAGE)
class AmplitudeMAE(_AmplitudeLoss):
    """`amplitude_mae` as a Keras loss, at a fixed intensity scale."""

    def __init__(
        self,
        scale: float = 1.0,
        per: str = "element",
        reduction: str = "sum_over_batch_size",
        name: str = "amplitude_mae",
        dtype: Any = None,
    ) -> None:
        super().__init__(per, reduction, name, dtype)
        self.scale = scale

    def elements(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return tensorflow_losses.amplitude_mae(y_true, y_pred, self.scale, reduction="none")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable(package=_PACKAGE)
class PoissonNLL(_AmplitudeLoss):
    """`poisson_nll` as a Keras loss, at a fixed intensity scale."""

    def __init__(
        self,
        scale: float,
        constant: str = "none",
        per: str = "element",
        reduction: str = "sum_over_batch_size",
        name: str = "poisson_nll",
        dtype: Any = None,
    ) -> None:
        super().__init__(per, reduction, name, dtype)
        self.scale, self.constant = scale, constant

    def elements(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return tensorflow_losses.poisson_nll(y_true, y_pred, self.scale, constant=self.constant, reduction="none")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "constant": self.constant}


class Losses(NamedTuple):
    """The two losses of a training run."""

    mae: _AmplitudeLoss
    nll: _AmplitudeLoss


def build_losses(config: LossConfig) -> Losses:
    """Return the Keras losses that `config` describes; the NLL is the same whatever the MAE's normalisation."""
    mae: _AmplitudeLoss
    reduction, per = _REDUCTION[config.mae_reduction]
    if config.mae_normalization == "none":
        mae = AmplitudeMAE(config.intensity_scale, per=per, reduction=reduction)
    else:
        mae = AmplitudeL2MAE(config.mae_gain, config.eps, per=per, reduction=reduction)
    reduction, per = _REDUCTION[config.nll_reduction]
    nll = PoissonNLL(config.intensity_scale, config.nll_constant, per=per, reduction=reduction)
    return Losses(mae, nll)
