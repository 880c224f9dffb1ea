"""Lies about options: another one is computed than the one that is declared, or an array is used wrongly."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from conformance.case import Parameters, Scale
from conformance.liars.amplitude_parts import L2_PARTS, amplitude_loss
from conformance.liars.liar import Liar, Loss
from conformance.liars.normalisation import l2
from conformance.liars.parts import PREDICTION, clean, instead
from conformance.liars.photons import nll
from conformance.liars.sources import FIELD, seen

L2, MAE, NLL = "amplitude_l2_mae", "amplitude_mae", "poisson_nll"
Swap = Callable[[Parameters], Parameters | None]
Wrap = Callable[[SimpleNamespace, Loss], Loss]


def got(name: str, declared: Any, computed: Any) -> Swap:
    """Compute one choice of an option where another one is declared."""

    def swap(options: Parameters) -> Parameters | None:
        return replace(options, **{name: computed}) if getattr(options, name) == declared else None

    return swap


def _number(name: str, change: Callable[[float], float]) -> Swap:
    def swap(options: Parameters) -> Parameters | None:
        value = getattr(options, name)
        return None if value is None else replace(options, **{name: change(value)})

    return swap


def _without_guard(options: Parameters) -> Parameters | None:
    return replace(options, rate_guard="none", rate_floor=None) if options.rate_guard != "none" else None


def _without_normaliser(options: Parameters) -> Parameters | None:
    return replace(options, normaliser="none", normaliser_value=None) if options.normaliser != "none" else None


def _other_source(declared: str, computed: str) -> Swap:
    def swap(options: Parameters) -> Parameters | None:
        scale = options.scale
        if scale is None or scale.source != declared:
            return None
        return replace(options, scale=Scale(scale.value, computed, scale.nphotons))

    return swap


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


def _no_ids(o: SimpleNamespace, codepath: Loss) -> Loss:
    return lambda *operands, view_ids=None, **given: codepath(*operands, **given)


def _target_detached(o: SimpleNamespace, codepath: Loss) -> Loss:
    return lambda p, t, *rest, **given: codepath(p, o.stop(t), *rest, **given)


def _conjugated(o: SimpleNamespace, codepath: Loss) -> Loss:
    def loss(p: Any, t: Any, *rest: Any, **given: Any) -> Any:
        return codepath(o.reflect(p, o.conj), o.reflect(t, o.conj), *rest, **given)

    return loss


def _operands(change: Callable[[SimpleNamespace, Any], Any]) -> Wrap:
    return lambda o, codepath: lambda p, t, *rest, **given: codepath(change(o, p), change(o, t), *rest, **given)


def option(name: str, loss: str, wrong: str, swap: Swap, wrap: Wrap | None = None, **how: Any) -> Liar:
    """Return a liar that is a shipped codepath with other options, or with its arrays misused."""
    kind, source = how.pop("kind", "convention"), how.pop("source", FIELD)
    wrap = wrap or (lambda o, codepath: codepath)
    return Liar(name, loss, kind, wrong, source, swap=swap, wrap=wrap, **how)


CHOICES = (
    option(
        "stirling-for-lgamma",
        NLL,
        "Stirling's terms where lgamma is declared",
        got("constant", "lgamma", "stirling"),
        source=seen("constant"),
    ),
    option(
        "lgamma-for-stirling",
        NLL,
        "lgamma where Stirling's terms are declared",
        got("constant", "stirling", "lgamma"),
        source=seen("constant"),
    ),
    option(
        "constant-left-out",
        NLL,
        "no constant where lgamma is declared",
        got("constant", "lgamma", "none"),
        source=seen("constant"),
    ),
    option(
        "constant-for-deviance",
        NLL,
        "no constant where the deviance is declared",
        got("constant", "saturated", "none"),
        source=seen("constant"),
    ),
    option(
        "log-add-for-clamp",
        NLL,
        "the floor is added where a clamp is declared",
        got("rate_guard", "clamp", "log_add"),
        source=seen("log"),
    ),
    option(
        "clamp-for-log-add",
        NLL,
        "a clamp where adding the floor is declared",
        got("rate_guard", "log_add", "clamp"),
        source=seen("log"),
    ),
    option("guard-left-out", NLL, "no guard where one is declared", _without_guard, source=seen("log")),
    option("floor-doubled", NLL, "twice the floor that is declared", _number("rate_floor", lambda x: 2 * x)),
    option("normaliser-left-out", NLL, "no normaliser where one is declared", _without_normaliser),
    option(
        "frozen-value-squared",
        NLL,
        "the square of the declared mean intensity",
        _number("normaliser_value", lambda x: x * x),
    ),
    option(
        "mean-for-sum",
        L2,
        "the mean where the sum is declared",
        got("reduction", "sum", "mean"),
        source=seen("reduction"),
    ),
    option(
        "nll-mean-for-sum",
        NLL,
        "the mean where the sum is declared",
        got("reduction", "sum", "mean"),
        source=seen("reduction"),
    ),
    option(
        "sum-for-sample-sum",
        NLL,
        "the sum where its mean over samples is declared",
        got("reduction", "sample_sum", "sum"),
        source=seen("reduction"),
    ),
    option(
        "mean-for-per-sample",
        L2,
        "one number where one per sample is declared",
        got("reduction", "sample", "mean"),
        source=seen("reduction"),
    ),
    option(
        "mean-for-per-element",
        MAE,
        "one number where one per element is declared",
        got("reduction", "none", "mean"),
        source=seen("reduction"),
    ),
    option(
        "sample-for-patch",
        L2,
        "the norm of a sample where that of a pattern is declared",
        got("scope", "patch", "sample"),
    ),
    option("batch-for-view", L2, "one view whatever the ids say", got("scope", "view", "batch"), _no_ids),
    option("sample-for-view", L2, "every sample a view of its own", got("scope", "view", "sample"), _no_ids),
    option(
        "sample-for-batch",
        L2,
        "the norm of a sample where that of the batch is declared",
        got("scope", "batch", "sample"),
    ),
    option("gain-left-out", L2, "unit L2 where unit RMS is declared", got("gain", "unit_rms", "unit_l2")),
    option(
        "eps-default",
        L2,
        "the default eps whatever is declared",
        lambda options: replace(options, eps=2.0**-40) if options.eps != 2.0**-40 else None,
        source=seen("eps"),
    ),
    option("intensity-not-rooted", L2, "intensities are taken for amplitudes", got("domain", "intensity", "amplitude")),
    option(
        "mae-intensity-not-rooted", MAE, "intensities are taken for amplitudes", got("domain", "intensity", "amplitude")
    ),
    option(
        "closed-form-for-dataset",
        NLL,
        "sqrt(nphotons) / (N / 2) where the data decide the scale",
        _other_source("dataset", "closed_form"),
    ),
    option(
        "dataset-for-closed-form",
        NLL,
        "the data decide the scale where the closed form is declared",
        _other_source("closed_form", "dataset"),
    ),
)

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
        "mae-mask-inverted",
        MAE,
        "dead pixels are taken for valid ones",
        _of(lambda options: True),
        _mask(lambda o, mask, p: o.invert(mask)),
        kind="value",
        source=seen("mask"),
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

OPTIONS = (*CHOICES, *ARRAYS, *MASKS)
