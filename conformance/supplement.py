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
EMPTY = 2
"""So many cases are asked with nothing valid in a sample, and in none."""
PHASES = np.array([1, 1j, -1, -1j, 1 + 1j, 1 - 1j])
"""What makes fields of amplitudes, pixel by pixel: exact in every dtype."""


def _is_plain(case: Case, loss: str, profile: Profile) -> bool:
    """Whether a case asks for nothing but the defaults."""
    question = case.question
    return (
        is_asked(question, loss, profile)
        and has_squares(question, profile)
        and question.parameters.canonical
        and question.mask is None
    )


def _is_finite(question: Question) -> bool:
    return all(bool(np.all(np.isfinite(array))) for array in (question.prediction, question.target))


def _mask(question: Question, odd: bool) -> Bool:
    """Return a mask with dead pixels in every pattern that has two, and valid ones in each.

    In full, or one for all patterns (`odd`). A number that is not finite is valid: it is not to be lost.
    """
    shape = question.prediction.shape
    valid = np.random.default_rng(shape).random(shape) >= DEAD
    patterns = valid.reshape(*shape[:2], -1)
    if patterns.shape[-1] > 1:
        patterns[..., 0], patterns[..., -1] = True, False
    seen = ~np.isfinite(question.prediction) | ~np.isfinite(question.target)
    return valid[:1, :1] | seen.any((0, 1), keepdims=True) if odd else valid | seen


def _nothing_valid(question: Question, everywhere: bool) -> Bool:
    """Return a mask without a valid pixel in the last sample, or in any."""
    valid = _mask(question, odd=False)
    valid[slice(None) if everywhere else -1] = False
    return valid


def _field(array: Array) -> Array:
    return np.asarray(array * PHASES[np.arange(array.size) % PHASES.size].reshape(array.shape))


def _declared(question: Question, options: Parameters, name: str, mask: Bool | None = None) -> Question:
    """Return a plain question under declared options, at the scale that it has, whatever that was derived from.

    Under a full mask dead pixels are NaN; under one that all patterns share they are hot. Views are interleaved.
    """
    scale = question.parameters.scale
    parameters = replace(options, scale=Scale(scale.value) if scale else None)
    pair = [question.prediction, question.target]
    if options.domain == "field":
        pair = [_field(pair[0]), _field(pair[1][..., ::-1])]
        mask = mask if mask is None or _is_finite(question) else np.ones_like(mask)  # the target is mirrored
    if mask is not None:
        hot = [2 * np.max(np.abs(array.real), initial=0.0, where=np.isfinite(array)) for array in pair]
        dead = [hot[place] if mask.size < array.size else np.nan for place, array in enumerate(pair)]
        pair = [np.where(mask, array, number) for array, number in zip(pair, dead)]
    ids = (np.arange(pair[0].shape[0], dtype=np.int32) % 2) * 40 - 7 if options.scope == "view" else None
    return Question(f"{question.case_id}:{name}", question.loss, parameters, pair[0], pair[1], mask, ids)


def _questions(pool: Sequence[Case], loss: str, profile: Profile) -> Iterator[tuple[Case, Question]]:
    options = profile.parameters
    covered = replace(options, **{name: getattr(Parameters(), name) for name in MAPPED}) == Parameters()
    covered &= all(getattr(options, name) in choices for name, choices in MAPPED.items())
    plain = [case for case in pool if _is_plain(case, loss, profile)]
    several = [case for case in plain if case.question.prediction.shape[0] > 1 and _is_finite(case.question)]
    for place, case in enumerate(plain):
        question = case.question
        if options.domain == "intensity" and np.min([question.prediction, question.target]) < 0:
            continue
        if options.domain == "field" and any(np.any(np.isinf(x)) for x in (question.prediction, question.target)):
            continue  # inf i has no real part
        if not covered:
            yield case, _declared(question, options, "declared")
        if profile.mask == "keyword":
            yield case, _declared(question, options, "masked", _mask(question, odd=place % 2 == 1))
            if case in several[:EMPTY]:
                for name, everywhere in (("sample-masked", False), ("all-masked", True)):
                    yield case, _declared(question, options, name, _nothing_valid(question, everywhere))


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
