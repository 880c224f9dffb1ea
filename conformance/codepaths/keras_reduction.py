"""What the Keras losses share: precision, a constant mask, and which numbers Keras reduces and weights."""

from typing import Any

import keras
import tensorflow as tf

from conformance.codepaths.config import choose
from conformance.codepaths.tensorflow_inputs import Tensor, validity
from conformance.codepaths.tensorflow_reduction import SAMPLE, count, reduced

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"conformance.codepaths.keras_losses: the Keras backend is {keras.backend.backend()!r}, wanted 'tensorflow'; "
        "set KERAS_BACKEND=tensorflow before Keras is imported, or use torch_losses in a Torch training loop"
    )

PER = ("element", "sample_mean", "sample_sum")
MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")
"""Keras' reductions that divide by a number of elements, or by their weights."""


class _Reduction(keras.losses.Loss):  # type: ignore[misc]  # Keras ships no types
    """Keras' own weighting and reduction of losses that are given to it as `y_true`."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return y_true


def _detector(mask: Any) -> Tensor:
    """Return a constant mask (1, H, W, 1 or C) as booleans that every later graph can hold; None without a mask."""
    if mask is None:
        return None
    with tf.init_scope():
        constant = tf.convert_to_tensor(mask)
        if constant.shape.rank != 4 or constant.shape[0] != 1 or 0 in constant.shape:
            raise ValueError(
                f"mask: got shape {constant.shape}, wanted (1, H, W, 1) or (1, H, W, C), one mask for all samples; "
                "call tensorflow_losses from a custom train_step where the mask differs between samples"
            )
        return validity(constant, constant)


def _broadcast(sample_weight: Any, values: Tensor) -> Tensor:
    """Return weights (), (B,), (B, 1), (B, H, W), ... as one for each value: leading axes meet leading axes."""
    weight = tf.cast(tf.convert_to_tensor(sample_weight), values.dtype)
    got, rank = weight.shape, values.shape.rank
    if got.rank is None:
        raise ValueError("sample_weight: got an unknown rank, wanted one weight per sample or per element")
    axes = [*got.as_list(), *[1] * (rank - got.rank)]
    if any(axis not in (1, None) for axis in axes[rank:]) or any(
        axis not in (1, None) and full not in (axis, None) for axis, full in zip(axes, values.shape.as_list())
    ):
        raise ValueError(
            f"sample_weight: got shape {got}, wanted leading axes that are those of the losses {values.shape} or 1"
        )
    kept = tf.shape(weight)[: min(rank, got.rank)]
    ones = tf.ones([max(rank - got.rank, 0)], tf.int32)
    return tf.broadcast_to(tf.reshape(weight, tf.concat([kept, ones], 0)), tf.shape(values))


class AmplitudeLoss(keras.losses.Loss):  # type: ignore[misc]  # Keras ships no types
    """Base of the three losses.

    Parameters
    ----------
    mask : array of shape (1, H, W, 1) or (1, H, W, C), optional
        The detector's: bool, integer or real, nonzero = valid. Masked elements count nowhere.
    per : {"element", "sample_mean", "sample_sum"}
        What `call` returns, before Keras applies `reduction` and sample weights: one loss per element (B, H, W, C),
        or one per sample (B,), the mean or the sum of its valid elements.
    reduction : str
        Keras' own. "sum_over_batch_size" divides the sum by the number of valid elements of the whole batch, or of
        samples where losses are per sample; "sum"; "none".
    dtype : str, optional
        As in Keras, but never narrower than the prediction or than float32: Keras casts a float64 prediction down to
        `dtype`, and reduces half types as such. The value has the computing dtype, the gradient the prediction's.

    Notes
    -----
    Sample weights multiply what `call` returns and leave the divisor as it is, as everywhere in Keras: of weights w
    the default gives sum(w loss) / number of valid elements. Keras' "mean_with_sample_weight" divides by the sum of
    the weights of valid elements instead. One weight per sample (B,) weights each of its elements. Weights do not
    enter norms and normalisers; only a mask keeps an element out of them.

    Under `tf.distribute` a loss sees the part of the batch that one replica has. That is another loss where numbers
    are taken over the batch: the scope `batch`, the normaliser `batch_mean_amplitude`.
    """

    def __init__(self, mask: Any, per: str, reduction: str, name: str, dtype: Any) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.per = choose("per", per, PER)
        self.mask = _detector(mask)

    def _held(self, tensor: Tensor, precision: str) -> Tensor:
        if tensor.dtype.is_complex:
            return tf.cast(tensor, tf.complex128 if precision == "float64" else tf.complex64)
        return tf.cast(tensor, precision) if tensor.dtype.is_floating else tensor

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> Tensor:
        target, prediction = tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)
        precision = "float64" if "float64" in (self.dtype, prediction.dtype.real_dtype.name) else "float32"
        values = self.call(self._held(target, precision), self._held(prediction, precision))
        hidden = getattr(y_pred, "_keras_mask", None)
        if hidden is None and self._means_of_pixels(values, sample_weight):
            values = tf.reduce_mean(values, -1)
        weights = None if sample_weight is None else _broadcast(sample_weight, values)
        if weights is None and hidden is not None and self.reduction == "mean_with_sample_weight":
            weights = tf.ones_like(values)  # or Keras divides by the sum of its mask, whatever that is broadcast to
        if self.mask is not None and self.per == "element":
            values, weights = self._over_valid(values, weights)
        carrier = values if prediction.dtype.is_complex else y_pred  # of the mask that a Keras layer may have set
        return _Reduction(self.name, self.reduction, precision)(values, carrier, weights)

    def _means_of_pixels(self, values: Tensor, sample_weight: Any) -> bool:
        """Whether each pixel's channels may be averaged first, as Keras' own losses do: then the mean of all is theirs
        in every bit. Not under a mask, nor with weights that have an axis for channels."""
        if self.mask is not None or values.shape.rank != 4 or self.reduction not in MEANS:
            return False
        rank = 0 if sample_weight is None else tf.convert_to_tensor(sample_weight).shape.rank
        return rank is not None and rank < 4

    def _over_valid(self, values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Make Keras' mean over all elements the one over valid elements: all samples have equally many of them."""
        valid = validity(self.mask, values)
        if weights is not None:
            weights = tf.where(valid, weights, tf.zeros_like(weights))
        by_weights = self.reduction == "mean_with_sample_weight" and weights is not None
        if by_weights or self.reduction in ("sum", "none", None):
            return values, weights
        shared = tf.maximum(count(valid, values, SAMPLE), 1)
        return values * tf.cast(count(None, values, SAMPLE) / shared, values.dtype), weights

    def elements(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} is abstract: build AmplitudeL2MAE, AmplitudeMAE or PoissonNLL")

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        elements = self.elements(y_true, y_pred)
        if self.per == "sample_sum":
            return tf.reduce_sum(elements, SAMPLE)
        return reduced(elements, validity(self.mask, elements), "sample" if self.per == "sample_mean" else "none")

    def get_config(self) -> dict[str, Any]:
        mask = None if self.mask is None else tf.cast(self.mask, tf.int32).numpy().tolist()
        return {**super().get_config(), "mask": mask, "per": self.per, "dtype": self.dtype}
