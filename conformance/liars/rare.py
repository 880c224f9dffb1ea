"""Lies about large arrays, whole batches, bad frames and masks of frames: see `fixtures/cases_wide.py`."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from conformance.liars.amplitude_parts import L2_PARTS, amplitude_loss, bounded_norm
from conformance.liars.arrays import MASKED
from conformance.liars.combined import HONEST, Operands, given
from conformance.liars.liar import Liar, Loss
from conformance.liars.normalisation import l2
from conformance.liars.operations import SAMPLE
from conformance.liars.options import L2, MAE, got, option
from conformance.liars.parts import Part, Place, after, changed, total
from conformance.liars.sources import FIELD, seen

BLOCK, LARGEST_HALF = 1024, 65504.0


def _mean_of_blocks(place: Place, value: Any, elements: Any, p: Any, t: Any) -> Any:
    count = place.o.count(elements)
    if count <= BLOCK or place.valid is not None:
        return value
    flat = place.o.reshape(elements, (-1,))
    blocks = [place.o.mean(flat[start : start + BLOCK]) for start in range(0, count, BLOCK)]
    return sum(blocks) / len(blocks)


def _bad_frames_dark(o: SimpleNamespace, p: Any, t: Any, *_: Any) -> Operands:
    def cleaned(x: Any) -> Any:
        good = o.sum(o.cast(x == x, x), SAMPLE)
        return o.where(o.broadcast(good == 0, tuple(x.shape)), o.zeros(x), x)

    return cleaned(p), cleaned(t)


def _frames_share_one_mask(prefix: str) -> Liar:
    make, honest = HONEST[prefix]

    def lying(o: SimpleNamespace) -> Loss:
        loss = honest(o)

        def masked(p: Any, t: Any, *scale: Any, mask: Any = None, **ids: Any) -> Any:
            if mask is not None and mask.shape[1] == 1 and p.shape[1] > 1:
                mask = mask[:1]
            return loss(p, t, *scale, mask=mask, **ids)

        return masked

    wrong = "a mask of frames, for several channels: the first sample's hides in all"
    liar = make(f"{prefix}frames-share-one-mask", "value", wrong, seen("mask"), (), settings=MASKED)
    return replace(liar, make=lying, edit=None)


def _in_batch(name: str, kind: str, wrong: str, source: str, norm: Part, **how: Any) -> Liar:
    """Return a lie of the scope batch alone."""
    made = amplitude_loss(changed(L2_PARTS, after("norm", norm)), "batch")
    liar = l2(name, kind, wrong, source, (), settings={"scope": "batch"}, **how)
    return replace(liar, make=made, edit=None)


def _root(place: Place, honest: Any, x: Any, side: str) -> Any:
    return place.o.sqrt(total(place, x * x))


def _one_where_dark(place: Place, honest: Any, x: Any, side: str) -> Any:
    free = bounded_norm(place, x, side, 0.0)
    return place.o.where(free == 0, place.o.ones(free), free)


def _larger_eps(place: Place, honest: Any, x: Any, side: str) -> Any:
    return bounded_norm(place, x, side, 1e-8)


def _saturated(place: Place, elements: Any, a: Any, b: Any, p: Any, t: Any) -> Any:
    largest = place.o.full(elements, LARGEST_HALF)
    return place.o.where((elements > LARGEST_HALF) & (elements - elements == 0), largest, elements)


def _finite_waves(o: SimpleNamespace, codepath: Loss) -> Loss:
    def cleaned(z: Any) -> Any:
        size = o.modulus(z)
        return o.where(size - size == 0, z, o.zeros(z))

    return lambda p, t, *rest, **arrays: codepath(cleaned(p), cleaned(t), *rest, **arrays)


def _not_below_zero(o: SimpleNamespace, codepath: Loss) -> Loss:
    return lambda p, t, *rest, **arrays: codepath(
        o.where(p < 0, o.zeros(p), p), o.where(t < 0, o.zeros(t), t), *rest, **arrays
    )


RARE: tuple[Liar, ...] = (
    *(
        make(f"{prefix}mean-of-blocks", "value", "the mean of the means of blocks of 1024 elements", seen("reduction"),
             after("reduce", _mean_of_blocks))
        for prefix, (make, _) in HONEST.items()
    ),
    *(
        given(prefix, "bad-frame-is-dark", "a frame that is NaN throughout counts as dark", _bad_frames_dark,
              seen("nan_to_num"))
        for prefix in HONEST
    ),
    *(_frames_share_one_mask(prefix) for prefix in HONEST),
    _in_batch("batch-eps-none", "numerical", "scope batch: nothing bounds the norm", seen("nan norm"), _root),
    _in_batch("batch-dark-is-one", "numerical", "scope batch: a norm of 0 counts as 1, others are not bounded",
              seen("eps"), _one_where_dark),
    _in_batch("batch-eps-1e-8", "numerical", "scope batch: the norm is at least 1e-8", seen("eps"), _larger_eps),
    HONEST["mae-"][0]("mae-saturates-in-half", "value", "differences saturate at the largest float16", seen("half"),
                      after("elements", _saturated)),
    option("negative-intensity-is-0", L2, "an intensity below 0 counts as 0",
           got("domain", "intensity", "intensity"), _not_below_zero, kind="value", source=FIELD),
    option("mae-negative-intensity-is-0", MAE, "an intensity below 0 counts as 0",
           got("domain", "intensity", "intensity"), _not_below_zero, kind="value", source=FIELD),
    option("infinite-wave-is-0", L2, "a wave that is not finite counts as 0", got("domain", "field", "field"),
           _finite_waves, kind="value", source=seen("nan_to_num")),
)  # fmt: skip
