"""Who is asked what: every strategy everything, or some of them each case, in turns."""

from collections.abc import Iterator, Sequence

from conformance.backends.answer import takes_scale
from conformance.case import ALL_DTYPES, Case
from right_codepaths.strategy import Strategy

STEP = {dtype: 3 * place for place, dtype in enumerate(ALL_DTYPES)}
"""Another dtype puts a case to another strategy."""


def kind(case: Case) -> tuple[object, ...]:
    """Cases of one kind share what is compiled for them."""
    question = case.question
    scale = question.parameters.scale
    derived = None if scale is None else scale.nphotons
    mask = None if question.mask is None else question.mask.shape
    shapes = question.prediction.shape, mask
    return question.loss, question.parameters.described(), takes_scale(question), derived, *shapes


def turns(
    strategies: Sequence[Strategy], cases: Sequence[Case], dtype: str, ways: Sequence[int]
) -> Iterator[tuple[Strategy, Case]]:
    """Put every case to as many strategies as there are ways: way 0 is its first one, way 1 the next.

    Cases of one kind go to the same strategies, so that what one of them has compiled serves the others.
    """
    places = {one: place for place, one in enumerate(dict.fromkeys(kind(case) for case in cases))}
    for way in ways:
        for case in cases:
            yield strategies[(places[kind(case)] + STEP[dtype] + way) % len(strategies)], case
