"""TensorFlow losses on channels-last tensors (B, H, W, C), arguments in Keras' order `(y_true, y_pred)`.

The docstrings of the reference are the contract; these are written independently of it. The serialisable Keras
objects are in `keras_losses`.
"""

from typing import Any

import tensorflow as tf

from conformance.codepaths.config import (
    DEFAULT_EPS,
    MAE_GAINS,
    MAE_REDUCTIONS,
    NLL_CONSTANTS,
    NLL_REDUCTIONS,
    SCALE_SOURCES,
    choose,
)

SAMPLE = (1, 2, 3)
LOG_2_PI = 1.8378770664093453
Tensor = Any  # TensorFlow ships no types


def checked(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Return both as tensors; refuse wrong ranks, dtypes and shapes as far as they are known."""
    y_true, y_pred = tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)
    for name, tensor in (("y_true", y_true), ("y_pred", y_pred)):
        if tensor.dtype not in (tf.float32, tf.float64):
            raise TypeError(f"{name}: got {tensor.dtype.name}, wanted float32 or float64; cast it on purpose")
        shape = tensor.shape
        if shape.rank is not None and (shape.rank != 4 or 0 in shape.as_list()):
            raise ValueError(f"{name}: got shape {tuple(shape)}, wanted four non-empty axes (B, H, W, C)")
    if y_true.dtype != y_pred.dtype:
        raise TypeError(
            f"dtypes differ: y_true {y_true.dtype.name}, y_pred {y_pred.dtype.name}; cast one of them on purpose"
        )
    if not y_true.shape.is_compatible_with(y_pred.shape):
        raise ValueError(f"shapes differ: y_true {tuple(y_true.shape)}, y_pred {tuple(y_pred.shape)}; no broadcasting")
    return y_true, y_pred


def _scalar(scale: Tensor, like: Tensor) -> Tensor:
    scalar = tf.stop_gradient(
        tf.cast(tf.convert_to_tensor(scale), like.dtype) if tf.is_tensor(scale) else tf.constant(scale, like.dtype)
    )
    if scalar.shape.rank != 0:
        raise ValueError(f"scale: got shape {tuple(scalar.shape)}, wanted a scalar; one data set has one scale")
    return scalar


def _modulus(left: Tensor, right: Tensor) -> Tensor:
    """|left - right| with sign(0) = 0, the sign from comparisons: a fused multiply-add cannot unmake a tie."""
    sign = tf.cast(left > right, left.dtype) - tf.cast(left < right, left.dtype)
    return sign * (left - right)


def _unit(amplitude: Tensor, eps: float) -> Tensor:
    energy = tf.reduce_sum(tf.square(amplitude), SAMPLE, keepdims=True)
    lit = energy > 0
    norm = tf.where(lit, tf.sqrt(tf.where(lit, energy, tf.ones_like(energy))), tf.zeros_like(energy))
    return amplitude / tf.maximum(norm, tf.constant(eps, amplitude.dtype))


def reduced(elements: Tensor, reduction: str, choices: tuple[str, ...]) -> Tensor:
    """Reduce element losses (B, H, W, C) as the contract says."""
    choose("reduction", reduction, choices)
    if reduction == "mean":
        return tf.reduce_mean(elements)
    if reduction == "sum":
        return tf.reduce_sum(elements)
    if reduction == "sample":
        return tf.reduce_mean(elements, SAMPLE)
    if reduction == "sample_sum":
        return tf.reduce_mean(tf.reduce_sum(elements, SAMPLE))
    return elements


def amplitude_l2_mae(
    y_true: Tensor, y_pred: Tensor, *, reduction: str = "mean", gain: str = "unit_l2", eps: float = DEFAULT_EPS
) -> Tensor:
    """MAE of amplitudes that are each divided by max(||.||, eps) over (H, W, C) of each sample."""
    y_true, y_pred = checked(y_true, y_pred)
    choose("gain", gain, MAE_GAINS)
    elements = _modulus(_unit(y_pred, eps), _unit(y_true, eps))
    if gain == "unit_rms":
        elements = elements * tf.sqrt(tf.cast(tf.size(elements[0]), elements.dtype))
    return reduced(elements, reduction, MAE_REDUCTIONS)


def amplitude_mae(y_true: Tensor, y_pred: Tensor, scale: Tensor = 1.0, *, reduction: str = "mean") -> Tensor:
    """Legacy MAE |s p - s t| of scaled amplitudes."""
    y_true, y_pred = checked(y_true, y_pred)
    s = _scalar(scale, y_pred)
    return reduced(_modulus(s * y_pred, s * y_true), reduction, MAE_REDUCTIONS)


@tf.custom_gradient  # type: ignore[untyped-decorator]  # TensorFlow ships no types
def _rate_term(p: Tensor, t: Tensor, s: Tensor) -> tuple[Tensor, Any]:
    """lambda - k log(lambda), with the gradient in closed form: autodiff of it cancels and is NaN at k = lambda = 0."""
    rate = tf.square(s * p)

    def backward(cotangent: Tensor) -> tuple[Tensor, Tensor, None]:
        slope = cotangent * 2 * tf.square(s)
        silent = (p == 0) & (t == 0)
        of_p = slope * ((p - t) * (p + t) / tf.where(silent, tf.ones_like(p), p))
        of_t = -slope * tf.math.xlogy(t, tf.square(s * p))
        return of_p, of_t, None

    return rate - tf.math.xlogy(tf.square(s * t), rate), backward


def poisson_nll(
    y_true: Tensor, y_pred: Tensor, scale: Tensor, *, constant: str = "none", reduction: str = "mean"
) -> Tensor:
    """Poisson negative log-likelihood of k = (s t)^2 under lambda = (s p)^2, in absolute photons."""
    y_true, y_pred = checked(y_true, y_pred)
    choose("constant", constant, NLL_CONSTANTS)
    s = _scalar(scale, y_pred)
    elements = _rate_term(y_pred, y_true, s)
    counts = tf.square(s * y_true)
    if constant == "lgamma":
        elements = elements + tf.math.lgamma(counts + 1)
    elif constant == "stirling":
        many = counts > 1
        k = tf.where(many, counts, tf.ones_like(counts))
        log_k = tf.math.log(k)
        elements = elements + tf.where(many, k * log_k - k + 0.5 * (LOG_2_PI + log_k), tf.zeros_like(k))
    return reduced(elements, reduction, NLL_REDUCTIONS)


def intensity_scale(y_true: Tensor, nphotons: float, *, source: str = "dataset") -> Tensor:
    """Scale s from a photon number: `dataset`, from the mean intensity of `y_true`, or `closed_form`, from its side."""
    choose("source", source, SCALE_SOURCES)
    if not 0.0 < nphotons < float("inf"):
        raise ValueError(f"nphotons: got {nphotons!r}, wanted a finite number above 0")
    y_true, _ = checked(y_true, y_true)
    if source == "closed_form":
        return tf.constant(nphotons**0.5 / (y_true.shape[1] / 2), y_true.dtype)
    return tf.stop_gradient(tf.sqrt(nphotons / tf.reduce_mean(tf.reduce_sum(tf.square(y_true), (1, 2)))))
