"""Lies of the Poisson loss: the scale, the rate, the counts and the logarithm."""

from types import SimpleNamespace
from typing import Any

from conformance.liars.amplitude_parts import bounded_norm
from conformance.liars.liar import Liar
from conformance.liars.parts import PREDICTION, TARGET, Change, Part, Place, after, changed, instead
from conformance.liars.poisson_parts import NLL_PARTS, modulus, poisson_loss, square
from conformance.liars.sources import FIELD, seen


def nll(name: str, kind: str, wrong: str, source: str, edit: tuple[Change, ...], **how: Any) -> Liar:
    """Return a liar that is the honest loss with some parts changed."""
    return Liar(name, "poisson_nll", kind, wrong, source, poisson_loss(changed(NLL_PARTS, edit)), edit=edit, **how)


def _target_in_bfloat16(place: Place, x: Any, given: Any, side: str) -> Any:
    return place.o.cast(place.o.to(x, "bfloat16"), x) if side == TARGET else x


def scaled(new: Any, side: str = "") -> tuple[Change, ...]:
    """Return another scale, on one side or on both."""

    def scale(place: Place, s: Any, given: Any, own: str, p: Any, t: Any) -> Any:
        return new(place, s, t) if side in ("", own) else s

    return after("scale", scale)


def counted(new: Any) -> tuple[Change, ...]:
    """Return other counts."""
    return after("counts", lambda place, k, t, s: new(place.o, k))


def log_of(inside: Any) -> tuple[Change, ...]:
    """Return the logarithm of something else than the rate."""
    return instead("log", lambda place, p, s, rate, counts: place.o.log(inside(place.o, rate)))


def _safe(place: Place, counts: Any, x: Any) -> Any:
    return place.o.where(counts > 0, x, place.o.ones(x))


def _plain_log(place: Place, p: Any, s: Any, rate: Any, counts: Any) -> Any:
    return place.o.log(_safe(place, counts, rate))


def _log_of_signed(place: Place, p: Any, s: Any, rate: Any, counts: Any) -> Any:
    return 2 * place.o.log(_safe(place, counts, s * p))


def _log_of_bounded_amplitude(place: Place, p: Any, s: Any, rate: Any, counts: Any) -> Any:
    return 2 * place.o.log(place.o.at_least(s * modulus(place, p), 1e-6))


def _unit(place: Place, x: Any, given: Any, side: str) -> Any:
    return x / bounded_norm(place, x, side)


def _matched(place: Place, s: Any, side: str, p: Any, t: Any) -> Any:
    if side == TARGET:
        return s
    return s * bounded_norm(place, t, side) / bounded_norm(place, p, side)


def _own_scale(place: Place, s: Any, t: Any) -> Any:
    """A scale of each sample instead of the data set's: the mean over the batch is right."""
    energy = place.o.sum(t * t)
    return s * place.o.sqrt(place.o.mean(energy) / place.o.at_least(energy, 1e-30))


def _anscombe(place: Place, rate: Any, counts: Any, log: Any) -> Any:
    o = place.o
    return 0.5 * (2 * o.sqrt(rate + 0.375) - 2 * o.sqrt(counts + 0.375)) ** 2


def _counted_where_lit(place: Place, e: Any, rate: Any, counts: Any, log: Any) -> Any:
    return place.o.where(counts > 0, e, 0 * rate)


def _with_constant(constant: Any) -> tuple[Change, ...]:
    return after("elements", lambda place, e, rate, counts, log: e + constant(place.o, counts))


def _k_log_k(o: SimpleNamespace, k: Any) -> Any:
    return k * o.log(o.where(k > 0, k, o.ones(k)))


def _stirling(o: SimpleNamespace, k: Any) -> Any:
    safe = o.where(k > 1, k, o.ones(k))
    return o.where(k > 1, safe * o.log(safe) - safe + 0.5 * o.log(6.283185307179586 * safe), o.zeros(k))


def _stirling_everywhere(o: SimpleNamespace, k: Any) -> Any:
    safe = o.where(k > 0, k, o.ones(k))
    return o.where(k > 0, safe * o.log(safe) - safe + 0.5 * o.log(6.283185307179586 * safe), o.zeros(k))


def rated(new: Part) -> tuple[Change, ...]:
    """Return another rate, and the logarithm of that."""
    return (*instead("rate", new), *instead("log", _plain_log))


SCALES = (
    nll("scale-omitted", "value", "the scale is left out", FIELD, scaled(lambda place, s, t: s / s)),
    nll("scale-squared", "value", "the scale is applied twice", FIELD, scaled(lambda place, s, t: s * s)),
    nll("scale-of-prediction-only", "value", "the target keeps its units", FIELD,
        scaled(lambda place, s, t: s / s, TARGET)),
    nll("scale-of-target-only", "value", "the prediction keeps its units", FIELD,
        scaled(lambda place, s, t: s / s, PREDICTION)),
    nll("scale-inverted", "value", "divided by the scale", FIELD, scaled(lambda place, s, t: 1 / s)),
    nll("scale-after-the-square", "value", "s p^2 for (s p)^2", FIELD, (
        *rated(lambda place, p, s: s * p**2), *instead("counts", lambda place, t, s: s * t**2))),
    nll("scale-root", "value", "the root of the scale", FIELD, scaled(lambda place, s, t: place.o.sqrt(s))),
    nll("scale-in-bfloat16", "numerical", "the scale is rounded to bfloat16", seen("half"),
        scaled(lambda place, s, t: place.o.cast(place.o.to(s, "bfloat16"), s)), kin=("scale-in-float16",)),
    nll("scale-in-float16", "numerical", "the scale is rounded to float16", seen("half"),
        scaled(lambda place, s, t: place.o.cast(place.o.to(s, "float16"), s)), kin=("scale-in-bfloat16",)),
    nll("scale-of-each-sample", "value", "each sample is scaled to the mean energy", FIELD, scaled(_own_scale)),
    nll("scale-of-target-1e-3-off", "value", "the two scales differ by 1e-3", FIELD,
        scaled(lambda place, s, t: s * 1.001, TARGET)),
    nll("matched-to-target", "value", "the prediction is brought to the target's norm", FIELD,
        instead("scale", _matched)),
    nll("nll-normalised", "value", "the flag of the other loss reaches the photons: unit norms", FIELD,
        after("enter", _unit)),
    nll("nll-prediction-normalised", "value", "the prediction alone has unit norm", FIELD,
        after("enter", lambda place, x, given, side: _unit(place, x, given, side) if side == PREDICTION else x)),
)  # fmt: skip

RATES = (
    nll("not-squared", "value", "amplitudes are taken for rates and counts", FIELD, (
        *rated(lambda place, p, s: s * p), *instead("counts", lambda place, t, s: s * t))),
    nll("squared-twice", "value", "intensities are squared again", FIELD, (
        *rated(lambda place, p, s: square(place, p, s) ** 2),
        *instead("counts", lambda place, t, s: square(place, t, s) ** 2))),
    nll("rate-not-squared", "value", "the predicted amplitude is taken for a rate", FIELD,
        rated(lambda place, p, s: s * p)),
    nll("nll-target-rounded-to-bfloat16", "value", "the measured amplitude is stored as bfloat16", seen("half"),
        after("enter", _target_in_bfloat16)),
    nll("counts-not-squared", "value", "the measured amplitude is taken for counts", FIELD,
        instead("counts", lambda place, t, s: s * t)),
    nll("log-input", "value", "the prediction is taken for the logarithm of the rate", seen("constant"), (
        *instead("rate", lambda place, p, s: place.o.exp(p)),
        *instead("log", lambda place, p, s, rate, counts: p))),
    nll("background-added", "value", "a background of 1 photon is added to the rate", FIELD,
        rated(lambda place, p, s: square(place, p, s) + 1)),
    nll("prediction-positive-only", "value", "a negative prediction counts as 0", FIELD,
        after("enter", lambda place, x, given, side: place.o.at_least(x, 0.0) if side == PREDICTION else x)),
    nll("data-not-finite-is-0", "value", "NaN and infinity in the data count as 0", seen("nan_to_num"),
        after("enter", lambda place, x, given, side: place.o.where(place.o.abs(x) < 1e30, x, place.o.zeros(x)))),
    nll("prediction-rolled-aside", "value", "the prediction is one pixel aside", seen("shift"),
        after("enter", lambda place, x, given, side: place.o.concat((x[:, :, :, -1:], x[:, :, :, :-1]), 3)
              if side == PREDICTION else x)),
)  # fmt: skip

COUNTS = (
    nll("counts-rounded", "value", "counts are rounded to integers", seen("counts"),
        counted(lambda o, k: o.round(k))),
    nll("counts-truncated", "value", "counts are truncated to integers", seen("counts"),
        counted(lambda o, k: o.floor(k))),
    nll("counts-wrap-at-65536", "value", "counts are stored in 16 bits and wrap", seen("counts"),
        counted(lambda o, k: k - 65536 * o.floor(k / 65536))),
    nll("counts-saturate-at-65535", "value", "counts are stored in 16 bits and saturate", seen("counts"),
        counted(lambda o, k: -o.at_least(-k, -65535.0))),
    nll("counts-of-8-bits", "value", "counts are stored in 8 bits and wrap", seen("counts"),
        counted(lambda o, k: k - 256 * o.floor(k / 256))),
    nll("counts-up-by-one", "value", "one count is added", FIELD, counted(lambda o, k: k + 1)),
    nll("counts-detached-zero-skipped", "value", "pixels without counts contribute nothing", FIELD,
        after("elements", _counted_where_lit)),
    nll("counts-at-least-1e-8", "value", "counts are at least 1e-8", FIELD,
        counted(lambda o, k: o.at_least(k, 1e-8))),
)  # fmt: skip

LOGARITHMS = (
    nll("log-plain", "gradient", "the logarithm of (s p)^2 as it stands: a NaN gradient at rate 0 under counts",
        seen("xlogy"), instead("log", _plain_log), kin=("log-everywhere",)),
    nll("log-everywhere", "gradient", "nothing is masked where there are no counts: NaN at dead pixels", seen("xlogy"),
        instead("log", lambda place, p, s, rate, counts: place.o.log(rate)), kin=("log-plain",)),
    nll("log-of-signed-amplitude", "value", "2 log(s p) without a modulus", FIELD, instead("log", _log_of_signed)),
    nll("log-floor-1e-8-added", "numerical", "log(lambda + 1e-8)", seen("log"), log_of(lambda o, r: r + 1e-8)),
    nll("log-floor-1e-8", "numerical", "log(max(lambda, 1e-8))", seen("log"), log_of(lambda o, r: o.at_least(r, 1e-8))),
    nll("log-floor-1e-20", "numerical", "log(max(lambda, 1e-20))", seen("log"),
        log_of(lambda o, r: o.at_least(r, 1e-20)), kin=("log-floor-1e-12-of-amplitude",)),
    nll("log-floor-1e-12-of-amplitude", "numerical", "log(max(|s p|, 1e-6)^2)", seen("log"),
        instead("log", _log_of_bounded_amplitude), kin=("log-floor-1e-20", "log-floor-1e-8")),
    nll("log1p", "value", "log(1 + lambda)", seen("log"), log_of(lambda o, r: r + 1)),
    nll("log10", "value", "the decimal logarithm", seen("log"),
        after("log", lambda place, log, *_: log * 0.4342944819032518)),
    nll("log2", "value", "the binary logarithm", seen("log"),
        after("log", lambda place, log, *_: log * 1.4426950408889634)),
    nll("log-of-amplitude", "value", "log(s p): half the logarithm of the rate", FIELD,
        after("log", lambda place, log, *_: 0.5 * log)),
    nll("exp-for-log", "value", "exp(-lambda) in place of log(lambda)", FIELD,
        instead("log", lambda place, p, s, rate, counts: place.o.exp(-rate))),
)  # fmt: skip

FORMULAS = (
    nll("lgamma-added", "convention", "lgamma(k + 1) is added", seen("constant"),
        _with_constant(lambda o, k: o.lgamma(k + 1)), diagnosis="convention constant=lgamma"),
    nll("lgamma-of-k", "value", "lgamma(k) where k > 0 is added", seen("constant"),
        _with_constant(lambda o, k: o.where(k > 0, o.lgamma(o.where(k > 0, k, o.ones(k))), o.zeros(k)))),
    nll("stirling-added", "convention", "Stirling's terms are added where k > 1", seen("constant"),
        _with_constant(_stirling), diagnosis="convention constant=stirling"),
    nll("stirling-everywhere", "value", "Stirling's terms are added where k > 0", seen("constant"),
        _with_constant(_stirling_everywhere)),
    nll("deviance", "convention", "the deviance: k log k - k is added", FIELD,
        _with_constant(lambda o, k: _k_log_k(o, k) - k), diagnosis="convention constant=saturated"),
    nll("k-log-k-added", "value", "k log k is added, k is not taken away", FIELD, _with_constant(_k_log_k)),
    nll("without-rate", "value", "only - k log lambda", FIELD,
        instead("elements", lambda place, rate, counts, log: -counts * log)),
    nll("without-counts", "value", "lambda - log lambda", FIELD,
        instead("elements", lambda place, rate, counts, log: rate - log)),
    nll("sign-of-log", "value", "lambda + k log lambda", FIELD,
        instead("elements", lambda place, rate, counts, log: rate + counts * log)),
    nll("gaussian", "value", "the squared difference of the amplitudes", FIELD, instead(
        "elements", lambda place, rate, counts, log: (place.o.sqrt(rate) - place.o.sqrt(counts)) ** 2)),
    nll("gaussian-of-counts", "value", "(lambda - k)^2 / (2 (k + 1))", FIELD, instead(
        "elements", lambda place, rate, counts, log: (rate - counts) ** 2 / (2 * (counts + 1)))),
    nll("anscombe", "value", "the squared difference of Anscombe's transforms", FIELD, instead("elements", _anscombe)),
    nll("nll-sum", "convention", "the sum over all elements", seen("reduction"),
        instead("reduce", lambda place, e, p, t: place.o.total(e)), diagnosis="convention reduction=sum"),
    nll("nll-sample-sum", "convention", "the sum over each sample, mean over samples", seen("reduction"),
        after("reduce", lambda place, v, e, p, t: v * (place.o.count(t) // t.shape[0])),
        diagnosis="convention reduction=sample_sum"),
    nll("nll-over-batch-mean", "convention", "divided by the mean amplitude of the batch + 1e-8", FIELD,
        after("reduce", lambda place, v, e, p, t: v / (place.o.mean(t) + 1e-8)),
        diagnosis="convention normaliser=batch_mean_amplitude"),
    nll("nll-over-mean-intensity", "value", "divided by the mean intensity of the batch", FIELD,
        after("reduce", lambda place, v, e, p, t: v / (place.o.mean(t * t) + 1e-8))),
    nll("nll-over-photons", "value", "divided by the mean count of the batch", FIELD,
        after("elements", lambda place, e, rate, counts, log: e / (place.o.mean(counts) + 1e-8))),
    nll("nll-last-sample-dropped", "value", "the last sample of a batch is left out", seen("reduction"), instead(
        "reduce", lambda place, e, p, t: place.o.mean(e[:-1] if e.shape[0] > 1 else e))),
    nll("nll-cast-to-float32", "dtype", "computed in float32 whatever is given", seen("cast"),
        after("enter", lambda place, x, given, side: place.o.cast(place.o.to(x, "float32"), x)),
        equivalent={"float32": "float32 is what is given"}),
)  # fmt: skip

SWAPPED = Liar(
    "swapped", "poisson_nll", "convention", "prediction and target are exchanged", FIELD,
    lambda o: lambda p, t, s: poisson_loss(NLL_PARTS)(o)(t, p, s), diagnosis="convention order=target_first",
)  # fmt: skip
PHOTONS = (SWAPPED, *SCALES, *RATES, *COUNTS, *LOGARITHMS, *FORMULAS)
