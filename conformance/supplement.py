"""What no golden case asks of a declared convention: plain questions under its options and a mask, computed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from conformance.affine import MAPPED
from conformance.backends import Backend
from conformance.case import Array, Bool, Case, Parameters, Question, Scale
from conformance.computed import computed_case
from conformance.profile import Profile, is_asked
from conformance.squares import has_squares, through_squares

DEAD = 0.25
"""Share of the pixels that a mask leaves out."""
PHASES = np.array([1, 1j, -1, -1j, 1 + 1j, 1 - 1j])
"""What makes fields of amplitudes, pixel by pixel: exact in every dtype."""


def _is_plain(case: Case, loss: str, profile: Profile) -> bool:
    """Whether a case asks for nothing but the defaults, and has numbers for an answer."""
    question = case.question
    numbers = (question.prediction, question.target, case.truth.value, case.truth.gradient)
    return (
        is_asked(question, loss, profile)
        and has_squares(question, profile)
        and question.parameters.canonical
        and question.mask is None
        and all(bool(np.all(np.isfinite(array))) for array in numbers)
    )


def _mask(shape: tuple[int, ...]) -> Bool:
    """Return a full mask with dead pixels in every pattern that has two, and a valid one in each sample."""
    valid = np.random.default_rng(shape).random(shape) >= DEAD
    patterns = valid.reshape(*shape[:2], -1)
    if patterns.shape[-1] > 1:
        patterns[..., 0], patterns[..., -1] = True, False
    return valid


def _field(array: Array) -> Array:
    return np.asarray(array * PHASES[np.arange(array.size) % PHASES.size].reshape(array.shape))


def _declared(question: Question, options: Parameters, masked: bool, odd: bool) -> Question:
    """Return a plain question under declared options, at the scale that it has, whatever that was derived from.

    In one question the mask is full and dead pixels are NaN; in the next (`odd`) all patterns share one mask, and dead
    pixels are hot. Views are interleaved.
    """
    scale = question.parameters.scale
    parameters = replace(options, scale=Scale(scale.value) if scale else None)
    pair = [question.prediction, question.target]
    if options.domain == "field":
        pair = [_field(pair[0]), _field(pair[1][..., ::-1])]
    mask = _mask(question.prediction.shape) if masked else None
    if mask is not None:
        mask = mask[:1, :1] if odd else mask
        pair = [np.where(mask, array, 2 * np.max(np.abs(array.real)) if odd else np.nan) for array in pair]
    ids = (np.arange(pair[0].shape[0], dtype=np.int32) % 2) * 40 - 7 if options.scope == "view" else None
    name = f"{question.case_id}:{'masked' if masked else 'declared'}"
    return Question(name, question.loss, parameters, pair[0], pair[1], mask, ids)


def _questions(pool: Sequence[Case], loss: str, profile: Profile) -> Iterator[tuple[Case, Question]]:
    options = profile.parameters
    covered = replace(options, **{name: getattr(Parameters(), name) for name in MAPPED}) == Parameters()
    covered &= all(getattr(options, name) in choices for name, choices in MAPPED.items())
    kinds = [*([] if covered else [False]), *([True] if profile.mask == "keyword" else [])]
    plain = [case for case in pool if _is_plain(case, loss, profile)]
    for place, case in enumerate(plain):
        if options.domain == "intensity" and np.min([case.question.prediction, case.question.target]) < 0:
            continue
        for masked in kinds:
            yield case, _declared(case.question, options, masked, odd=place % 2 == 1)


def supplement(pool: Sequence[Case], loss: str, profile: Profile, backend: Backend) -> list[Case]:
    """Return cases whose truth is the shipped codepath's in float64, with its proven tolerance.

    Few golden cases declare just the options of a convention, and fewer of them have a mask: a codepath that is asked
    only those may be wrong about everything else. A normaliser that is a number of the data set has none here.

    Parameters
    ----------
    pool : sequence of Case
        The golden cases.
    loss : str
    profile : Profile
    backend : Backend
        The framework of the codepath, and of the shipped one that knows the truth.

    Returns
    -------
    list of Case
        Empty where every plain case maps to the convention exactly, and it takes no mask.
    """
    if profile.parameters.normaliser == "frozen_mean_intensity":
        return []
    said = f"computed under {profile.described()}"
    return [
        through_squares(computed_case(question, backend, why=f"{case.why}; {said}", catches=case.catches), profile)
        for case, question in _questions(pool, loss, profile)
    ]
