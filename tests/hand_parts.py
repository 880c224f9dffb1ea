"""What every loss by hand is made of: flat elements, amplitudes with the way back from them, weighted sums."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from orders import ORDERS, Order, Sums
from rounded import Machine

from conformance.case import Bool, Case, Question

Array = NDArray[Any]


@dataclass(frozen=True)
class Result:
    """Value (K, *value_shape) and gradient (K, B, C, H, W), K orders; of a field with a last axis of two components."""

    value: Array
    gradient: Array


@dataclass(frozen=True)
class Setting:
    """A case on a machine: the algebra, the orders of every sum, and whether each sum forgets a term."""

    case: Case
    machine: Machine
    form: str
    orders: Sequence[Order] = ORDERS
    lose: bool = False

    @property
    def question(self) -> Question:
        return self.case.question

    def sums(self, label: Array) -> Sums:
        """Return sums over the elements of one label."""
        return Sums(self.machine, rows_of(label), label.size, self.orders, self.lose)

    def result(self, value: Array, gradient: Array) -> Result:
        """Bring flat gradients (K, N) or (K, N, 2) into shape, 0 where masked."""
        valid = flat(self.question.valid)
        gradient = np.where(valid if gradient.ndim == 2 else valid[..., None], gradient, 0)
        return Result(value, gradient.reshape(-1, *self.question.prediction.shape, *gradient.shape[2:]))


def flat(array: Array) -> Array:
    """Return (1, N)."""
    return array.reshape(1, -1)


def rows_of(label: Array) -> Array:
    """Return (number of labels, most members) positions; the number of elements where there are no more members."""
    return _rows_of(label.astype(np.intp).tobytes())


@lru_cache(maxsize=1024)
def _rows_of(label: bytes) -> Array:
    labels = np.frombuffer(label, np.intp)
    members = [np.flatnonzero(labels == each) for each in np.unique(labels)]
    longest = max(each.size for each in members)
    return np.stack([np.pad(each, (0, longest - each.size), constant_values=labels.size) for each in members])


def samples(shape: tuple[int, ...]) -> Array:
    """Return the number of the sample that each element belongs to."""
    return np.broadcast_to(np.arange(shape[0])[:, None, None, None], shape)


class Reduction:
    """The weighted sum that a question's reduction takes, and the weight of an element in it.

    A mean is one division, or in the algebras `squared` and `apart` a mean of the samples' means, where these are of
    one size.
    """

    def __init__(self, setting: Setting) -> None:
        self.machine, self.valid = setting.machine, flat(setting.question.valid)
        self.kind, self.shape = setting.question.parameters.reduction, setting.question.prediction.shape
        lit = np.maximum(np.sum(setting.question.valid, axis=(1, 2, 3)), 1)
        nested = self.kind == "mean" and setting.form in ("squared", "apart") and np.all(setting.question.valid)
        self.per_sample = self.kind in ("sample", "sample_sum") or nested
        label = samples(self.shape)
        self.sums = setting.sums(label if self.per_sample else np.zeros_like(label))
        whole = np.maximum(np.sum(setting.question.valid), 1)
        self.inner = lit if self.kind == "sample" or nested else np.full_like(lit, whole if self.kind == "mean" else 1)
        self.outer = np.full_like(lit, self.shape[0] if self.kind == "sample_sum" or nested else 1)

    def _divided(self, numbers: Array, counts: Array) -> Array:
        return numbers if np.all(counts == 1) else self.machine.div(numbers, self.machine.enter(counts))

    def weight(self) -> Array:
        """Return the weight of each element, (1, N)."""
        one = self.machine.enter(np.ones(self.shape[0]))
        return flat(self._divided(self._divided(one, self.inner), self.outer)[samples(self.shape)])

    def value(self, elements: Array, weights_first: bool) -> Array:
        """Reduce elements (K, N), multiplying each by its weight, or dividing their sums by the numbers of them."""
        elements = np.where(self.valid, elements, np.zeros((), self.machine.dtype))
        if self.kind == "none":
            return elements.reshape(-1, *self.shape)
        total = self.sums.dot(elements, self.weight()) if weights_first else self.sums.total(elements)
        if not weights_first:
            total = self._divided(total, self.inner[: total.shape[1]])
        if self.kind == "sample" or not self.per_sample:
            return total if self.kind == "sample" else total[:, 0]
        whole = total[:, 0]
        for b in range(1, self.shape[0]):
            whole = self.machine.add(whole, total[:, b])
        return whole if weights_first else self._divided(whole, self.outer[0])


class Amplitude:
    """What a codepath makes of an input, and the way of a gradient back to it.

    A modulus is one operation in the algebras `closed` and `product`, else the root of a sum of squares.
    """

    def __init__(self, given: Array, setting: Setting, side: Array) -> None:
        self.machine, self.form, self.domain = setting.machine, setting.form, setting.question.parameters.domain
        machine, kept = self.machine, flat(np.where(setting.question.valid, given, 0))
        self.parts = [machine.enter(part) for part in ((kept.real, kept.imag) if self.domain == "field" else (kept,))]
        if self.domain == "amplitude":
            self.made = self.parts[0]
        elif self.domain == "intensity":
            self.made = machine.sqrt(self.parts[0], side)
        elif self.form in ("closed", "product"):
            self.made = machine.hypot(*self.parts, side)
        else:
            real, imaginary = self.parts
            self.made = machine.sqrt(machine.muladd(real, real, machine.mul(imaginary, imaginary)), side)

    def back(self, gradient: Array) -> Array:
        """Return the gradient with respect to the input, (K, N) or (K, N, 2); 0 at amplitude 0, as declared."""
        if self.domain == "amplitude":
            return gradient
        machine, dark = self.machine, self.made == 0
        amplitude = np.where(dark, np.ones((), machine.dtype), self.made)
        slopes = [self._slope(part, amplitude, gradient) for part in self.parts]
        slopes = [np.where(dark, 0, slope) for slope in slopes]
        return slopes[0] if self.domain == "intensity" else np.stack(slopes, axis=-1)

    def _slope(self, part: Array, amplitude: Array, gradient: Array) -> Array:
        machine, outward = self.machine, np.sign(gradient)
        if self.domain == "intensity":
            if self.form in ("closed", "squared"):
                return machine.div(gradient, machine.add(amplitude, amplitude), outward)
            half = machine.mul(machine.enter(0.5), gradient)
            return machine.mul(half, machine.div(machine.enter(1.0), amplitude))
        if self.form in ("closed", "squared"):
            return machine.mul(gradient, machine.div(part, amplitude))
        if self.form == "uniform":
            return machine.div(machine.mul(gradient, part), amplitude)
        return machine.mul(part, machine.div(gradient, amplitude))


def settled(label: Array, side: Array) -> Bool:
    """Return, per row of `rows_of(label)`, whether some element of it is no exact tie."""
    return np.any(np.append(side, 0)[rows_of(label)] != 0, axis=1)
