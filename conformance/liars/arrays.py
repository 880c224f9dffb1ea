"""Lies about arrays: masks, view ids, fields and targets are used wrongly."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from conformance.case import Parameters
from conformance.liars.amplitude_parts import L2_PARTS, amplitude_loss
from conformance.liars.liar import Liar, Loss
from conformance.liars.normalisation import l2
from conformance.liars.options import L2, MAE, NLL, Swap, Wrap, got, option
from conformance.liars.parts import PREDICTION, clean, instead
from conformance.liars.photons import nll
from conformance.liars.sources import FIELD, seen


def _of(test: Callable[[Parameters], bool]) -> Swap:
    """Compute what is declared, where a test holds: the lie is in the wrap."""
    return lambda options: options if test(options) else None


def _with(arrays: Callable[[SimpleNamespace, Mapping[str, Any], Any], dict[str, Any]]) -> Wrap:
    """Hand over other masks and ids than were given."""

    def wrap(o: SimpleNamespace, codepath: Loss) -> Loss:
        return lambda p, *rest, **given: codepath(p, *rest, **arrays(o, given, p))

    return wrap


def _ids(change: Callable[[SimpleNamespace, Any], Any]) -> Wrap:
    return _with(lambda o, given, p: {k: change(o, v) if k == "view_ids" else v for k, v in given.items()})


def _mask(change: Callable[[SimpleNamespace, Any, Any], Any]) -> Wrap:
    return _with(lambda o, given, p: {k: change(o, v, p) if k == "mask" else v for k, v in given.items()})


def _target_detached(o: SimpleNamespace, codepath: Loss) -> Loss:
    return lambda p, t, *rest, **given: codepath(p, o.stop(t), *rest, **given)


def _conjugated(o: SimpleNamespace, codepath: Loss) -> Loss:
    def loss(p: Any, t: Any, *rest: Any, **given: Any) -> Any:
        return codepath(o.reflect(p, o.conj), o.reflect(t, o.conj), *rest, **given)

    return loss


def _operands(change: Callable[[SimpleNamespace, Any], Any]) -> Wrap:
    return lambda o, codepath: lambda p, t, *rest, **given: codepath(change(o, p), change(o, t), *rest, **given)


ARRAYS = (
    option(
        "ids-modulo-two",
        L2,
        "ids are compared by their last bit",
        got("scope", "view", "view"),
        _ids(lambda o, ids: ids % 2),
        kind="value",
    ),
    option(
        "ids-clamped",
        L2,
        "ids below 0 count as 0",
        got("scope", "view", "view"),
        _ids(lambda o, ids: o.larger(ids, 0 * ids)),
        kind="value",
    ),
    option(
        "ids-of-the-next",
        L2,
        "each sample carries the id of its neighbour",
        got("scope", "view", "view"),
        _ids(lambda o, ids: o.concat((ids[1:], ids[:1]), 0)),
        kind="value",
    ),
    option(
        "mask-ignored",
        L2,
        "the mask is not used",
        _of(lambda options: True),
        _with(lambda o, given, p: {k: v for k, v in given.items() if k != "mask"}),
        kind="value",
        source=seen("mask"),
    ),
    option(
        "mask-inverted",
        L2,
        "dead pixels are taken for valid ones",
        _of(lambda options: True),
        _mask(lambda o, mask, p: o.invert(mask)),
        kind="value",
        source=seen("mask"),
    ),
    option(
        "mae-mask-ignored",
        MAE,
        "the mask is not used",
        _of(lambda options: True),
        _with(lambda o, given, p: {k: v for k, v in given.items() if k != "mask"}),
        kind="value",
        source=seen("mask"),
        kin=("mae-mask-inverted",),
    ),
    option(
        "nll-mask-ignored",
        NLL,
        "the mask is not used",
        _of(lambda options: True),
        _with(lambda o, given, p: {k: v for k, v in given.items() if k != "mask"}),
        kind="value",
        source=seen("mask"),
    ),
    option(
        "mae-mask-inverted",
        MAE,
        "dead pixels are taken for valid ones",
        _of(lambda options: True),
        _mask(lambda o, mask, p: o.invert(mask)),
        kind="value",
        source=seen("mask"),
        kin=("mae-mask-ignored",),
    ),
    option(
        "nll-mask-inverted",
        NLL,
        "dead pixels are taken for valid ones",
        _of(lambda options: True),
        _mask(lambda o, mask, p: o.invert(mask)),
        kind="value",
        source=seen("mask"),
    ),
    option(
        "mask-of-first-sample",
        L2,
        "the first sample's mask for all",
        _of(lambda options: True),
        _mask(lambda o, mask, p: mask[:1]),
        kind="value",
        source=seen("mask"),
    ),
    option(
        "target-detached",
        L2,
        "the target is detached, though its gradient is asked for",
        got("wrt", "target", "target"),
        _target_detached,
        kind="gradient",
        source=seen("target"),
    ),
    option(
        "mae-target-detached",
        MAE,
        "the target is detached, though its gradient is asked for",
        got("wrt", "target", "target"),
        _target_detached,
        kind="gradient",
        source=seen("target"),
    ),
    option(
        "field-gradient-conjugated",
        L2,
        "the gradient of a field is d/dRe - i d/dIm",
        got("domain", "field", "field"),
        _conjugated,
        kind="convention",
        source=seen("complex"),
    ),
    option(
        "mae-field-gradient-conjugated",
        MAE,
        "the gradient of a field is d/dRe - i d/dIm",
        got("domain", "field", "field"),
        _conjugated,
        kind="convention",
        source=seen("complex"),
    ),
    option(
        "field-real-part",
        L2,
        "only the real part of a field counts",
        got("domain", "field", "field"),
        _operands(lambda o, z: o.complex(o.real(z), o.zeros(o.real(z)))),
        kind="value",
        source=seen("complex"),
    ),
    option(
        "intensity-offset",
        L2,
        "1e-6 is added below the root",
        got("domain", "intensity", "intensity"),
        _operands(lambda o, x: x + 1e-6),
        kind="numerical",
        source=seen("eps"),
    ),
)

MASKED = {"mask": "keyword"}
MASKS = (
    l2(
        "mask-multiplied",
        "value",
        "the mask is a factor: NaN under it leaks",
        seen("mask"),
        instead("enter", lambda place, x, side: x if place.valid is None else x * place.o.cast(place.valid, x)),
        settings=MASKED,
    ),
    l2(
        "mask-of-prediction-only",
        "value",
        "the target keeps what is under the mask",
        seen("mask"),
        instead("enter", lambda place, x, side: clean(place, x, side) if side == PREDICTION else x),
        settings=MASKED,
    ),
    l2(
        "masked-mean-over-all",
        "value",
        "the mean counts masked pixels",
        seen("mask"),
        instead("reduce", lambda place, e, p, t: place.o.mean(clean(place, e, ""))),
        settings=MASKED,
    ),
    nll(
        "nll-masked-mean-over-all",
        "value",
        "the mean counts masked pixels",
        seen("mask"),
        instead("reduce", lambda place, e, p, t: place.o.mean(clean(place, e, ""))),
        settings=MASKED,
    ),
    nll(
        "nll-mask-multiplied",
        "value",
        "the mask is a factor: NaN under it leaks",
        seen("mask"),
        instead("enter", lambda place, x, side: x if place.valid is None else x * place.o.cast(place.valid, x)),
        settings=MASKED,
    ),
    Liar(
        "view-norm-per-sample",
        L2,
        "value",
        "the norm of a view is divided by its number of samples",
        FIELD,
        amplitude_loss(
            replace(L2_PARTS, norm=lambda place, x, side: L2_PARTS.norm(place, x, side) / x.shape[0]), scope="view"
        ),
        settings={"scope": "view"},
    ),
)

MISUSED = (*ARRAYS, *MASKS)
