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
SHARED: tuple[tuple[int, ...], ...] = ((), (0, 1), (1,), (0,), (2, 3), (0, 2, 3), (1, 2, 3))
"""The axes that a mask has length 1 along, by turns: in full, one for all patterns, one for all channels, ..."""
VIEWS, IDS = (0, 1, 0, 2, 1, 2), (2, -2, -1, 2**16 - 1, 2**24, 2**24 + 1)
"""Which samples share a view, and its ids by turns: neighbours are one in 16 bits, float32, without sign or clamped."""
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


def _mask(question: Question, shared: tuple[int, ...] = ()) -> Bool:
    """Return a mask of length 1 along `shared` axes: patterns are dead as a whole, or in some pixels and not in others.

    A number that is not finite is valid: it is not to be lost.
    """
    shape = question.prediction.shape
    valid = np.random.default_rng(shape).random(shape) >= DEAD
    if 2 in shared:
        number = np.arange(shape[0])[:, None] + np.arange(shape[1])
        valid[:] = (number % 2 == 0)[..., None, None]
    elif valid[0, 0].size > 1:
        patterns = valid.reshape(*shape[:2], -1)
        patterns[..., 0], patterns[..., -1] = True, False
    seen = ~np.isfinite(question.prediction) | ~np.isfinite(question.target)
    first = tuple(slice(1) if axis in shared else slice(None) for axis in range(valid.ndim))
    return np.asarray(valid[first] | seen.any(shared, keepdims=True))


def _nothing_valid(question: Question, everywhere: bool) -> Bool:
    """Return a mask without a valid pixel in the last sample, or in any."""
    valid = _mask(question)
    valid[slice(None) if everywhere else -1] = False
    return valid


def _field(array: Array) -> Array:
    return np.asarray(array * PHASES[np.arange(array.size) % PHASES.size].reshape(array.shape))


def _declared(question: Question, options: Parameters, name: str, mask: Bool | None = None, turn: int = 0) -> Question:
    """Return a plain question under declared options, at the scale that it has, whatever that was derived from.

    By turns dead pixels are NaN, hot and infinite, and views are called other names. Views are interleaved.
    """
    scale = question.parameters.scale
    parameters = replace(options, scale=Scale(scale.value) if scale else None)
    pair = [question.prediction, question.target]
    if options.domain == "field":
        pair = [_field(pair[0]), _field(pair[1][..., ::-1])]
        mask = mask if mask is None or _is_finite(question) else np.ones_like(mask)  # the target is mirrored
    if mask is not None:
        hot = [2 * np.max(np.abs(array.real), initial=0.0, where=np.isfinite(array)) for array in pair]
        dead = [(np.nan, number, np.inf)[(turn + turn // len(SHARED)) % 3] for number in hot]
        pair = [np.where(mask, array, number) for array, number in zip(pair, dead)]
    views = np.resize(VIEWS, pair[0].shape[0])
    ids = np.take(IDS, views + turn, mode="wrap").astype(np.int32) if options.scope == "view" else None
    return Question(f"{question.case_id}:{name}", question.loss, parameters, pair[0], pair[1], mask, ids)


def _questions(pool: Sequence[Case], loss: str, profile: Profile) -> Iterator[tuple[Case, Question]]:
    options = profile.parameters
    covered = replace(options, **{name: getattr(Parameters(), name) for name in MAPPED}) == Parameters()
    covered &= all(getattr(options, name) in choices for name, choices in MAPPED.items())
    plain = [case for case in pool if _is_plain(case, loss, profile)]
    several = [case for case in plain if case.question.prediction.shape[0] > 1 and _is_finite(case.question)]
    for turn, case in enumerate(plain):
        question = case.question
        if options.domain == "intensity" and np.min([question.prediction, question.target]) < 0:
            continue
        if options.domain == "field" and any(np.any(np.isinf(x)) for x in (question.prediction, question.target)):
            continue  # inf i has no real part
        if not covered:
            yield case, _declared(question, options, "declared", turn=turn)
        if profile.mask == "keyword":
            mask = _mask(question, SHARED[turn % len(SHARED)])
            yield case, _declared(question, options, "masked", mask, turn)
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
