"""A golden case under another convention: value' = alpha value + beta, gradient' = alpha gradient."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import fsum, lgamma, log, pi

import numpy as np

from conformance.case import Case, Question
from conformance.profile import Profile
from conformance.squares import has_squares, through_squares

MAPPED = {
    "reduction": ("mean", "sum", "sample_sum"),
    "constant": ("none", "lgamma", "stirling", "saturated"),
    "normaliser": ("none", "batch_mean_amplitude"),
}
"""Options that an exact affine map of value and gradient relates, with the choices that it covers."""
EVALUATED = 2.0**-48
"""Relative error of alpha and beta themselves: some binary64 operations and a library's lgamma."""


@dataclass(frozen=True)
class Affine:
    """alpha and beta of one case, and the sum of the magnitudes that beta is made of."""

    alpha: float
    beta: float
    spread: float


def _log_factorial(k: float) -> float:
    return lgamma(k + 1)


def _stirling(k: float) -> float:
    return k * log(k) - k + 0.5 * log(2 * pi * k) if k > 1 else 0.0


def _saturated(k: float) -> float:
    return k * log(k) - k if k > 0 else 0.0


CONSTANTS: dict[str, Callable[[float], float]] = {
    "none": lambda k: 0.0,
    "lgamma": _log_factorial,
    "stirling": _stirling,
    "saturated": _saturated,
}
FORMULAS = {
    "mean": "1",
    "sum": "B C H W",
    "sample_sum": "C H W",
    "none": "0",
    "lgamma": "sum lgamma(k + 1)",
    "stirling": "sum over k > 1 of k log k - k + log(2 pi k) / 2",
    "saturated": "sum k log k - k",
    "batch_mean_amplitude": "(mean t + 1e-8)",
}


def affine(question: Question, profile: Profile) -> Affine:
    """Return the map from the default convention to the profile's, at one question without a mask."""
    options = profile.parameters
    elements, batch = question.prediction.size, question.prediction.shape[0]
    alpha = {"mean": 1.0, "sum": float(elements), "sample_sum": elements / batch}[options.reduction]
    if options.normaliser == "batch_mean_amplitude":
        alpha /= fsum(question.target.ravel().tolist()) / elements + 1e-8
    scale = question.parameters.scale.value if question.parameters.scale else 1.0
    constant = CONSTANTS[options.constant]
    terms = [constant((scale * t) ** 2) for t in question.target.ravel().tolist()]
    weight = alpha / elements
    return Affine(alpha, weight * fsum(terms), weight * fsum(abs(term) for term in terms))


def _mapped(case: Case, profile: Profile) -> Case:
    truth, found = case.truth, affine(case.question, profile)
    options = profile.parameters
    parameters = replace(
        case.question.parameters,
        reduction=options.reduction,
        constant=options.constant,
        normaliser=options.normaliser,
    )
    value = found.alpha * truth.value + found.beta
    gradient = found.alpha * truth.gradient
    return replace(
        case,
        question=replace(case.question, parameters=parameters),
        truth=replace(
            truth,
            value=np.asarray(value),
            gradient=gradient,
            value_error=found.alpha * truth.value_error
            + EVALUATED * (np.where(np.isfinite(value), np.abs(value), 0.0) + found.spread),
            gradient_error=found.alpha * truth.gradient_error
            + EVALUATED * np.where(np.isfinite(gradient), np.abs(gradient), 0.0),
        ),
        bit_exact=False,
    )


def under_profile(cases: Sequence[Case], profile: Profile) -> list[Case]:
    """Return what a codepath of this convention can be asked: goldens that declare just its options, and mapped ones.

    Cases with a mask are asked where the convention takes one, a gradient with respect to the target where it declares
    that, and none that is lost in the judge's own square.
    """
    options = profile.parameters
    chosen = []
    for case in cases:
        own = replace(case.question.parameters, scale=None, normaliser_value=None)
        plain = replace(options, reduction="mean", constant="none", normaliser="none")
        masked = case.question.mask is not None
        if (masked and profile.mask == "none") or case.question.parameters.normaliser_value is not None:
            continue
        if not has_squares(case.question, profile):
            continue
        if own == options:
            chosen.append(case)
        elif own == plain and not masked and all(getattr(options, name) in MAPPED[name] for name in MAPPED):
            chosen.append(_mapped(case, profile))
    return [through_squares(case, profile) for case in chosen]


def describe_map(source: Profile, target: Profile) -> list[str]:
    """Return the exact map between two conventions in words, for the options that an affine map relates."""
    lines = []
    for name in ("domain", "scope", "gain", "rate_guard"):
        left, right = getattr(source.parameters, name), getattr(target.parameters, name)
        if left != right:
            lines.append(f"no map: {name} {left} and {right} are different functions")
    for profile in (source, target):
        for name, covered in MAPPED.items():
            if getattr(profile.parameters, name) not in covered:
                lines.append(f"no map: {name} {getattr(profile.parameters, name)} of {profile.name} is not one number")
    if lines:
        return lines

    def factor(profile: Profile) -> str:
        options = profile.parameters
        count = FORMULAS[options.reduction]
        return f"{count} / {FORMULAS[options.normaliser]}" if options.normaliser != "none" else count

    def constant(profile: Profile) -> str:
        return FORMULAS[profile.parameters.constant]

    return [
        f"alpha = [{factor(target)}] / [{factor(source)}]",
        f"beta = [{factor(target)}] / (B C H W) * ([{constant(target)}] - [{constant(source)}])",
        f"value of {target.name} = alpha * value of {source.name} + beta",
        f"gradient of {target.name} = alpha * gradient of {source.name}",
    ]
