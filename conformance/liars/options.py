"""Lies about options: another one is computed than the one that is declared, or an array is used wrongly."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from conformance.case import Parameters, Scale
from conformance.liars.liar import Liar, Loss
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
        changed: dict[str, Any] = {} if value is None else {name: change(value)}
        return replace(options, **changed) if changed else None

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


def _no_ids(o: SimpleNamespace, codepath: Loss) -> Loss:
    return lambda *operands, view_ids=None, **given: codepath(*operands, **given)


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
