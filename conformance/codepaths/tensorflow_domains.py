"""From what a network or a detector gives to amplitudes, with derivative 0 where the amplitude is 0."""

from typing import Any

import tensorflow as tf

Tensor = Any  # TensorFlow ships no types


def root(intensity: Tensor) -> Tensor:
    """sqrt(I) with derivative 0 at I = 0; NaN, also of a negative intensity, stays NaN."""
    dark = intensity == 0
    return tf.where(dark, tf.zeros_like(intensity), tf.sqrt(tf.where(dark, tf.ones_like(intensity), intensity)))


@tf.custom_gradient  # type: ignore[untyped-decorator]  # TensorFlow ships no types
def modulus(field: Tensor) -> tuple[Tensor, Any]:
    """|z|, gradient z / |z| = d/dRe + i d/dIm, and 0 at z = 0.

    TensorFlow's own gradient of `abs` divides complex numbers: its denominator |z|^2 underflows, and the gradient of
    a small field is 0.
    """

    def backward(cotangent: Tensor) -> Tensor:
        radius = modulus(field)  # itself, not `tf.abs`, so that a second derivative is right too
        dark = radius == 0
        safe = tf.where(dark, tf.ones_like(radius), radius)
        real, imaginary = tf.math.real(field) / safe, tf.math.imag(field) / safe
        return tf.complex(cotangent * real, cotangent * imaginary)

    return tf.abs(field), backward


def amplitude(tensor: Tensor, domain: str) -> Tensor:
    """Return the amplitude of a tensor in `domain`: itself, its square root or its modulus."""
    if domain == "intensity":
        return root(tensor)
    return modulus(tensor) if domain == "field" else tensor
