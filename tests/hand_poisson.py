"""The Poisson NLL and its gradient by hand: as the formula stands, with logs apart, and in amplitude form."""

from math import log, pi
from typing import Any

import numpy as np
from hand_parts import Reduction, Result, Setting, flat
from numpy.typing import NDArray
from orders import Sums

Array = NDArray[Any]
NLL_FORMS = ("naive", "ratio", "apart", "deviance")
"""lambda - k log lambda with autodiff, as up - up k / lambda or up (1 - k / lambda); with log s^2 + log p^2; and the
deviance in amplitude form. The last has the closed-form gradient. With a guard `deviance` is the plain formula with the
closed-form gradient."""


class Poisson:
    """One question on one machine."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.question, self.options = setting, setting.question, setting.question.parameters
        self.machine, self.form = machine, form = setting.machine, setting.form
        question = self.question
        self.p, self.t = (
            machine.enter(flat(np.where(question.valid, x, 0))) for x in (question.prediction, question.target)
        )
        self.one, self.zero = machine.enter(1.0), machine.enter(0.0)
        self.scale = self._scale()
        sp, st = machine.mul(self.scale, self.p), machine.mul(self.scale, self.t)
        self.scaled = sp
        if form == "apart":
            a = machine.mul(self.scale, self.scale)
            self.rate = machine.mul(a, machine.mul(self.p, self.p))
            self.counts = machine.mul(a, machine.mul(self.t, self.t))
        else:
            self.rate, self.counts = machine.mul(sp, sp), machine.mul(st, st)
        self.floor = machine.enter(self.options.rate_floor or 0.0)

    def _whole(self) -> Sums:
        return self.setting.sums(np.zeros(self.p.shape, int))

    def _scale(self) -> Array:
        """Return s, (K, 1)."""
        scale, machine = self.options.scale, self.machine
        if scale is None or scale.source == "given" or scale.nphotons is None:
            return machine.enter(1.0 if scale is None else scale.value).reshape(1, 1)
        nphotons, (batch, channels, _, pixels) = machine.enter(scale.nphotons), self.question.prediction.shape
        if scale.source == "closed_form":
            return machine.div(machine.sqrt(nphotons), machine.enter(pixels / 2)).reshape(1, 1)
        mean = machine.div(self._whole().dot(self.t, self.t), machine.enter(batch * channels))
        return machine.sqrt(machine.div(nphotons, mean))

    def _safe(self, array: Array, wanted: Array) -> Array:
        return np.where(wanted, array, self.one)

    def _logarithm(self, inside: Array, seen: Array) -> Array:
        machine = self.machine
        if self.form == "apart" and self.options.rate_guard == "none":
            of_p = machine.log(self._safe(machine.mul(self.p, self.p), seen), self._outward(self.p))
            of_s = machine.log(machine.mul(self.scale, self.scale), self._outward(self.scale))
            return machine.add(of_p, of_s)
        return machine.log(self._safe(inside, seen), self._outward(inside))

    @staticmethod
    def _outward(inside: Array) -> Array:
        return np.where(np.abs(inside) >= 1, 1, -1)  # all errors of the logarithms in one direction

    def _counts_log_counts(self) -> Array:
        k = self._safe(self.counts, self.counts > 0)
        return np.where(self.counts > 0, self.machine.mul(k, self.machine.log(k, -self._outward(k))), self.zero)

    def _constant(self, beside_deviance: bool) -> Array:
        """Return the data-only term, as the contract has it or as what is left of it beside the deviance."""
        machine, counts, constant = self.machine, self.counts, self.options.constant
        of_counts = machine.sub(self._counts_log_counts(), counts)
        if constant == "saturated":
            return np.zeros_like(counts) if beside_deviance else of_counts
        rest = -of_counts if beside_deviance else np.zeros_like(counts)
        if constant == "none":
            return rest
        if constant == "lgamma":
            return machine.add(rest, machine.lgamma(machine.add(counts, self.one)))
        many = counts > 1
        k = self._safe(counts, many)
        tail = machine.mul(machine.enter(0.5), machine.log(machine.mul(machine.enter(2 * pi), k)))
        if self.form == "ratio":
            tail = machine.add(machine.enter(0.5 * log(2 * pi)), machine.mul(machine.enter(0.5), machine.log(k)))
        return np.where(many, tail if beside_deviance else machine.add(of_counts, tail), rest)

    def _deviance(self) -> Array:
        machine = self.machine
        p, t = np.abs(self.p), np.abs(self.t)
        lit = (p != 0) | (t != 0)
        gap, sum_ = machine.sub(p, t), machine.add(p, t)
        delta = machine.mul(machine.mul(self.scale, gap), machine.mul(self.scale, sum_))
        h = np.where(lit, machine.div(gap, self._safe(sum_, lit)), self.zero)
        v = machine.div(machine.add(h, h), machine.muladd(h, h, self.one))
        square = machine.mul(v, v)
        series = np.zeros_like(v)
        for term in reversed(range(13)):
            series = machine.muladd(series, square, machine.enter(1 / (2 * term + 3)))
        twice = machine.add(self.counts, self.counts)
        near = machine.muladd(delta, v, -machine.mul(machine.mul(twice, machine.mul(v, square)), series))
        both = (p != 0) & (t != 0)
        step = machine.log(machine.div(self._safe(t, both), self._safe(p, both)), self._outward(t))
        far = machine.muladd(twice, np.where(both, step, self.zero), delta)
        far = np.where((p == 0) & (t != 0), np.inf, far).astype(machine.dtype)
        return np.where(np.abs(v) < 0.25, near, far)

    def elements(self) -> Array:
        """Return the loss of each element."""
        machine, guard = self.machine, self.options.rate_guard
        if guard == "none" and self.form == "deviance":
            return machine.add(self._deviance(), self._constant(True))
        rate = np.maximum(self.rate, self.floor) if guard == "clamp" else self.rate
        inside = machine.add(rate, self.floor) if guard == "log_add" else rate
        seen = (self.counts > 0) & (inside > 0)
        plain = np.where(seen, machine.muladd(-self.counts, self._logarithm(inside, seen), rate), rate)
        plain = np.where((self.counts > 0) & ~seen, np.inf, plain)
        return plain if self.options.constant == "none" else machine.add(plain, self._constant(False))

    def gradient(self, up: Array) -> Array:
        """Return the gradient, `up` being the weight of an element's loss."""
        return self._closed_gradient(up) if self.form == "deviance" else self._autodiff(up)

    def _closed_gradient(self, up: Array) -> Array:
        machine, p, t, s = self.machine, self.p, self.t, self.scale
        guard = self.options.rate_guard
        twice = machine.mul(machine.enter(2.0), s)
        if guard == "log_add":
            gap = machine.mul(machine.mul(s, machine.sub(p, t)), machine.mul(s, machine.add(p, t)))
            share = machine.div(machine.add(gap, self.floor), machine.add(self.rate, self.floor))
            return machine.mul(up, machine.mul(machine.mul(twice, machine.mul(s, p)), share))
        lit = p != 0
        share = machine.div(machine.add(p, t), self._safe(p, lit), np.sign(p - t))
        slope = machine.mul(machine.mul(twice, machine.mul(s, machine.sub(p, t))), share)
        slope = np.where(lit, slope, self.zero)
        if guard == "clamp":
            slope = np.where(self.rate > self.floor, slope, self.zero)
        return machine.mul(up, slope)

    def _autodiff(self, up: Array) -> Array:
        machine, guard = self.machine, self.options.rate_guard
        inside = machine.add(self.rate, self.floor) if guard == "log_add" else np.maximum(self.rate, self.floor)
        seen = (self.counts > 0) & (inside > 0)
        divisor = self._safe(inside, seen)
        side = np.where(self.rate < self.counts, 1, -1)
        if self.form == "ratio":
            ratio = np.where(seen, machine.div(self.counts, divisor, side), self.zero)
            of_rate = machine.mul(up, machine.sub(self.one, ratio))
        elif self.form == "naive" or guard != "none":
            of_log = np.where(seen, machine.div(machine.mul(up, self.counts), divisor, side), self.zero)
            of_rate = machine.sub(np.broadcast_to(up, of_log.shape), of_log)
        else:  # logs apart: 2 a p - 2 k / p
            a = machine.mul(self.scale, self.scale)
            twice = machine.add(self.p, self.p)
            square = self._safe(machine.mul(self.p, self.p), seen)
            of_log = np.where(seen, machine.div(machine.mul(-up, self.counts), square, side), self.zero)
            return machine.mul(twice, machine.muladd(up, a, of_log))
        if guard == "clamp":
            of_rate = np.where(self.rate > self.floor, of_rate, self.zero)
        doubled = machine.add(self.scaled, self.scaled)
        return machine.mul(machine.mul(of_rate, doubled), self.scale)

    def normaliser(self) -> Array | None:
        """Return what the loss is divided by, (K, 1) or (1, 1)."""
        machine = self.machine
        if self.options.normaliser == "none":
            return None
        if self.options.normaliser == "frozen_mean_intensity":
            return machine.enter(self.options.normaliser_value).reshape(1, 1)
        count = machine.enter(max(int(np.sum(self.question.valid)), 1))
        return machine.add(machine.div(self._whole().total(self.t), count), machine.enter(1e-8))


def poisson_nll(setting: Setting) -> Result:
    """Loss 2 and its gradient. The normaliser divides the whole, or in the form `ratio` every element."""
    machine, problem, reduction = setting.machine, Poisson(setting), Reduction(setting)
    elements, up, normaliser = problem.elements(), reduction.weight(), problem.normaliser()
    if normaliser is not None:
        up = machine.div(up, normaliser)
        if setting.form == "ratio":
            elements = machine.div(elements, normaliser)
    value = reduction.value(elements, weights_first=setting.form in ("ratio", "deviance"))
    if normaliser is not None and setting.form != "ratio":
        value = machine.div(value, normaliser.reshape(-1, *[1] * (value.ndim - 1)))
    return setting.result(value, problem.gradient(up))
