"""Lies of the normalised MAE: scopes, norms, eps, and where the gradient of the norm goes."""

from typing import Any

from conformance.liars.amplitude_parts import EPS, L2_PARTS, amplitude_loss, bounded_norm, untouched
from conformance.liars.liar import Liar
from conformance.liars.operations import SAMPLE
from conformance.liars.parts import PREDICTION, TARGET, Change, Part, Place, after, changed, instead, total
from conformance.liars.sources import FIELD, seen

LOSS = "amplitude_l2_mae"
WIDE_ONLY = {"float32": "float32 arithmetic is what float32 inputs are computed in"}


def l2(name: str, kind: str, wrong: str, source: str, edit: tuple[Change, ...], **how: Any) -> Liar:
    """Return a liar that is the honest loss with some parts changed."""
    return Liar(name, LOSS, kind, wrong, source, amplitude_loss(changed(L2_PARTS, edit)), edit=edit, **how)


def only(side: str) -> Part:
    """Normalise one operand only."""
    return lambda place, x, norms, own: x / norms[own] if own == side else x


def over(axes: tuple[int, ...]) -> Part:
    """Return a norm over other axes."""

    def norm(place: Place, x: Any, side: str) -> Any:
        own = place._replace(scope="", ids=None)
        energy = own.o.sum(x * x, axes)
        lit = energy > 0
        root = own.o.sqrt(own.o.where(lit, energy, own.o.ones(energy)))
        return own.o.at_least(own.o.where(lit, root, 0 * root) + 0 * root, EPS)

    return norm


def bounded(eps: float) -> Part:
    """Return the norm with another eps."""
    return lambda place, x, side: bounded_norm(place, x, side, eps)


def root_of(inside: Any) -> Part:
    """Return a norm whose energy is changed inside the root."""
    return lambda place, x, side: place.o.sqrt(inside(place, total(place, x * x), x))


def _free_norm(place: Place, x: Any) -> Any:
    return bounded_norm(place, x, "", 0.0)


def _coupled_below_eps(place: Place, x: Any, side: str) -> Any:
    free = _free_norm(place, x)
    return free + place.o.stop(bounded_norm(place, x, side) - free)


def _detached(place: Place, x: Any, norms: dict[str, Any], side: str) -> Any:
    return x / place.o.stop(norms[side])


def _matched(place: Place, x: Any, norms: dict[str, Any], side: str) -> Any:
    return x * (norms[TARGET] / norms[PREDICTION]) if side == PREDICTION else x


def _matched_with_eps(place: Place, x: Any, norms: dict[str, Any], side: str) -> Any:
    if side == TARGET:
        return x
    return x * place.o.sqrt(norms[TARGET] ** 2 / (norms[PREDICTION] ** 2 + 1e-8))


def _lone_sample_by_channel(place: Place, x: Any, side: str) -> Any:
    return over((2, 3))(place, x, side) if x.shape[0] == 1 else bounded_norm(place, x, side)


def _standardised(place: Place, x: Any, side: str) -> Any:
    return x - place.o.sum(x) / (x.shape[1] * x.shape[2] * x.shape[3])


def _by_l1(place: Place, x: Any, side: str) -> Any:
    return place.o.at_least(total(place, place.o.abs(x)), EPS)


def _by_largest(place: Place, x: Any, side: str) -> Any:
    return place.o.at_least(place.o.largest(place.o.abs(x), SAMPLE), EPS)


def _by_mean(place: Place, x: Any, side: str) -> Any:
    return place.o.at_least(total(place, place.o.abs(x)) / (x.shape[1] * x.shape[2] * x.shape[3]), EPS)


def _jointly(place: Place, x: Any, norms: dict[str, Any], side: str) -> Any:
    return x / place.o.sqrt(norms[PREDICTION] ** 2 + norms[TARGET] ** 2)


def _narrow_norm(dtype: str) -> Part:
    def norm(place: Place, x: Any, side: str) -> Any:
        found = bounded_norm(place, x, side)
        return found + place.o.stop(place.o.cast(place.o.to(found, dtype), found) - found)

    return norm


def _energy_in(dtype: str) -> Part:
    def norm(place: Place, x: Any, side: str) -> Any:
        return place.o.cast(bounded_norm(place, place.o.to(x, dtype), side), x)

    return norm


def _dark_is_nothing(place: Place, elements: Any, a: Any, b: Any, p: Any, t: Any) -> Any:
    o = place.o
    return o.where(o.broadcast(total(place, t * t) > 0, tuple(t.shape)), elements, 0 * elements)


def _unbounded_target(place: Place, x: Any, side: str) -> Any:
    return bounded_norm(place, x, side) if side == PREDICTION else place.o.sqrt(total(place, x * x))


SCOPES = (
    l2("not-normalised", "value", "no norm at all: the legacy MAE", FIELD, instead("unit", untouched)),
    l2("only-prediction-normalised", "value", "the target keeps its scale", FIELD, instead("unit", only(PREDICTION))),
    l2("only-target-normalised", "value", "the prediction keeps its scale", FIELD, instead("unit", only(TARGET))),
    l2("norm-over-batch", "value", "one norm for all samples", FIELD, instead("norm", over((0, 1, 2, 3))),
       diagnosis="convention scope=batch"),
    l2("norm-over-pattern", "value", "one norm per channel", FIELD, instead("norm", over((2, 3))),
       diagnosis="convention scope=patch"),
    l2("norm-over-channels", "value", "a norm over the channel axis alone, pixel by pixel", seen("axis"),
       instead("norm", over((1,)))),
    l2("norm-over-rows", "value", "a norm over the last axis alone", seen("axis"), instead("norm", over((3,)))),
    l2("norm-over-columns", "value", "a norm over the axis of rows alone", seen("axis"), instead("norm", over((2,)))),
    l2("norm-over-batch-and-channels", "value", "a norm over samples and channels, pixel by pixel", seen("axis"),
       instead("norm", over((0, 1)))),
    l2("lone-sample-by-channel", "value", "a batch of one is squeezed: its channels become samples", seen("axis"),
       instead("norm", _lone_sample_by_channel)),
    l2("dark-target-is-nothing", "value", "a dark target frame contributes 0", FIELD,
       after("elements", _dark_is_nothing)),
)  # fmt: skip

NORMS = (
    l2("l1-norm", "value", "the sum of magnitudes for the norm", seen("axis"), instead("norm", _by_l1)),
    l2("largest-for-norm", "value", "the largest magnitude for the norm", FIELD, instead("norm", _by_largest)),
    l2("mean-for-norm", "value", "the mean amplitude for the norm", FIELD, instead("norm", _by_mean)),
    l2("norm-squared", "value", "divided by the energy", FIELD,
       instead("unit", lambda place, x, norms, side: x / norms[side] ** 2)),
    l2("norms-exchanged", "value", "each operand is divided by the other one's norm", FIELD,
       instead("unit", lambda place, x, norms, side: x / norms[TARGET if side == PREDICTION else PREDICTION])),
    l2("norm-of-prediction-for-both", "value", "the target is divided by the prediction's norm", FIELD,
       instead("unit", lambda place, x, norms, side: x / norms[PREDICTION])),
    l2("norm-of-target-for-both", "value", "the prediction is divided by the target's norm", FIELD,
       instead("unit", lambda place, x, norms, side: x / norms[TARGET])),
    l2("joint-norm", "value", "both are divided by the norm of the two together", FIELD, instead("unit", _jointly)),
    l2("matched-not-normalised", "value", "the prediction is brought to the target's norm, and not divided by it",
       FIELD, instead("unit", _matched)),
    l2("matched-with-eps", "value", "the same, with 1e-8 added to the prediction's energy", FIELD,
       instead("unit", _matched_with_eps), kin=("matched-not-normalised",)),
    l2("norm-of-n-minus-one", "value", "the norm of an unbiased standard deviation: too small by sqrt((n-1)/n)",
       seen("axis"), instead("norm", root_of(
           lambda place, e, x: e * (1 - 1 / (x.shape[1] * x.shape[2] * x.shape[3])) + place.o.tiny(e)))),
    l2("mean-removed", "value", "the mean is subtracted before the norm", FIELD,
       after("enter", lambda place, x, given, side: _standardised(place, x, side))),
    l2("norm-at-least-one", "value", "only norms above 1 are divided by", seen("eps"), instead("norm", bounded(1.0))),
    l2("norm-detached", "gradient", "the prediction's norm is detached: the gradient lacks - phat <s, phat>",
       seen("detach"), instead("unit", _detached)),
    l2("norm-rounded-to-bfloat16", "numerical", "the norms are rounded to bfloat16", seen("half"),
       instead("norm", _narrow_norm("bfloat16")), kin=("norm-rounded-to-float16",)),
    l2("norm-rounded-to-float16", "numerical", "the norms are rounded to float16", seen("half"),
       instead("norm", _narrow_norm("float16")), kin=("norm-rounded-to-bfloat16",)),
    l2("norm-in-float32", "dtype", "the norms are computed in float32 whatever is given", seen("cast"),
       instead("norm", _energy_in("float32")), equivalent=WIDE_ONLY),
)  # fmt: skip

EPSILONS = (
    l2("eps-1e-12", "numerical", "the norm is at least 1e-12, not 2^-40", seen("eps"), instead("norm", bounded(1e-12))),
    l2("eps-1e-8", "numerical", "the norm is at least 1e-8", seen("eps"), instead("norm", bounded(1e-8))),
    l2("eps-1e-6", "numerical", "the norm is at least 1e-6", seen("eps"), instead("norm", bounded(1e-6))),
    l2("eps-none", "numerical", "nothing bounds the norm: 0 / 0 at a dark frame", seen("nan norm"),
       instead("norm", lambda place, x, side: place.o.sqrt(total(place, x * x)))),
    l2("eps-added", "numerical", "2^-40 is added to the norm instead of bounding it", seen("eps"),
       instead("norm", lambda place, x, side: _free_norm(place, x) + EPS)),
    l2("eps-1e-8-added", "numerical", "1e-8 is added to the norm", seen("eps"),
       instead("norm", lambda place, x, side: _free_norm(place, x) + 1e-8)),
    l2("eps-bounds-the-square", "numerical", "2^-40 bounds the energy, so 2^-20 the norm", seen("eps"),
       instead("norm", root_of(lambda place, e, x: place.o.at_least(e, EPS)))),
    l2("eps-1e-6-in-the-root", "numerical", "1e-6 is added to the energy", seen("eps"),
       instead("norm", root_of(lambda place, e, x: e + 1e-6))),
    l2("eps-1e-12-in-the-root", "numerical", "1e-12 is added to the energy", seen("eps"),
       instead("norm", root_of(lambda place, e, x: e + 1e-12))),
    l2("eps-on-prediction-only", "numerical", "nothing bounds the target's norm", seen("eps"),
       instead("norm", _unbounded_target)),
    l2("coupled-below-eps", "gradient", "the norm is differentiated where eps replaces it", seen("nan norm"),
       instead("norm", _coupled_below_eps)),
)  # fmt: skip

NORMALISATION = (*SCOPES, *NORMS, *EPSILONS)
