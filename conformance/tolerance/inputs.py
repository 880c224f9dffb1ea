"""From what a codepath is given to the two amplitudes that the formulas of the MAEs speak of, and back."""

from dataclasses import dataclass

import numpy as np

from conformance.case import Array, Float64, Question
from conformance.tolerance.arithmetic import DIVISION, EVALUATION, MODULUS, SQUARE_ROOT, Arithmetic

ROUNDINGS = {"amplitude": 0, "intensity": SQUARE_ROOT, "field": MODULUS}
"""Relative error, in units of u, of an amplitude that is made from the input."""
CHAIN = DIVISION + 2
"""Roundings of the derivative of that step: 1 / (2 a), or the components of z / |z|."""


@dataclass(frozen=True)
class Amplitudes:
    """The amplitudes of a question: `own`, which the gradient is taken of, and `other`; 0 where masked or not finite.

    `roundings` is the relative error with which a codepath makes them, in units of u. `forms` are the raw inputs that
    two proportional problems share up to a power of two.
    """

    own: Float64
    other: Float64
    roundings: int
    own_form: Float64
    other_form: Float64


def finite(array: Array, question: Question) -> Array:
    """Return the array with 0 where it is masked, not finite or a negative intensity: no tolerance is taken there."""
    usable = question.valid & np.isfinite(array)
    if question.parameters.domain == "intensity":
        usable &= array >= 0
    return np.where(usable, array, 0)


def _form(array: Array, domain: str) -> Float64:
    """Return (..., K) numbers whose common power of two carries over to the amplitude without rounding."""
    if domain == "field":
        return np.stack([np.abs(array.real), np.abs(array.imag)], axis=-1)
    return np.asarray(array.real[..., None], np.float64)


def amplitudes(question: Question) -> Amplitudes:
    """Return the amplitudes of prediction and target, in the order that `wrt` asks for."""
    domain = question.parameters.domain
    given = [finite(array, question) for array in (question.prediction, question.target)]
    if question.parameters.wrt == "target":
        given.reverse()
    if domain == "field":
        made = [np.abs(array) for array in given]
    elif domain == "intensity":
        made = [np.sqrt(array) for array in given]
    else:
        made = given
    return Amplitudes(made[0], made[1], ROUNDINGS[domain], _form(given[0], domain), _form(given[1], domain))


def slopes(question: Question) -> Float64:
    """Return |d a / d input| per component; shape (B, C, H, W), or (B, C, H, W, 2) for a field. 0 at 0, as declared."""
    own = finite(question.of_gradient, question)
    if question.parameters.domain == "amplitude":
        return np.ones(own.shape)
    if question.parameters.domain == "intensity":
        return np.where(own > 0, 0.5 / np.sqrt(np.where(own > 0, own, 1.0)), 0.0)
    modulus = np.abs(own)
    components = np.abs(components_of(own))
    return np.where(modulus > 0, 1.0, 0.0)[..., None] * components / np.where(modulus > 0, modulus, 1.0)[..., None]


def components_of(array: Array) -> Float64:
    """Return a complex array as real and imaginary part along a new last axis, a real one as it is."""
    if array.dtype.kind == "c":
        return np.stack([array.real, array.imag], axis=-1).astype(np.float64)
    return array.astype(np.float64)


def of_input(tolerance: Float64, gradient: Float64, question: Question, arithmetic: Arithmetic) -> Float64:
    """Return the tolerance of the gradient with respect to the input, from that with respect to the amplitude.

    `gradient` bounds the modulus of the latter. One more factor, of relative error gm(CHAIN + ROUNDINGS).
    """
    domain = question.parameters.domain
    valid = question.valid
    if domain == "amplitude":
        return np.where(valid, tolerance, 0.0)
    grown = arithmetic.grow(CHAIN + ROUNDINGS[domain])
    both = tolerance * (1 + grown) + grown * gradient
    factor = slopes(question)
    if domain == "field":
        both, valid = both[..., None], valid[..., None]
    return np.where(valid, (factor * both + 2 * arithmetic.smallest_normal) * EVALUATION, 0.0)
