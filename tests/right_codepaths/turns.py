"""Who is asked what: every strategy everything, or some of them each case, in turns."""

from collections.abc import Iterator, Sequence

from conformance.backends.answer import kind
from conformance.case import ALL_DTYPES, Case
from right_codepaths.strategy import Strategy

STEP = {dtype: 3 * place for place, dtype in enumerate(ALL_DTYPES)}
"""Another dtype puts a case to another strategy."""


def turns(
    strategies: Sequence[Strategy], cases: Sequence[Case], dtype: str, ways: Sequence[int]
) -> Iterator[tuple[Strategy, Case]]:
    """Put every case to as many strategies as there are ways: way 0 is its first one, way 1 the next.

    Cases of one kind go to the same strategies, so that what one of them has compiled serves the others.
    """
    places = {one: place for place, one in enumerate(dict.fromkeys(kind(case.question) for case in cases))}
    for way in ways:
        for case in cases:
            yield strategies[(places[kind(case.question)] + STEP[dtype] + way) % len(strategies)], case
