"""Sums over all samples that carry one view id: each takes sums per sample (B,) and ids (B,) and returns (B,)."""

from types import SimpleNamespace
from typing import Any


def _alike(o: SimpleNamespace, ids: Any) -> Any:
    count = ids.shape[0]
    return o.reshape(ids, (count, 1)) == o.reshape(ids, (1, count))


def by_matrix(o: SimpleNamespace, sums: Any, ids: Any) -> Any:
    """Everybody's sum in a row of everybody, those of other views replaced by 0."""
    count = ids.shape[0]
    rows = o.broadcast(o.reshape(sums, (1, count)), (count, count))
    return o.reshape(o.sum(o.where(_alike(o, ids), rows, o.zeros(rows)), (1,)), (count,))


def first_alike(o: SimpleNamespace, ids: Any) -> Any:
    """The first sample with the same id, for every sample: a label below B for ids of any size."""
    count = ids.shape[0]
    places = o.broadcast(o.reshape(o.range(count, ids), (1, count)), (count, count))
    return o.least(o.where(_alike(o, ids), places, o.ones(places) * count), 1)


def by_segments(o: SimpleNamespace, sums: Any, ids: Any) -> Any:
    """Scatter to the first sample of each view, and gather from it."""
    labels = first_alike(o, ids)
    return o.take(o.segment_sum(sums, labels, ids.shape[0]), labels)


def by_asking_each(o: SimpleNamespace, sums: Any, ids: Any) -> Any:
    """Each sample in turn sums up those that carry its id."""
    rows = [o.where(ids == ids[b], sums, o.zeros(sums)) for b in range(ids.shape[0])]
    return o.stack([o.reshape(o.sum(row, (0,)), ()) for row in rows])


def by_unique_ids(o: SimpleNamespace, sums: Any, ids: Any) -> Any:
    """A loop over the distinct ids as Python numbers: only where the ids are at hand."""
    numbers = o.numbers(ids)
    totals = {view: sum(sums[b] for b in range(len(numbers)) if numbers[b] == view) for view in sorted(set(numbers))}
    return o.stack([totals[view] for view in numbers])
