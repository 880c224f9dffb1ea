"""From elements to the returned value, in any order: each takes `(operations, space, elements, reduction)`."""

from types import SimpleNamespace
from typing import Any


def _sizes(o: SimpleNamespace, space: Any, elements: Any) -> tuple[Any, Any]:
    """Return the numbers of valid elements, of all and per sample, at least 1."""
    ones = o.cast(space.valid, elements)
    return o.at_least(space.whole(ones), 1.0), o.at_least(space.per_sample(ones), 1.0)


def sum_then_divide(o: SimpleNamespace, space: Any, elements: Any, reduction: str) -> Any:
    whole, each = _sizes(o, space, elements)
    if reduction == "mean":
        return space.whole(elements) / whole
    if reduction == "sum":
        return space.whole(elements)
    if reduction == "sample":
        return space.per_sample(elements) / each
    if reduction == "sample_sum":
        return space.whole(elements) / space.samples
    return space.leave(elements)


def divide_then_sum(o: SimpleNamespace, space: Any, elements: Any, reduction: str) -> Any:
    whole, each = _sizes(o, space, elements)
    if reduction == "mean":
        return space.whole(elements / whole)
    if reduction == "sum":
        return space.whole(elements)
    if reduction == "sample":
        return space.per_sample(elements / space.of_samples(each))
    if reduction == "sample_sum":
        return space.whole(elements / space.samples)
    return space.leave(elements)


def mean_of_means(o: SimpleNamespace, space: Any, elements: Any, reduction: str) -> Any:
    """Samples first; their means weighted by what they hold."""
    whole, each = _sizes(o, space, elements)
    if reduction == "none":
        return space.leave(elements)
    sums = space.per_sample(elements)
    if reduction == "sample":
        return sums * (1 / each)
    if reduction == "mean":
        return o.reshape(o.sum((sums / each) * (each / whole), (0,)), ())
    total = o.reshape(o.sum(sums, (0,)), ())
    return total * (1 / space.samples) if reduction == "sample_sum" else total


def weighted(o: SimpleNamespace, space: Any, elements: Any, reduction: str) -> Any:
    """Every element times its weight, then sums and nothing else."""
    whole, each = _sizes(o, space, elements)
    one = o.ones(whole)
    if reduction == "none":
        return space.leave(elements)
    if reduction == "sample":
        return space.per_sample(elements * space.of_samples(1 / each))
    weight = {"mean": 1 / whole, "sum": one, "sample_sum": one / space.samples}[reduction]
    return o.reshape(o.sum(space.per_sample(elements * weight), (0,)), ())
