"""Where the elements of a question live: along four axes, or in one row with labels.

Both know how to bring an array in, how to sum over the scope of a norm, and how to bring elements out again.
"""

from collections.abc import Callable
from math import prod
from types import SimpleNamespace
from typing import Any

from right_codepaths.groups import by_matrix, first_alike

Order = Callable[[SimpleNamespace, Any, tuple[int, ...]], Any]
Groups = Callable[[SimpleNamespace, Any, Any], Any]
FIRST_TO_LAST, LAST_TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


def chosen(o: SimpleNamespace, x: Any, valid: Any) -> Any:
    """0 for what is masked."""
    return o.where(valid, x, o.zeros(x))


def multiplied(o: SimpleNamespace, x: Any, valid: Any) -> Any:
    """1 for what is masked, since it may be NaN, and then the mask as a factor."""
    return o.where(valid, x, o.ones(x)) * o.cast(valid, x)


class Axes:
    """Four axes, the channels where `last` says, sums in the given `order`, views summed by `groups`."""

    def __init__(
        self,
        o: SimpleNamespace,
        valid: Any,
        view_ids: Any,
        scope: str,
        *,
        order: Order,
        groups: Groups = by_matrix,
        clean: Callable[..., Any] = chosen,
        last: bool = False,
    ) -> None:
        self.o, self.order, self.groups, self.clean, self.last = o, order, groups, clean, last
        self.valid = o.transpose(valid, FIRST_TO_LAST) if last else valid
        self.ids, self.scope = view_ids, scope
        self.samples, self.patterns = valid.shape[0], valid.shape[0] * valid.shape[1]
        pattern = (1, 2) if last else (2, 3)
        self.axes = {"sample": (1, 2, 3), "patch": pattern, "view": (1, 2, 3), "batch": (0, 1, 2, 3)}[scope]

    def enter(self, x: Any) -> Any:
        x = self.o.transpose(x, FIRST_TO_LAST) if self.last else x
        return self.clean(self.o, x, self.valid)

    def leave(self, elements: Any) -> Any:
        elements = chosen(self.o, elements, self.valid)
        return self.o.transpose(elements, LAST_TO_FIRST) if self.last else elements

    def total(self, x: Any) -> Any:
        """Sum over the scope, of a shape that broadcasts against x."""
        sums = self.order(self.o, x, self.axes)
        if self.scope != "view":
            return sums
        return self.o.reshape(self.groups(self.o, self.o.reshape(sums, (self.samples,)), self.ids), sums.shape)

    def largest(self, x: Any) -> Any:
        """Largest of non-negative elements over the scope; over everything for views, which serves to scale as well."""
        return self.o.largest(x, (0, 1, 2, 3) if self.scope == "view" else self.axes)

    def per_sample(self, x: Any) -> Any:
        return self.o.reshape(self.order(self.o, x, (1, 2, 3)), (self.samples,))

    def whole(self, x: Any) -> Any:
        return self.o.reshape(self.order(self.o, x, (0, 1, 2, 3)), ())

    def of_samples(self, per_sample: Any) -> Any:
        """A number per sample in a shape that broadcasts against elements."""
        return self.o.reshape(per_sample, (self.samples, 1, 1, 1))


class Row:
    """All elements in one row, sums by segments. Masked elements are left out, or where `traced` thrown away.

    What is left out has another length for another mask, which a compiler and a batched mask cannot have: there the
    masked elements get a segment of their own that nobody looks at.
    """

    def __init__(self, o: SimpleNamespace, valid: Any, view_ids: Any, scope: str, *, traced: bool) -> None:
        self.o, self.shape, self.traced = o, tuple(valid.shape), traced
        batch, channels = self.shape[:2]
        self.samples, self.patterns = batch, batch * channels
        flat = o.reshape(valid, (-1,))
        self.places = None if traced else o.indices(flat)
        self.valid = flat if traced else o.take(flat, self.places)
        sample = o.reshape(o.range(batch, valid), (batch, 1, 1, 1))
        pattern = o.reshape(o.range(batch * channels, valid), (batch, channels, 1, 1))
        label = {
            "sample": sample,
            "patch": pattern,
            "view": None if view_ids is None else o.reshape(first_alike(o, view_ids), (batch, 1, 1, 1)),
            "batch": sample * 0,
        }[scope]
        self.count = batch * channels
        self.label, self.sample = self._spread(label), self._spread(sample)

    def _spread(self, label: Any) -> Any:
        labels = self.o.reshape(self.o.broadcast(label, self.shape), (-1,))
        if self.traced:
            return self.o.where(self.valid, labels, self.o.ones(labels) * self.count)
        return self.o.take(labels, self.places)

    def enter(self, x: Any) -> Any:
        flat = self.o.reshape(x, (-1,))
        return chosen(self.o, flat, self.valid) if self.traced else self.o.take(flat, self.places)

    def leave(self, elements: Any) -> Any:
        if self.traced:
            return self.o.reshape(chosen(self.o, elements, self.valid), self.shape)
        return self.o.reshape(self.o.segment_sum(elements, self.places, prod(self.shape)), self.shape)

    def total(self, x: Any) -> Any:
        return self.o.take(self.o.segment_sum(x, self.label, self.count + 1), self.label)

    def per_sample(self, x: Any) -> Any:
        return self.o.segment_sum(x, self.sample, self.count + 1)[: self.samples]

    def whole(self, x: Any) -> Any:
        return self.o.reshape(self.o.sum(self.per_sample(x), (0,)), ())

    def of_samples(self, per_sample: Any) -> Any:
        label = self.o.where(self.valid, self.sample, self.o.zeros(self.sample))
        return self.o.take(per_sample, label)
