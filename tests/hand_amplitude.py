"""The two MAEs and their gradients by hand, in several algebras, every operation on a `Machine`, all orders at once.

Elements are flat: arrays are (K, N), K orders or 1, with N = B C H W; sums over scopes are spread back to elements.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.case import Case, Question
from conformance.tolerance.scopes import Scopes
from tests.orders import ORDERS, Order, Sums
from tests.rounded import Machine

Array = NDArray[Any]
FORMS = ("closed", "uniform", "quotient", "recomputed", "squared", "product")
"""How the coupling is made: from phat, weights first or last; by reverse mode of a / D, whose adjoint of D holds
phat / D, (a / D) / D or a / D^2; or by reverse mode of a (1 / D)."""


@dataclass(frozen=True)
class Result:
    """Value (K, *value_shape) and gradient (K, B, C, H, W), with a last axis of two components for a field."""

    value: Array
    gradient: Array
    sign: Array | None = None


def rows_of(label: Array) -> Array:
    """Return (number of labels, largest number of members) positions; the number of elements where there is no more."""
    flat = label.reshape(-1)
    members = [np.flatnonzero(flat == each) for each in np.unique(flat)]
    longest = max(each.size for each in members)
    return np.stack([np.pad(each, (0, longest - each.size), constant_values=flat.size) for each in members])


def flat(array: Array) -> Array:
    """Return (1, N)."""
    return array.reshape(1, -1)


class Reduction:
    """The weighted sum that a question's reduction takes, and the weight of an element in it."""

    def __init__(self, question: Question, machine: Machine, orders: Sequence[Order] = ORDERS, lose: bool = False) -> None:
        shape = question.prediction.shape
        sample = np.broadcast_to(np.arange(shape[0])[:, None, None, None], shape)
        self.question, self.machine = question, machine
        self.kind = question.parameters.reduction
        per_sample = self.kind in ("sample", "sample_sum")
        self.sums = Sums(machine, rows_of(sample if per_sample else np.zeros(shape, int)), sample.size, orders, lose)
        valid = np.sum(question.valid, axis=(1, 2, 3))
        self.count = {
            "mean": np.full(shape[0], np.sum(valid)),
            "sample": valid,
            "sample_sum": np.full(shape[0], shape[0]),
        }.get(self.kind, np.ones(shape[0], int))
        self.count = np.maximum(self.count, 1)
        self.valid = flat(question.valid)

    def weight(self) -> Array:
        """Return w, (1, N)."""
        shape = self.question.prediction.shape
        per_sample = self.machine.div(self.machine.enter(1.0), self.machine.enter(self.count))
        return flat(np.broadcast_to(per_sample[:, None, None, None], shape))

    def value(self, elements: Array, weights_first: bool) -> Array:
        """Reduce elements (K, N), multiplying each by its weight or dividing their sum by the number."""
        machine, shape = self.machine, self.question.prediction.shape
        elements = np.where(self.valid, elements, np.zeros((), machine.dtype))
        if self.kind == "none":
            return elements.reshape(-1, *shape)
        if weights_first and self.kind != "sum":
            total = self.sums.dot(elements, self.weight())
        else:
            total = self.sums.total(elements)
            if self.kind == "sample":
                total = machine.div(total, machine.enter(self.count))
            elif self.kind == "mean":
                total = machine.div(total, machine.enter(self.count[:1]))
        if self.kind == "sample":
            return total
        if self.kind == "sample_sum":
            whole = total[:, 0]
            for b in range(1, shape[0]):
                whole = machine.add(whole, total[:, b])
            return whole if weights_first else machine.div(whole, machine.enter(self.count[0]))
        return total[:, 0]


class Amplitude:
    """What a codepath makes of an input, and the way of a gradient back to it."""

    def __init__(self, given: Array, question: Question, machine: Machine, form: str, side: Array | int) -> None:
        self.machine, self.form, self.domain = machine, form, question.parameters.domain
        kept = flat(np.where(question.valid, given, 0))
        self.parts = [machine.enter(part) for part in ((kept.real, kept.imag) if self.domain == "field" else (kept,))]
        if self.domain == "amplitude":
            self.made = self.parts[0]
        elif self.domain == "intensity":
            self.made = machine.sqrt(self.parts[0], side)
        elif form in ("closed", "product"):
            self.made = machine.hypot(*self.parts, side)
        else:
            real, imaginary = self.parts
            self.made = machine.sqrt(machine.muladd(real, real, machine.mul(imaginary, imaginary)), side)

    def back(self, gradient: Array) -> Array:
        """Return the gradient with respect to the input, (K, N) or (K, N, 2); 0 at amplitude 0, as declared."""
        machine, made = self.machine, self.made
        if self.domain == "amplitude":
            return gradient
        dark, safe = made == 0, np.where(made == 0, np.ones((), machine.dtype), made)
        side = np.sign(gradient)
        if self.domain == "intensity":
            if self.form in ("closed", "squared"):
                slope = machine.div(gradient, machine.add(safe, safe), side)
            else:
                slope = machine.mul(machine.mul(machine.enter(0.5), gradient), machine.div(machine.enter(1.0), safe))
            return np.where(dark, 0, slope)
        if self.form in ("closed", "squared"):
            slopes = [machine.mul(gradient, machine.div(part, safe)) for part in self.parts]
        elif self.form == "uniform":
            slopes = [machine.div(machine.mul(gradient, part), safe) for part in self.parts]
        else:
            slopes = [machine.mul(part, machine.div(gradient, safe)) for part in self.parts]
        return np.stack([np.where(dark, 0, slope) for slope in slopes], axis=-1)


def _side(case: Case) -> Array:
    """Return the direction that takes the own array away from the other; 0 at exact ties, where both round alike."""
    sign = np.zeros(case.question.prediction.shape) if case.truth.sign is None else case.truth.sign
    return flat(-sign if case.question.parameters.wrt == "target" else sign).astype(int)


def _ordered(question: Question) -> tuple[Array, Array]:
    pair = (question.prediction, question.target)
    return pair[::-1] if question.parameters.wrt == "target" else pair


def _sign(left: Array, right: Array) -> Array:
    """Compare the rounded operands; NaN beside a NaN, so that an overflow of either is not silently a sign of 0."""
    sign = (left > right).astype(left.dtype) - (left < right).astype(left.dtype)
    return np.where(np.isnan(left) | np.isnan(right), np.nan, sign).astype(left.dtype)


def _result(question: Question, value: Array, gradient: Array, sign: Array | None = None) -> Result:
    shape = question.prediction.shape
    orders = value.shape[0]
    valid = flat(question.valid)
    gradient = np.where(valid if gradient.ndim == 2 else valid[..., None], gradient, 0)
    gradient = np.broadcast_to(gradient, (max(orders, gradient.shape[0]), *gradient.shape[1:]))
    return Result(value, gradient.reshape(gradient.shape[0], *shape, *gradient.shape[2:]), None if sign is None else np.nan_to_num(np.broadcast_to(sign, (gradient.shape[0], sign.shape[1]))[0].reshape(shape) * (-1 if question.parameters.wrt == "target" else 1)).astype(np.int8))


def l2_mae(case: Case, machine: Machine, form: str, orders: Sequence[Order] = ORDERS, lose: bool = False) -> Result:
    """Loss 1. Where a machine leans `apart`, it leans away from the other array at every element."""
    question, one = case.question, machine.enter(1.0)
    options = question.parameters
    side = _side(case)
    own, other = (Amplitude(x, question, machine, form, y) for x, y in zip(_ordered(question), (side, -side)))
    scopes = Scopes(question)
    member = np.broadcast_to(scopes.label[:, :, None, None], question.prediction.shape).reshape(-1)
    member = np.unique(member, return_inverse=True)[1].reshape(-1)
    sums = Sums(machine, rows_of(member), member.size, orders, lose)
    eps = machine.enter(options.eps)
    apart = np.any(np.append(side, 0)[sums.rows] != 0, axis=1).astype(int)  # where all is tied, both norms round alike

    def normaliser(amplitude: Array, lean: Array) -> tuple[Array, Array, Array]:
        energy = sums.dot(amplitude, amplitude)
        norm = machine.sqrt(energy, lean)
        held = np.where(np.isfinite(norm), np.maximum(norm, eps), np.nan).astype(machine.dtype)
        return held[:, member], (norm <= eps)[:, member], norm[:, member]

    own_norm, dark, raw_norm = normaliser(own.made, -apart)
    other_norm, _, _ = normaliser(other.made, apart)
    reciprocal = form == "product"
    if reciprocal:
        unlike = (own_norm != other_norm).astype(int)
        own_inverse, other_inverse = machine.div(one, own_norm, unlike), machine.div(one, other_norm, -unlike)
        phat, that = machine.mul(own.made, own_inverse), machine.mul(other.made, other_inverse)
        difference = machine.muladd(own.made, own_inverse, -that)
    else:
        phat, that = machine.div(own.made, own_norm, side), machine.div(other.made, other_norm, -side)
        difference = machine.sub(phat, that)
    sign = _sign(phat, that)
    elements = np.abs(difference)
    reduction = Reduction(question, machine, orders, lose)
    weight = reduction.weight()
    if options.gain == "unit_rms":
        gain = machine.sqrt(machine.enter(flat(np.broadcast_to(scopes.size, question.prediction.shape))))
        elements, weight = machine.mul(elements, gain), machine.mul(weight, gain)
    value = reduction.value(elements, weights_first=form in ("uniform", "product"))

    zero = np.zeros((), machine.dtype)
    valid = flat(question.valid)
    sign = np.where(valid, sign, zero)
    up = machine.mul(weight, sign)
    if form == "uniform":  # one weight per scope, applied last
        coupling = np.where(dark, zero, sums.dot(sign, phat)[:, member])
        gradient = machine.mul(weight, machine.div(machine.muladd(-phat, coupling, sign), own_norm, sign))
    elif form == "closed":
        coupling = np.where(dark, zero, sums.dot(up, phat)[:, member])
        gradient = machine.div(machine.muladd(-phat, coupling, up), own_norm, sign)
    else:
        direct = machine.mul(up, own_inverse) if reciprocal else machine.div(up, own_norm, sign)
        if reciprocal:
            of_norm = machine.mul(machine.mul(sums.dot(up, own.made)[:, member], own_inverse), own_inverse)
        elif form == "quotient":
            of_norm = sums.total(machine.div(machine.mul(up, phat), own_norm, side))[:, member]
        elif form == "recomputed":
            of_norm = sums.dot(up, machine.div(machine.div(own.made, own_norm, side), own_norm, side))[:, member]
        else:
            square = machine.mul(own_norm, own_norm)
            of_norm = sums.total(machine.div(machine.mul(up, own.made), square, side))[:, member]
        safe = np.where(raw_norm == 0, one, raw_norm)
        of_energy = machine.div(-of_norm, machine.add(safe, safe), side)
        coupled = machine.mul(machine.add(own.made, own.made), of_energy)
        if form == "recomputed":  # a * a has two equal adjoints
            coupled = machine.muladd(own.made, of_energy, machine.mul(own.made, of_energy))
        gradient = machine.add(direct, np.where(dark, zero, coupled))
    return _result(question, value, own.back(gradient), sign)


def mae(case: Case, machine: Machine, form: str, orders: Sequence[Order] = ORDERS, lose: bool = False) -> Result:
    """The legacy MAE: s p - s t or s (p - t), signs from the operands of the subtraction."""
    question = case.question
    side = _side(case)
    own, other = (Amplitude(x, question, machine, form, y) for x, y in zip(_ordered(question), (side, -side)))
    scale = machine.enter(question.parameters.scale.value if question.parameters.scale else 1.0)
    left, right = own.made, other.made
    if form in ("closed", "quotient"):
        left, right = machine.mul(scale, left), machine.mul(scale, right)
        difference = machine.sub(left, right)
        if machine.fused:
            difference = machine.muladd(scale, own.made, -right)
    else:
        difference = machine.mul(scale, machine.sub(left, right))
    sign = _sign(left, right)
    reduction = Reduction(question, machine, orders, lose)
    value = reduction.value(np.abs(difference), weights_first=form in ("uniform", "product"))
    gradient = machine.mul(scale, machine.mul(reduction.weight(), sign))
    return _result(question, value, own.back(gradient), sign)
