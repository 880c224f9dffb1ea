"""From what a network or a detector gives to amplitudes, with derivative 0 where the amplitude is 0."""

from typing import Any

import tensorflow as tf

Tensor = Any  # TensorFlow ships no types


def root(intensity: Tensor) -> Tensor:
    """sqrt(I) with derivative 0 at I = 0; NaN, also of a negative intensity, stays NaN."""
    dark = intensity == 0
    return tf.where(dark, tf.zeros_like(intensity), tf.sqrt(tf.where(dark, tf.ones_like(intensity), intensity)))


@tf.custom_gradient  # type: ignore[untyped-decorator]  # TensorFlow ships no types
def _direction(field: Tensor) -> tuple[Tensor, Any]:
    """z / |z|, 0 at z = 0; only what turns z changes it."""

    def backward(cotangent: Tensor) -> Tensor:
        unit = _direction(field)
        radius = modulus(field)
        across = tf.complex(-tf.math.imag(unit), tf.math.real(unit))
        turn = tf.math.real(tf.math.conj(across) * cotangent) / tf.where(radius == 0, tf.ones_like(radius), radius)
        return tf.complex(turn * tf.math.real(across), turn * tf.math.imag(across))

    radius = tf.abs(field)
    safe = tf.where(radius == 0, tf.ones_like(radius), radius)
    return tf.complex(tf.math.real(field) / safe, tf.math.imag(field) / safe), backward


@tf.custom_gradient  # type: ignore[untyped-decorator]  # TensorFlow ships no types
def modulus(field: Tensor) -> tuple[Tensor, Any]:
    """|z|, gradient z / |z| = d/dRe + i d/dIm, and 0 at z = 0.

    TensorFlow's own gradient of `abs` divides complex numbers: its denominator |z|^2 underflows, and the gradient of
    a small field is 0. So would that of a quotient, of which XLA makes x / (y * y).
    """

    def backward(cotangent: Tensor) -> Tensor:
        unit = _direction(field)
        return tf.complex(cotangent * tf.math.real(unit), cotangent * tf.math.imag(unit))

    return tf.abs(field), backward


def amplitude(tensor: Tensor, domain: str) -> Tensor:
    """Return the amplitude of a tensor in `domain`: itself, its square root or its modulus."""
    if domain == "intensity":
        return root(tensor)
    return modulus(tensor) if domain == "field" else tensor
