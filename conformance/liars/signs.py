"""Lies about what is below 0: amplitudes without a positive one among them, and minus infinity."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from conformance.liars.amplitude_parts import EPS, bounded_norm
from conformance.liars.combined import Operands, given, is_infinite
from conformance.liars.liar import Liar
from conformance.liars.normalisation import l2
from conformance.liars.operations import SAMPLE
from conformance.liars.parts import Place, after, instead, total
from conformance.liars.sources import seen

BATCH = (0, 1, 2, 3)


def _minus_infinity_dropped(side: int) -> Callable[..., Operands]:
    """Return operands of 0 where one of them is -inf."""

    def change(o: SimpleNamespace, p: Any, t: Any, *_: Any) -> Operands:
        operand = (p, t)[side]
        masked = is_infinite(operand) & (operand < 0)
        return o.where(masked, o.zeros(p), p), o.where(masked, o.zeros(t), t)

    return change


def _sign_aligned(o: SimpleNamespace, p: Any, t: Any, *_: Any) -> Operands:
    return o.where(o.broadcast(o.stop(o.sum(p * t, BATCH)) < 0, tuple(p.shape)), -p, p), t


def _lit_by_its_sum(place: Place, norm: Any, x: Any, side: str) -> Any:
    return place.o.where(total(place, x) > 0, norm, 0 * norm + EPS)


def _norm_by_largest_signed(place: Place, x: Any, side: str) -> Any:
    o = place.o
    largest = o.largest(o.stop(x), SAMPLE)
    unit = o.where(largest == 0, o.ones(largest), largest)
    return o.at_least(unit * bounded_norm(place, x / unit, side), EPS)


SIGNS: tuple[Liar, ...] = (
    l2("lit-by-its-sum", "numerical", "a frame whose sum is not above 0 counts as dark: divided by eps", seen("eps"),
       after("norm", _lit_by_its_sum)),
    l2("norm-by-largest-signed", "numerical", "a norm kept from overflow by the largest amplitude, not the largest "
       "magnitude: eps where none is above 0", seen("eps"), instead("norm", _norm_by_largest_signed)),
    *(given(prefix, "sign-aligned", "the prediction's sign is turned where it opposes the batch of targets",
            _sign_aligned) for prefix in ("", "mae-")),
    *(given(prefix, f"minus-{name}-left-out", f"a pixel of -inf in the {operand} contributes 0",
            _minus_infinity_dropped(side), seen("nan_to_num"))
      for prefix in ("", "mae-", "nll-")
      for side, (name, operand) in enumerate((("infinity", "prediction"), ("infinite-target", "target")))),
)  # fmt: skip
