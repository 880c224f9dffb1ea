"""From a photon number to the intensity scale of a data set, in TensorFlow."""

import tensorflow as tf

from conformance.codepaths.config import SCALE_SOURCES, choose
from conformance.codepaths.tensorflow_inputs import Tensor, number, operands


def intensity_scale(y_true: Tensor, nphotons: float, *, source: str = "dataset", mask: Tensor = None) -> Tensor:
    """Scale s that turns a normalised amplitude into one whose square is photons per pixel.

        dataset:      s = sqrt(nphotons / mean over (B, C) of sum over (H, W) of t^2)
        closed_form:  s = sqrt(nphotons) / (N / 2)

    Parameters
    ----------
    y_true : tensor (B, H, W, C), float64, float32, bfloat16 or float16
        t, all of the data set: a scale taken per shard or per batch is another function. For `closed_form` only its
        shape counts, H = W = N.
    nphotons : float
        Mean number of photons in one diffraction pattern, finite and above 0.
    source : {"dataset", "closed_form"}
        `closed_form` is right only for data normalised to a mean sum of t^2 of (N / 2)^2.
    mask : tensor of bool, integers or real floats, rank 4, each axis that of `y_true` or 1, optional
        Nonzero: valid. Masked elements add nothing and may hold NaN; the mean is over all B * C patterns.

    Returns
    -------
    scalar tensor
        s, in sqrt(photons) per unit of amplitude, in the dtype of `y_true`, float32 for half types; without gradient.
        inf for a data set without light; NaN where the sum of squares overflows or a valid element is not finite.

    Raises
    ------
    TypeError, ValueError
        A dtype, shape, mask or number other than these; frames that are not square for `closed_form`.

    Source: docs/contract.md, `intensity_scale`, whose arguments have other names and another order.
    """
    choose("source", source, SCALE_SOURCES)
    t, _, _ = operands(y_true, y_true, mask)
    photons = number("nphotons", nphotons, t.dtype)
    if source == "closed_form":
        side, other = t.shape[1], t.shape[2]
        if side is None or side != other:
            raise ValueError(f"y_true: got shape {tuple(t.shape)}, wanted square frames of known side for closed_form")
        return tf.constant(photons**0.5 / (side / 2), t.dtype)
    intensity = tf.reduce_mean(tf.reduce_sum(tf.square(t), (1, 2)))
    known = tf.where(tf.math.is_finite(intensity), intensity, tf.constant(float("nan"), t.dtype))
    return tf.stop_gradient(tf.sqrt(photons / known))
