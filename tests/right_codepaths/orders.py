"""Orders of summation: each takes `(operations, x, axes)` and keeps the axes, like a sum of any library."""

from math import prod
from types import SimpleNamespace
from typing import Any

CHUNK = 8


def at_once(o: SimpleNamespace, x: Any, axes: tuple[int, ...]) -> Any:
    return o.sum(x, axes)


def axis_by_axis(o: SimpleNamespace, x: Any, axes: tuple[int, ...]) -> Any:
    for axis in sorted(axes, reverse=True):
        x = o.sum(x, (axis,))
    return x


def first_axis_first(o: SimpleNamespace, x: Any, axes: tuple[int, ...]) -> Any:
    for axis in sorted(axes):
        x = o.sum(x, (axis,))
    return x


def _length(x: Any, axes: tuple[int, ...]) -> int:
    """Return how many elements are summed.

    By a loop: where the shape is a symbol, torch.compile (2.13) breaks its graph in a generator, and what it made of
    the rest gave wrong numbers.
    """
    length = 1
    for axis in axes:
        length = length * x.shape[axis]
    return length


def _rows(o: SimpleNamespace, x: Any, axes: tuple[int, ...]) -> tuple[Any, int, tuple[int, ...]]:
    """Return x with the summed axes as its last one of two, their length, and the shape that a sum has."""
    kept = tuple([axis for axis in range(4) if axis not in axes])
    length = _length(x, axes)
    shape = tuple([1 if axis in axes else x.shape[axis] for axis in range(4)])
    return o.reshape(o.transpose(x, kept + axes), (prod(shape), length)), length, shape


def _padded(o: SimpleNamespace, rows: Any, length: int, multiple: int) -> Any:
    missing = -length % multiple
    while missing > 0:  # a short row may have fewer elements than are missing
        rows = o.concat([rows, o.zeros(rows[:, :missing])], 1)
        missing = -rows.shape[1] % multiple
    return rows


def in_chunks(o: SimpleNamespace, x: Any, axes: tuple[int, ...]) -> Any:
    """Sums of eight neighbours, then the sum of those."""
    rows, length, shape = _rows(o, x, axes)
    rows = _padded(o, rows, length, CHUNK)
    parts = o.sum(o.reshape(rows, (prod(shape), rows.shape[1] // CHUNK, CHUNK)), (2,))
    return o.reshape(o.sum(parts, (1, 2)), shape)


def backwards(o: SimpleNamespace, x: Any, axes: tuple[int, ...]) -> Any:
    """The last of the cumulated sums, from the last element to the first."""
    rows, _, shape = _rows(o, x, axes)
    return o.reshape(o.cumulated(o.reversed(rows))[:, -1], shape)


def by_halves(o: SimpleNamespace, x: Any, axes: tuple[int, ...]) -> Any:
    """A tree: the first half added to the second until one is left."""
    rows, length, shape = _rows(o, x, axes)
    rows = _padded(o, rows, length, 2 ** (length - 1).bit_length())
    while rows.shape[1] > 1:
        rows = o.sum(o.reshape(rows, (prod(shape), 2, rows.shape[1] // 2)), (1,))[:, 0]
    return o.reshape(rows, shape)


def in_two_parts(o: SimpleNamespace, x: Any, axes: tuple[int, ...]) -> Any:
    """The leading digits of all elements, whose sum is exact, and then the rest: nearly as good as double precision.

    What is left of x + unit after `unit` is taken away again is a multiple of the last digit of `unit`. With a unit
    above the sum, no sum of such multiples has more digits than there are.
    """
    length = _length(x, axes)
    fixed = o.stop(x)
    unit = 2 * length * o.largest(o.abs(fixed), axes)
    head = (fixed + unit) - unit
    head = o.where(head == head, head, o.zeros(x))  # of an infinite unit nothing is left
    return o.sum(head, axes) + o.sum(x - head, axes)


def sample_by_sample(o: SimpleNamespace, x: Any, axes: tuple[int, ...]) -> Any:
    """A loop over the first axis."""
    within = tuple(axis for axis in axes if axis != 0)
    sums = [o.sum(x[b : b + 1], within) for b in range(x.shape[0])]
    if 0 not in axes:
        return o.concat(sums, 0)
    whole = sums[0]
    for other in sums[1:]:
        whole = whole + other
    return whole
