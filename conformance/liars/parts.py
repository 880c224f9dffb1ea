"""A loss cut into parts, and the change of one part that makes a liar of it: two changes compose."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeVar

from conformance.liars.operations import SAMPLE

Part = Callable[..., Any]
Parts = TypeVar("Parts")
PREDICTION, TARGET = "prediction", "target"
AXES = {"sample": SAMPLE, "patch": (2, 3), "batch": (0, 1, 2, 3)}


class Place(NamedTuple):
    """Where a loss stands. A tuple: a SimpleNamespace made while torch.compile traces would break its graph."""

    o: SimpleNamespace
    """The framework's operations."""
    valid: Any
    """The valid elements; None for all of them."""
    ids: Any
    scope: str


@dataclass(frozen=True)
class Change:
    """One part of a loss written otherwise.

    `wraps` is given what the honest part returned before its arguments, and composes with any other change; otherwise
    the part is replaced.
    """

    part: str
    new: Part
    wraps: bool = False

    def __call__(self, parts: Parts) -> Parts:
        """Return the parts with this one changed."""
        new, old = self.new, getattr(parts, self.part)

        def wrapped(place: Place, *given: Any) -> Any:
            return new(place, old(place, *given), *given)

        return replace(parts, **{self.part: wrapped if self.wraps else new})  # type: ignore[type-var]


def instead(part: str, new: Part) -> tuple[Change, ...]:
    """Replace a part."""
    return (Change(part, new),)


def after(part: str, new: Part) -> tuple[Change, ...]:
    """Change what a part returns."""
    return (Change(part, new, wraps=True),)


def composable(first: Sequence[Change], second: Sequence[Change]) -> bool:
    """Return whether both changes are still there when both are made: they replace no part twice."""
    replaced = [{change.part for change in changes if not change.wraps} for changes in (first, second)]
    return not replaced[0] & replaced[1]


def changed(parts: Parts, changes: Sequence[Change]) -> Parts:
    """Return the parts with every change made, replacements first."""
    for change in sorted(changes, key=lambda change: change.wraps):
        parts = change(parts)
    return parts


def place_of(o: SimpleNamespace, x: Any, mask: Any, view_ids: Any, scope: str) -> Place:
    """Return where a loss stands."""
    valid = None if mask is None else o.broadcast(o.truth(mask), tuple(x.shape))
    return Place(o, valid, view_ids, scope)


def clean(place: Place, x: Any, side: str) -> Any:
    """Return the operand with 0 under the mask."""
    return x if place.valid is None else place.o.where(place.valid, x, place.o.zeros(x))


def total(place: Place, x: Any) -> Any:
    """Return the sum over each element's scope, broadcastable against the elements."""
    o = place.o
    if place.scope != "view":
        return o.sum(x, AXES[place.scope])
    own = o.sum(x, SAMPLE)
    same = o.cast(o.reshape(place.ids, (-1, 1, 1, 1)) == o.reshape(place.ids, (1, -1, 1, 1)), own)
    return o.sum(same * o.reshape(own, (1, -1, 1, 1)), (1,))


def mean(place: Place, elements: Any) -> Any:
    """Return the mean over the valid elements, 0 where there is none."""
    o = place.o
    if place.valid is None:
        return o.mean(elements)
    count = o.total(o.cast(place.valid, elements))
    return o.total(o.where(place.valid, elements, o.zeros(elements))) / o.at_least(count, 1.0)


def as_it_is(place: Place, value: Any, p: Any, t: Any) -> Any:
    """Return the value: the last part of every loss, which liars change."""
    return value
