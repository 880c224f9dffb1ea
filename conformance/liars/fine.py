"""Lies that numbers of float32 do not show: operands that went through it, and what lies below its rounding."""

from typing import Any

from conformance.liars.elements import mae
from conformance.liars.liar import Liar
from conformance.liars.normalisation import l2
from conformance.liars.parts import Change, Place, after, instead
from conformance.liars.photons import nll
from conformance.liars.sources import FIELD, seen

SMALL = 1e-10
"""Below the rounding of float32, far above that of float64."""
THROUGH = "operands of float64 are stored in float32; the gradient passes as it is"
WITHIN = "differences within 1e-10 of the target count as 0"
SAME = {"float32": "float32 is what is given"}
COARSER = {"float32": "no two numbers of float32 that differ are so close"}


def _through_float32(place: Place, x: Any, given: Any, side: str) -> Any:
    o = place.o
    return o.where(x - x == 0, x + o.stop(o.cast(o.to(x, "float32"), x) - x), x)


def _close_is_equal(place: Place, a: Any, b: Any, p: Any, t: Any) -> Any:
    o = place.o
    return o.where(o.abs(a - b) / o.abs(b) <= SMALL, o.zeros(b), o.abs(a - b))


def _at_rest(place: Place, e: Any, rate: Any, counts: Any, log: Any) -> Any:
    o = place.o
    at_rest = o.where(o.abs(rate - counts) / counts <= SMALL, o.stop(e), e)
    return o.where(rate == counts, e, at_rest)


STORED: tuple[Change, ...] = after("enter", _through_float32)
EQUAL: tuple[Change, ...] = instead("elements", _close_is_equal)

FINE: tuple[Liar, ...] = (
    l2("operands-through-float32", "dtype", THROUGH, seen("cast"), STORED, equivalent=SAME),
    mae("mae-operands-through-float32", "dtype", THROUGH, seen("cast"), STORED, equivalent=SAME),
    nll("nll-operands-through-float32", "dtype", THROUGH, seen("cast"), STORED, equivalent=SAME),
    l2("close-to-1e-10-is-equal", "value", WITHIN, FIELD, EQUAL, equivalent=COARSER),
    mae("mae-close-to-1e-10-is-equal", "value", WITHIN, FIELD, EQUAL, equivalent=COARSER),
    nll(
        "nll-close-to-1e-10-is-equal",
        "gradient",
        "no gradient where the rate is within 1e-10 of the counts",
        FIELD,
        after("elements", _at_rest),
        equivalent=COARSER,
    ),
)
