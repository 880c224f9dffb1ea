"""Lies that show only where two things meet, or at the numbers that are rarest: see `fixtures/cases_dense.py`."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from conformance.liars.amplitude_parts import EPS, L2_PARTS, MAE_PARTS, amplitude_loss, bounded_norm
from conformance.liars.arrays import MASKED
from conformance.liars.elements import mae
from conformance.liars.liar import Liar, Loss, Make
from conformance.liars.normalisation import l2
from conformance.liars.operations import SAMPLE
from conformance.liars.parts import PREDICTION, Change, Place, after, changed, instead
from conformance.liars.photons import nll
from conformance.liars.poisson_parts import NLL_PARTS, poisson_loss
from conformance.liars.sources import FIELD, seen

Operands = tuple[Any, Any]
PATTERN = (2, 3)
FAINT_NORM, FAINT_AMPLITUDE = 1e-9, 1e-8
HONEST: dict[str, tuple[Callable[..., Liar], Make]] = {
    "": (l2, amplitude_loss(L2_PARTS)),
    "mae-": (mae, amplitude_loss(MAE_PARTS)),
    "nll-": (nll, poisson_loss(NLL_PARTS)),
}
"""Prefix -> what makes a liar about a loss, and the loss."""


def given(prefix: str, name: str, wrong: str, change: Callable[..., Operands], source: str = FIELD) -> Liar:
    """Return an honest loss of other operands: change(operations, p, t[, s])."""
    make, honest = HONEST[prefix]

    def lying(o: SimpleNamespace) -> Loss:
        loss = honest(o)
        return lambda p, t, *scale, **arrays: loss(*change(o, p, t, *scale), *scale, **arrays)

    return replace(make(prefix + name, "value", wrong, source, ()), make=lying, edit=None)


def _energy(o: SimpleNamespace, x: Any, axes: tuple[int, ...] = SAMPLE) -> Any:
    return o.broadcast(o.sum(x * x, axes), tuple(x.shape))


def is_infinite(x: Any) -> Any:
    """Return where a number is an infinity."""
    return (x == x) & (x - x != 0)


def _where_both(o: SimpleNamespace, test: Any, p: Any, t: Any) -> Operands:
    """Both operands with 0 where a test holds of both."""
    both = test(p) & test(t)
    return o.where(both, o.zeros(p), p), o.where(both, o.zeros(t), t)


def _nan_on_both(o: SimpleNamespace, p: Any, t: Any, *_: Any) -> Operands:
    return _where_both(o, lambda x: x != x, p, t)


def _infinite_on_both(o: SimpleNamespace, p: Any, t: Any, *_: Any) -> Operands:
    return _where_both(o, is_infinite, p, t)


def _faint_dropped(o: SimpleNamespace, p: Any, t: Any, *_: Any) -> Operands:
    p, t = (o.where((o.abs(x) < FAINT_AMPLITUDE) & (x != 0), o.zeros(x), x) for x in (p, t))
    return p, t


def _by_largest_and_back(place: Place, value: Any, elements: Any, p: Any, t: Any) -> Any:
    largest = place.o.largest(place.o.abs(place.o.stop(t)), (0, 1, 2, 3))
    return value * place.o.total(largest / largest)


def _nan_alone_cleaned(place: Place, x: Any, side: str) -> Any:
    if place.valid is None:
        return x
    return place.o.where(x == x, x, place.o.zeros(x)) * place.o.cast(place.valid, x)


def _everywhere(prefix: str) -> tuple[Liar, ...]:
    """Return the lies that each loss can tell."""
    make = HONEST[prefix][0]
    return (
        given(prefix, "nan-on-both-sides-is-0", "NaN on both sides, a dead pixel, counts as 0", _nan_on_both,
               seen("nan_to_num")),
        given(prefix, "infinity-on-both-sides-is-0", "infinity on both sides, a hot pixel, counts as 0",
               _infinite_on_both, seen("nan_to_num")),
        make(f"{prefix}largest-divided-out", "value", "divided and multiplied by the largest target of the batch: NaN "
             "where all is dark", seen("where"), after("reduce", _by_largest_and_back)),
        make(f"{prefix}mask-by-product", "value", "multiplied by the mask, NaN alone replaced before: inf times 0",
             seen("mask"), instead("enter", _nan_alone_cleaned), settings=MASKED),
    )  # fmt: skip


def _faint_norm_is_eps(place: Place, norm: Any, x: Any, side: str) -> Any:
    return place.o.where(norm < FAINT_NORM, 0 * norm + EPS, norm)


def _second_prediction_unguarded(place: Place, norm: Any, x: Any, side: str) -> Any:
    if side != PREDICTION or x.shape[0] == 1:
        return norm
    return place.o.concat((norm[:1], bounded_norm(place, x, side, 0.0)[1:]), 0)


def _nothing_below_eps(place: Place, elements: Any, a: Any, b: Any, p: Any, t: Any) -> Any:
    o = place.o
    faint = (bounded_norm(place, p, "") <= EPS) & (bounded_norm(place, t, "") <= EPS)
    return o.where(o.broadcast(faint, tuple(t.shape)), 0 * elements, elements)


def _dark_pattern_is_nothing(place: Place, elements: Any, a: Any, b: Any, p: Any, t: Any) -> Any:
    dark = (_energy(place.o, t, PATTERN) == 0) & (_energy(place.o, t) > 0)
    return place.o.where(dark, 0 * elements, elements)


def _dark_sample_is_nothing(place: Place, elements: Any, a: Any, b: Any, p: Any, t: Any) -> Any:
    return place.o.where(_energy(place.o, t) == 0, 0 * elements, elements)


PATCH = replace(
    l2("patch-dark-sample-is-nothing", "value", "scope patch: a target dark in every pattern contributes 0", FIELD, (),
       settings={"scope": "patch"}),
    make=amplitude_loss(changed(L2_PARTS, after("elements", _dark_sample_is_nothing)), "patch"), edit=None,
)  # fmt: skip
NORMALISED = (
    *_everywhere(""),
    l2("faint-norm-is-eps", "numerical", "a norm below 1e-9 counts as none: divided by eps", seen("eps"),
       after("norm", _faint_norm_is_eps)),
    l2("prediction-guarded-in-first-sample", "numerical", "eps bounds the first prediction's norm alone", seen("eps"),
       after("norm", _second_prediction_unguarded)),
    l2("both-below-eps-is-nothing", "value", "a sample with both norms below eps contributes 0", FIELD,
       after("elements", _nothing_below_eps)),
    l2("dark-pattern-is-nothing", "value", "a dark pattern of a lit target contributes 0", FIELD,
       after("elements", _dark_pattern_is_nothing)),
    PATCH,
)  # fmt: skip


def _dark(side: int, axes: tuple[int, ...]) -> tuple[Change, ...]:
    """Leave out of an amplitude loss what is dark in one operand, and count it."""

    def elements(place: Place, honest: Any, a: Any, b: Any, *operands: Any) -> Any:
        return place.o.where(_energy(place.o, operands[side], axes) == 0, 0 * honest, honest)

    return after("elements", elements)


def _first_mask(o: SimpleNamespace) -> Loss:
    honest = HONEST["mae-"][1](o)
    return lambda p, t, mask=None, **ids: honest(p, t, mask=None if mask is None else mask[:, :1], **ids)


def _over_lit_samples(place: Place, value: Any, elements: Any, p: Any, t: Any) -> Any:
    o = place.o
    lit = o.cast(o.sum(t * t) > 0, t)
    return value * (t.shape[0] / o.at_least(o.total(lit), 1.0))


def _equal_is_nothing(place: Place, elements: Any, a: Any, b: Any, p: Any, t: Any) -> Any:
    return place.o.where(a == b, place.o.zeros(a), elements)


HARMLESS = ("infinity-on-both-sides-is-0", "mask-by-product")
"""What the legacy loss has otherwise: two infinities are equal, and no norm carries what is under the mask."""
LEGACY = (
    *(liar for liar in _everywhere("mae-") if not liar.name.endswith(HARMLESS)),
    mae("mae-equal-is-nothing", "value", "0 where the operands are equal, infinite ones too", seen("where"),
        after("elements", _equal_is_nothing)),
    mae("mae-dark-target-is-nothing", "value", "a dark target frame contributes 0", FIELD, _dark(1, SAMPLE)),
    mae("mae-dark-prediction-is-nothing", "value", "a dark prediction contributes 0", FIELD, _dark(0, SAMPLE)),
    mae("mae-dark-pattern-is-nothing", "value", "a dark pattern of a lit target contributes 0", FIELD,
        after("elements", _dark_pattern_is_nothing)),
    mae("mae-mean-over-lit-frames", "value", "dark target frames are left out of the mean's number of elements", FIELD,
        after("reduce", _over_lit_samples)),
    replace(
        mae("mae-mask-of-first-channel", "value", "the first channel's mask hides in all", seen("mask"), (),
            settings=MASKED), make=_first_mask, edit=None),
    given("mae-", "faint-is-0", "amplitudes below 1e-8 count as 0", _faint_dropped),
)  # fmt: skip


def _no_counts(prediction: Callable[[SimpleNamespace, Any, Any], Any]) -> Callable[..., Operands]:
    """Return another prediction where there are no counts."""
    return lambda o, p, t, s: (o.where(t == 0, prediction(o, p, s), p), t)


def _scale_of(first: Callable[[Any], Any], rest: Callable[[Any], Any], axis: int) -> Callable[..., Operands]:
    """Return operands that the scale will bring back to what they were, but for the first."""

    def change(o: SimpleNamespace, p: Any, t: Any, s: Any) -> Operands:
        p, t = (x if not rest(x).shape[axis] else o.concat((first(x), rest(x) / s), axis) for x in (p, t))
        return p, t

    return change


def _dark_frame(side: int, axes: tuple[int, ...]) -> Callable[..., Operands]:
    """Return operands of 0 where one of them is dark, in frames or in patterns of frames that are not."""

    def change(o: SimpleNamespace, p: Any, t: Any, s: Any) -> Operands:
        operand = (p, t)[side]
        dark = _energy(o, operand, axes) == 0
        if axes == PATTERN:
            dark = dark & (_energy(o, operand) > 0)
        return o.where(dark, o.zeros(p), p), o.where(dark, o.zeros(t), t)

    return change


SELECTED = "nll-mask-by-product"
"""XLA makes a choice of the product with a mask, and no infinity meets a 0: it lies where nothing is compiled."""
PHOTON_COUNTS = (
    *(replace(liar, mode="eager") if liar.name == SELECTED else liar for liar in _everywhere("nll-")),
    given("nll-", "dark-target-is-nothing", "a frame without counts contributes 0", _dark_frame(1, SAMPLE)),
    given("nll-", "dark-prediction-is-nothing", "a frame of rate 0 contributes 0", _dark_frame(0, SAMPLE)),
    given("nll-", "dark-pattern-is-nothing", "a pattern without counts of a lit target contributes 0",
           _dark_frame(1, PATTERN)),
    given("nll-", "faint-is-0", "amplitudes below 1e-8 count as 0, before the scale", _faint_dropped),
    given("nll-", "no-counts-no-scale", "the rate is not scaled where there are no counts",
           _no_counts(lambda o, p, s: p / s)),
    given("nll-", "no-counts-clamped", "a negative prediction counts as 0 where there are no counts",
           _no_counts(lambda o, p, s: o.at_least(p, 0.0))),
    given("nll-", "no-counts-no-faint-rate", "a rate below 1 counts as 0 where there are no counts",
           _no_counts(lambda o, p, s: o.where(o.abs(s * p) < 1, o.zeros(p), p))),
    given("nll-", "scale-of-first-channel", "channels beyond the first are not scaled",
           _scale_of(lambda x: x[:, :1], lambda x: x[:, 1:], 1)),
    given("nll-", "scale-of-three-samples", "samples beyond the third are not scaled",
           _scale_of(lambda x: x[:3], lambda x: x[3:], 0)),
)  # fmt: skip
COMBINED: tuple[Liar, ...] = (*NORMALISED, *LEGACY, *PHOTON_COUNTS)
