"""The two MAEs and their gradients by hand, in several algebras, every operation on a `Machine`, all orders at once."""

from typing import Any

import numpy as np
from hand_parts import Amplitude, Reduction, Result, Setting, flat, settled
from numpy.typing import NDArray

from conformance.tolerance.scopes import Scopes

Array = NDArray[Any]
L2_FORMS = ("closed", "uniform", "quotient", "recomputed", "squared", "product")
"""How the coupling is made: from phat, weights first, or last where they are the same all over; by reverse mode of
a / D, whose adjoint of D holds phat / D, (a / D) / D or a / D^2; by reverse mode of a (1 / D)."""
MAE_FORMS = ("closed", "uniform")
"""s p - s t, or s (p - t)."""


def _side(setting: Setting) -> Array:
    """Return the direction that takes the own array away from the other; 0 at exact ties, where both round alike."""
    truth, question = setting.case.truth, setting.question
    assert truth.sign is not None
    return flat(-truth.sign if question.parameters.wrt == "target" else truth.sign).astype(int)


def _pair(setting: Setting, side: Array) -> tuple[Amplitude, Amplitude]:
    """Return the amplitudes: the own one, which the gradient is taken of, and the other."""
    question = setting.question
    given = (question.prediction, question.target)
    own, other = given[::-1] if question.parameters.wrt == "target" else given
    return Amplitude(own, setting, side), Amplitude(other, setting, -side)


def sign_of(left: Array, right: Array) -> Array:
    """Compare the rounded operands; NaN beside a NaN, so that an overflow of either is not silently a sign of 0."""
    sign = (left > right).astype(left.dtype) - (left < right).astype(left.dtype)
    return np.where(np.isnan(left) | np.isnan(right), np.nan, sign).astype(left.dtype)


class L2:
    """Loss 1 of one setting. Where a machine leans `apart`, it leans away from the other array at every element.

    What is the same in both arrays, up to a power of two, is rounded alike: norms where all is tied, equal numbers.
    """

    def __init__(self, setting: Setting, contracted_signs: bool = False) -> None:
        self.setting, self.machine, self.form = setting, setting.machine, setting.form
        machine, scopes, shape = self.machine, Scopes(setting.question), setting.question.prediction.shape
        self.side = _side(setting)
        self.own, self.other = _pair(setting, self.side)
        label = np.broadcast_to(scopes.label[:, :, None, None], shape)
        self.row = np.unique(label, return_inverse=True)[1].reshape(-1)
        self.sums, self.eps = setting.sums(self.row), machine.enter(setting.question.parameters.eps)
        apart = settled(self.row, self.side).astype(int)
        self.norm, self.divisor = self._normaliser(self.own.made, -apart)
        _, other_divisor = self._normaliser(self.other.made, apart)
        self.dark = self.norm <= self.eps
        self.reduction = Reduction(setting)
        self.gain = machine.sqrt(machine.enter(flat(np.broadcast_to(scopes.size, shape))))
        if self.form == "product":
            unlike = (self.divisor != other_divisor) * apart[self.row]
            self.inverse = machine.div(machine.enter(1.0), self.divisor, unlike)
            that = machine.mul(self.other.made, machine.div(machine.enter(1.0), other_divisor, -unlike))
            self.phat = machine.mul(self.own.made, self.inverse)
            self.difference = machine.muladd(self.own.made, self.inverse, -that)
        else:
            self.phat = machine.div(self.own.made, self.divisor, self.side)
            that = machine.div(self.other.made, other_divisor, -self.side)
            self.difference = machine.sub(self.phat, that)
        sign = np.sign(self.difference) if contracted_signs else sign_of(self.phat, that)
        self.sign = np.where(flat(setting.question.valid), sign, 0).astype(machine.dtype)

    def _normaliser(self, amplitude: Array, lean: Array) -> tuple[Array, Array]:
        """Return norm and max(norm, eps) of the scope of each element; an overflow is a NaN, as the contract wants."""
        norm = self.machine.sqrt(self.sums.dot(amplitude, amplitude), lean)
        divisor = np.where(np.isfinite(norm), np.maximum(norm, self.eps), np.nan).astype(self.machine.dtype)
        return norm[:, self.row], divisor[:, self.row]

    def _gained(self, numbers: Array) -> Array:
        unit_rms = self.setting.question.parameters.gain == "unit_rms"
        return self.machine.mul(numbers, self.gain) if unit_rms else numbers

    def value(self) -> Array:
        return self.reduction.value(self._gained(np.abs(self.difference)), self.form in ("uniform", "product"))

    def gradient(self) -> Array:
        machine, weight = self.machine, self._gained(self.reduction.weight())
        up = machine.mul(weight, self.sign)
        if self.form == "uniform":
            coupling = self._coupled(self.sums.dot(self.sign, self.phat))
            net = machine.muladd(-self.phat, coupling, self.sign)
            return machine.mul(weight, machine.div(net, self.divisor, self.sign))
        if self.form == "closed":
            coupling = self._coupled(self.sums.dot(up, self.phat))
            return machine.div(machine.muladd(-self.phat, coupling, up), self.divisor, self.sign)
        return self._reverse_mode(up)

    def _coupled(self, totals: Array) -> Array:
        """Spread totals over their scopes; nothing is coupled where eps bounds the norm."""
        return np.where(self.dark, np.zeros((), self.machine.dtype), totals[:, self.row])

    def _reverse_mode(self, up: Array) -> Array:
        machine, own, divisor, side = self.machine, self.own.made, self.divisor, self.side
        direct = machine.mul(up, self.inverse) if self.form == "product" else machine.div(up, divisor, self.sign)
        if self.form == "product":
            total = self.sums.dot(up, own)
        elif self.form == "quotient":
            total = self.sums.total(machine.div(machine.mul(up, self.phat), divisor, side))
        elif self.form == "recomputed":
            total = self.sums.dot(up, machine.div(machine.div(own, divisor, side), divisor, side))
        else:
            total = self.sums.total(machine.div(machine.mul(up, own), machine.mul(divisor, divisor), side))
        of_norm = self._coupled(total)
        if self.form == "product":
            of_norm = machine.mul(machine.mul(of_norm, self.inverse), self.inverse)
        norm = np.where(self.norm == 0, machine.enter(1.0), self.norm)
        of_energy = machine.div(-of_norm, machine.add(norm, norm), side)
        if self.form == "recomputed":  # a * a has two equal adjoints
            coupled = machine.muladd(own, of_energy, machine.mul(own, of_energy))
        else:
            coupled = machine.mul(machine.add(own, own), of_energy)
        return machine.add(direct, coupled)


def l2_mae(setting: Setting, contracted_signs: bool = False) -> Result:
    """Loss 1 and its gradient; signs from the two rounded operands, or from a difference that was contracted."""
    loss = L2(setting, contracted_signs)
    return setting.result(loss.value(), loss.own.back(loss.gradient()))


def mae(setting: Setting) -> Result:
    """The legacy MAE and its gradient, signs from the operands of the subtraction."""
    machine, question = setting.machine, setting.question
    own, other = _pair(setting, _side(setting))
    scale = machine.enter(question.parameters.scale.value if question.parameters.scale else 1.0)
    if setting.form == "closed":
        left, right = machine.mul(scale, own.made), machine.mul(scale, other.made)
        difference = machine.muladd(scale, own.made, -right)
    else:
        left, right = own.made, other.made
        difference = machine.mul(scale, machine.sub(left, right))
    reduction = Reduction(setting)
    value = reduction.value(np.abs(difference), weights_first=setting.form == "uniform")
    gradient = machine.mul(scale, machine.mul(reduction.weight(), sign_of(left, right)))
    return setting.result(value, own.back(gradient))
