"""How much cancels in a case: the parts that the contract's formula adds up, over what is left of them."""

from dataclasses import dataclass
from math import fsum, nan

import numpy as np

from conformance.case import Case, Float64, Question
from conformance.tolerance import ARITHMETICS
from conformance.tolerance.inputs import amplitudes, finite
from conformance.tolerance.poisson import MEAN_AMPLITUDE_OFFSET
from conformance.tolerance.poisson_terms import constant_term, rates
from conformance.tolerance.scopes import Scopes


@dataclass(frozen=True)
class Difficulty:
    """Condition numbers: of the value, and of the gradient's elements, the median one and the largest.

    Value: the sum of the magnitudes of all parts over the magnitude of the value, of the sum of its elements where it
    has several. Gradient: per element, the same of its parts, over the elements that are neither 0 nor infinite. NaN
    where the truth has no such number. The parts, each with the weight of its element:

    - the MAEs: phat and that of every element; s p and s t for the legacy one. Gradient of the normalised one: the
      direct part s_i / P, and the coupled part phat_i c / P as the sum of its |s_j phat_j|; of the legacy one, one part
    - Poisson: lambda, k log lambda, and the parts of the constant. Gradient: 2 s^2 p, and the same times k / lambda
    """

    value: float
    median: float
    largest: float


def _normalised(question: Question, sign: Float64) -> tuple[Float64, Float64]:
    """Return the parts of the elements' losses, and of the gradient with respect to the amplitude."""
    scopes, made, options = Scopes(question), amplitudes(question), question.parameters
    weight = question.weight * (np.sqrt(scopes.size) if options.gain == "unit_rms" else 1.0)
    own, other = (np.sqrt(scopes.total(np.square(a))) for a in (made.own, made.other))
    phat, that = made.own / np.maximum(own, options.eps), made.other / np.maximum(other, options.eps)
    coupled = np.where(own > options.eps, scopes.total(weight * np.abs(sign) * np.abs(phat)), 0.0)
    slope = weight * np.abs(sign) + np.abs(phat) * coupled
    return weight * (np.abs(phat) + np.abs(that)), slope / np.maximum(own, options.eps)


def _legacy(question: Question, sign: Float64) -> tuple[Float64, Float64]:
    made, scale = amplitudes(question), question.parameters.scale
    weight = question.weight * (scale.value if scale else 1.0)
    return weight * (np.abs(made.own) + np.abs(made.other)), weight * np.abs(sign)


def _poisson(question: Question) -> tuple[Float64, Float64]:
    found, options = rates(question), question.parameters
    rate = np.where(found.below, found.inside, found.rate)
    data = constant_term(options.constant, found.counts, ARITHMETICS["float64"])
    inside = np.where(found.seen, found.inside, 1.0)
    ratio = np.where(found.seen, found.counts / inside, 0.0)
    slope = np.where(found.below, 0.0, 2 * found.a * np.abs(found.p) * (1 + ratio))
    weight = question.weight / _normaliser(question)
    return weight * (rate + found.counts * np.abs(found.logarithm) + data.magnitude), weight * slope


def _normaliser(question: Question) -> float:
    options = question.parameters
    if options.normaliser == "none":
        return 1.0
    if options.normaliser_value is not None:
        return options.normaliser_value
    total = fsum(finite(question.target, question).ravel().tolist())
    return total / max(int(np.sum(question.valid)), 1) + MEAN_AMPLITUDE_OFFSET


def difficulty(case: Case) -> Difficulty:
    """Return the condition numbers of a case."""
    question, truth = case.question, case.truth
    if question.loss == "poisson_nll" or truth.sign is None:
        terms, parts = _poisson(question)
    else:
        own = _normalised if question.loss == "amplitude_l2_mae" else _legacy
        terms, parts = own(question, truth.sign.astype(np.float64))
    if question.parameters.domain == "intensity":
        of_gradient = finite(question.of_gradient, question)
        parts = np.where(of_gradient > 0, parts * 0.5 / np.sqrt(np.where(of_gradient > 0, of_gradient, 1.0)), 0.0)
    whole = abs(fsum(np.asarray(truth.value).ravel().tolist())) if np.all(np.isfinite(truth.value)) else 0.0
    slopes = np.abs(truth.gradient)
    judged = np.isfinite(slopes) & (slopes != 0) & question.valid
    ratios = np.broadcast_to(parts, slopes.shape)[judged] / slopes[judged]
    valid = np.where(question.valid, terms, 0.0)
    return Difficulty(
        fsum(valid.ravel().tolist()) / whole if whole else nan,
        float(np.median(ratios)) if ratios.size else nan,
        float(np.max(ratios)) if ratios.size else nan,
    )
