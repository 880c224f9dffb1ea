"""Element losses of the Poisson negative log-likelihood: how large their parts are, and how far off each can be."""

from dataclasses import dataclass
from math import lgamma, log, pi

import numpy as np

from conformance.case import Bool, Float64, Question
from conformance.tolerance.arithmetic import DIVISION, LGAMMA_ABSOLUTE, LGAMMA_RELATIVE, LOGARITHM, Arithmetic, both
from conformance.tolerance.inputs import finite

SQUARED = 6
"""Roundings of (s p)^2 in any association: three, and three to spare."""
DEVIANCE = 40
"""Roundings of the deviance in amplitude form, relative to |lambda - k| where its series is used."""
STIRLING_JUMP = abs(-1 + 0.5 * log(2 * pi))
"""The constant stirling jumps by this at k = 1."""


@dataclass(frozen=True)
class Rates:
    """Photons per pixel of a question, 0 where masked or not finite.

    `rate` is lambda = a p^2 before the guard, `inside` what the logarithm is taken of, `below` where a clamp acts and
    `parts` bounds |log inside| also where logs of scale and amplitude are taken apart. `seen`: the log term exists.
    """

    a: float
    p: Float64
    t: Float64
    rate: Float64
    counts: Float64
    inside: Float64
    below: Bool
    seen: Bool
    logarithm: Float64
    parts: Float64


def rates(question: Question) -> Rates:
    """Return rates and counts of a question in binary64."""
    options = question.parameters
    a = (options.scale.value if options.scale else 1.0) ** 2
    p, t = (finite(array, question) for array in (question.prediction, question.target))
    rate, counts = a * np.square(p), a * np.square(t)
    floor = options.rate_floor or 0.0
    below = (rate <= floor) & (options.rate_guard == "clamp")
    inside = rate + floor if options.rate_guard == "log_add" else np.maximum(rate, floor)
    seen = (counts > 0) & (inside > 0)
    logarithm = np.log(np.where(seen, inside, 1.0))
    apart = np.abs(log(a)) + np.abs(np.log(np.where(seen & (p != 0), np.square(p), 1.0)))
    guarded = below | (options.rate_guard == "log_add")
    parts = np.where(seen, np.where(guarded, np.abs(logarithm), apart), 0.0)
    return Rates(a, p, t, rate, counts, inside, below, seen, logarithm, parts)


def product_error(factor: Float64, logarithm: Float64, log_error: Float64, arithmetic: Arithmetic) -> Float64:
    """Error of k log(x) when k is off by SQUARED roundings and the logarithm by `log_error`."""
    grown = both(arithmetic.grow(SQUARED), arithmetic.unit)
    return factor * (grown * logarithm + (1 + grown) * log_error)


@dataclass(frozen=True)
class Term:
    """A part of an element loss: magnitude, error, and derivatives with respect to log a (the second as a bound)."""

    magnitude: Float64
    error: Float64
    first: Float64
    second: Float64


def _log_counts(counts: Float64, arithmetic: Arithmetic) -> tuple[Float64, Float64, Float64]:
    """Return k, |log k| and the error of log k, with k = 1 where there are no counts."""
    mu = arithmetic.grow(SQUARED)
    k = np.where(counts > 0, counts, 1.0)
    logarithm = np.abs(np.log(k))
    return k, logarithm, mu / (1 - mu) + (LOGARITHM + 2) * arithmetic.unit * logarithm


def constant_term(constant: str, counts: Float64, arithmetic: Arithmetic) -> Term:
    """Return the data-only term as the contract writes it."""
    u, mu = arithmetic.unit, arithmetic.grow(SQUARED)
    none = np.zeros_like(counts)
    k, logarithm, log_error = _log_counts(counts, arithmetic)
    if constant == "lgamma":
        x = counts + 1
        magnitude = np.abs(np.vectorize(lgamma, otypes=[float])(x))
        psi = np.log(x) - 1 / (2 * x)
        psi_error = 1 / (12 * x**2)
        error = (LGAMMA_RELATIVE + 1) * u * magnitude + LGAMMA_ABSOLUTE * u
        error += (mu + u) * x * (np.abs(psi) + psi_error) + (mu + u) ** 2 * (x + 1)
        return Term(magnitude, error, counts * psi, counts * (np.abs(psi) + psi_error + 1))
    if constant == "saturated":
        magnitude = np.where(counts > 0, k * logarithm + k, 0.0)
        error = product_error(k, logarithm, log_error, arithmetic) + mu * k + 2 * u * magnitude
        return Term(magnitude, np.where(counts > 0, error, 0.0), counts * np.log(k), magnitude + counts)
    if constant == "stirling":
        many = counts > 1 - mu
        k, logarithm, log_error = (np.where(many, x, y) for x, y in ((k, 1.0), (logarithm, 0.0), (log_error, mu)))
        tail = np.abs(np.log(2 * pi * k)) / 2
        magnitude = k * logarithm + k + tail
        error = product_error(k, logarithm, log_error, arithmetic) + mu * k + 3 * u * magnitude
        error += (mu / (1 - mu) + (LOGARITHM + 2) * u * 2 * tail) / 2
        error += np.where(np.abs(k - 1) <= mu * k, STIRLING_JUMP, 0.0)
        first = np.where(counts > 1, k * np.log(k) + 0.5, 0.0)
        return Term(np.where(many, magnitude, none), np.where(many, error, none), first, magnitude + k)
    return Term(none, none, none, none)


def plain_term(found: Rates, guard: str, arithmetic: Arithmetic) -> Term:
    """Return rate - k log(rate), the rate guarded, computed as it stands."""
    u, mu = arithmetic.unit, arithmetic.grow(SQUARED)
    size = np.abs(found.logarithm)
    log_error = np.where(found.seen, (mu + u) / (1 - mu) + (LOGARITHM + 2) * u * found.parts, 0.0)
    value_of_rate = np.where(found.below, found.inside, found.rate)
    magnitude = value_of_rate + found.counts * size
    error = mu * value_of_rate + product_error(found.counts, size, log_error, arithmetic) + 2 * u * magnitude
    moved = np.where(found.below, 0.0, found.rate)
    share = moved / np.where(found.inside > 0, found.inside, 1.0) if guard == "log_add" else 1.0 * ~found.below
    counted = np.where(found.seen, found.counts, 0.0)
    return Term(magnitude, error, moved - counted * (found.logarithm + share), magnitude + 2 * found.counts)


def deviance_form(found: Rates, arithmetic: Arithmetic) -> Term:
    """Return the same as the deviance in amplitude form, plus k - k log k: larger where lambda is far from k."""
    u, mu = arithmetic.unit, arithmetic.grow(SQUARED)
    k, logarithm, log_error = _log_counts(found.counts, arithmetic)
    both = (found.p != 0) & (found.t != 0)
    step = 2 * np.abs(np.log(np.abs(np.where(both, found.t, 1.0) / np.where(both, found.p, 1.0))))
    difference = np.abs(found.rate - found.counts)
    of_step = np.where(both, product_error(k, step, 2 * (DIVISION + 2) * u + LOGARITHM * u * step, arithmetic), 0.0)
    own = np.where(found.counts > 0, k + k * logarithm, 0.0)
    of_own = np.where(found.counts > 0, product_error(k, logarithm, log_error, arithmetic) + mu * k, 0.0)
    magnitude = difference + np.where(both, found.counts * step, 0.0) + own
    error = arithmetic.grow(DEVIANCE) * difference + of_step + of_own + 3 * u * magnitude
    return Term(magnitude, error, np.zeros_like(own), np.zeros_like(own))
