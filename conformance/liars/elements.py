"""Lies about the elements of an amplitude loss: the distance, the operands, and what is averaged."""

from types import SimpleNamespace
from typing import Any

from conformance.liars.amplitude_parts import MAE_PARTS, amplitude_loss, bounded_norm
from conformance.liars.liar import Liar
from conformance.liars.normalisation import l2
from conformance.liars.parts import PREDICTION, TARGET, Change, Part, Place, after, changed, instead
from conformance.liars.sources import FIELD, seen


def mae(name: str, kind: str, wrong: str, source: str, edit: tuple[Change, ...], **how: Any) -> Liar:
    """Return a liar that is the honest legacy loss with some parts changed."""
    return Liar(name, "amplitude_mae", kind, wrong, source, amplitude_loss(changed(MAE_PARTS, edit)), edit=edit, **how)


def by(distance: Any) -> Part:
    """Return elements that are a function of the difference of the two units."""
    return lambda place, a, b, p, t: distance(place.o, a - b)


def _huber(o: SimpleNamespace, d: Any, delta: float) -> Any:
    size = o.abs(d)
    return o.where(size < delta, 0.5 * d * d / delta, size - 0.5 * delta)


def _one_at_zero(o: SimpleNamespace, d: Any) -> Any:
    return o.where(d >= 0, d, -d)


def _minus_one_at_zero(o: SimpleNamespace, d: Any) -> Any:
    return o.where(d > 0, d, -d)


def _operand(side: str, new: Any) -> tuple[Change, ...]:
    """Change one operand before everything else, or both where `side` is empty."""

    def enter(place: Place, x: Any, given: Any, own: str) -> Any:
        return new(place.o, x) if side in ("", own) else x

    return after("enter", enter)


def _where_lit(place: Place, elements: Any, a: Any, b: Any, p: Any, t: Any) -> Any:
    return place.o.where(t > 0, elements, 0 * elements)


def _mean_where_lit(place: Place, elements: Any, p: Any, t: Any) -> Any:
    o = place.o
    lit = o.where(t > 0, o.ones(t), o.zeros(t))
    return o.total(elements * lit) / o.at_least(o.total(lit), 1.0)


def _by_energy(place: Place, elements: Any, p: Any, t: Any) -> Any:
    o = place.o
    weight = bounded_norm(place, t, TARGET)
    return o.total(elements * weight) / (o.total(weight) * (o.count(t) // t.shape[0]))


def _cropped(o: SimpleNamespace, x: Any) -> Any:
    return x[:, :, 1:-1, 1:-1]


def _rolled(o: SimpleNamespace, x: Any) -> Any:
    return o.concat((x[:, :, :, -1:], x[:, :, :, :-1]), 3)


def _shifted(o: SimpleNamespace, x: Any) -> Any:
    height, width = x.shape[2] // 2, x.shape[3] // 2
    x = o.concat((x[:, :, height:], x[:, :, :height]), 2)
    return o.concat((x[:, :, :, width:], x[:, :, :, :width]), 3)


def _first_channel(o: SimpleNamespace, x: Any) -> Any:
    return x[:, :1]


def _finite(o: SimpleNamespace, x: Any) -> Any:
    return o.where(o.abs(x) < 1e30, x, o.zeros(x))


DISTANCES = {
    "squared-error": ("the squared difference", by(lambda o, d: d * d)),
    "huber": ("Huber's loss with a threshold of 0.01", by(lambda o, d: _huber(o, d, 0.01))),
    "smooth-l1": ("a smooth L1 whose threshold of 1 no amplitude of unit norm reaches", by(
        lambda o, d: _huber(o, d, 1.0))),
    "charbonnier": ("sqrt(d^2 + 1e-6) for |d|", by(lambda o, d: o.sqrt(d * d + 1e-6))),
    "signed-difference": ("no modulus: errors of both signs cancel", by(lambda o, d: d)),
    "positive-part": ("only elements above the target count", by(lambda o, d: o.at_least(d, 0.0))),
    "sign-of-zero-one": ("derivative 1 where the difference is exactly 0", by(_one_at_zero)),
    "sign-of-zero-minus-one": ("derivative -1 where the difference is exactly 0", by(_minus_one_at_zero)),
    "intensity-difference": ("the difference of the squares", lambda place, a, b, p, t: place.o.abs(a * a - b * b)),
    "close-is-equal": ("differences within 1e-5 of the target count as 0", lambda place, a, b, p, t: place.o.where(
        place.o.abs(a - b) <= 1e-5 * place.o.abs(b), 0 * (a - b), place.o.abs(a - b))),
    "relative-error": ("each element over its target", lambda place, a, b, p, t: place.o.abs(a - b) / (b + 1e-3)),
    "weighted-by-target": ("each element weighted by its target", lambda place, a, b, p, t: place.o.abs(a - b) * b),
}  # fmt: skip
"""Name -> what it is, and the elements."""

REDUCED = {
    "sum-for-mean": ("the sum over all elements", instead("reduce", lambda place, e, p, t: place.o.total(e)),
                     "convention reduction=sum"),
    "sum-per-sample": ("the sum over each sample, mean over samples",
                       after("reduce", lambda place, v, e, p, t: v * (place.o.count(t) // t.shape[0])),
                       "convention reduction=sample_sum"),
    "sum-over-channels": ("channels are summed, the rest averaged",
                          after("reduce", lambda place, v, e, p, t: v * t.shape[1]), ""),
    "divided-by-batch-twice": ("divided by the number of samples once more",
                               after("reduce", lambda place, v, e, p, t: v / t.shape[0]), ""),
    "sum-over-pixels": ("pixels are summed, samples and channels averaged",
                        after("reduce", lambda place, v, e, p, t: v * (t.shape[2] * t.shape[3])), ""),
    "bright-pixels-only": ("pixels without counts are left out of the sum", after("elements", _where_lit), ""),
    "mean-over-bright-pixels": ("pixels without counts are left out of the mean",
                                instead("reduce", _mean_where_lit), ""),
    "weighted-by-energy": ("samples are weighted by their norm", instead("reduce", _by_energy), ""),
    "last-sample-dropped": ("the last sample of a batch is left out", instead(
        "reduce", lambda place, e, p, t: place.o.mean(e[:-1] if e.shape[0] > 1 else e)), ""),
    "largest-for-mean": ("the largest element of each sample", instead(
        "reduce", lambda place, e, p, t: place.o.mean(place.o.largest(e, (1, 2, 3)))), ""),
    "root-of-the-mean": ("the square root of the mean", after("reduce", lambda place, v, e, p, t: place.o.sqrt(v)), ""),
}  # fmt: skip
"""Name -> what is done, the change, and the diagnosis where it is not the liar itself."""

OPERANDS = {
    "intensities-for-amplitudes": ("both operands are squared first", _operand("", lambda o, x: x * x)),
    "prediction-squared": ("the prediction is squared, the target is not", _operand(PREDICTION, lambda o, x: x * x)),
    "target-squared": ("the target is squared, the prediction is not", _operand(TARGET, lambda o, x: x * x)),
    "roots-for-amplitudes": ("the root is taken of amplitudes, as if they were intensities",
                             _operand("", lambda o, x: o.sqrt(o.at_least(x, 1e-30)))),
    "prediction-clamped": ("a negative prediction counts as 0", _operand(PREDICTION, lambda o, x: o.at_least(x, 0.0))),
    "magnitudes": ("the modulus of both operands", _operand("", lambda o, x: o.where(x < 0, -x, x))),
    "prediction-rolled": ("the prediction is one pixel aside", _operand(PREDICTION, _rolled)),
    "prediction-transposed": ("rows and columns of the prediction are exchanged",
                              _operand(PREDICTION, lambda o, x: o.transpose(x, (0, 1, 3, 2)))),
    "prediction-fftshifted": ("the prediction has its zero frequency at the corner", _operand(PREDICTION, _shifted)),
    "frame-cropped": ("a border of one pixel is dropped", _operand("", _cropped)),
    "last-row-dropped": ("the last row is dropped", _operand("", lambda o, x: x[:, :, :-1])),
    "first-column-dropped": ("the first column is dropped", _operand("", lambda o, x: x[:, :, :, 1:])),
    "first-channel-only": ("channels beyond the first are dropped", _operand("", _first_channel)),
    "channels-averaged": ("the mean over channels is compared", _operand(
        "", lambda o, x: o.sum(x, (1,)) / x.shape[1])),
    "target-rounded-to-float16": ("the target is stored as float16",
                                  _operand(TARGET, lambda o, x: o.cast(o.to(x, "float16"), x))),
    "target-rounded-to-bfloat16": ("the target is stored as bfloat16",
                                   _operand(TARGET, lambda o, x: o.cast(o.to(x, "bfloat16"), x))),
    "target-of-8-bits": ("the target is stored in 255 steps of its largest value", _operand(
        TARGET, lambda o, x: o.round(x / o.at_least(o.largest(x, (0, 1, 2, 3)), 1e-30) * 255) / 255
        * o.at_least(o.largest(x, (0, 1, 2, 3)), 1e-30))),
    "prediction-up-by-1e-3": ("the prediction is multiplied by 1.001", _operand(PREDICTION, lambda o, x: x * 1.001)),
    "offset-of-1e-6": ("1e-6 is added to the prediction", _operand(PREDICTION, lambda o, x: x + 1e-6)),
    "not-finite-is-0": ("NaN and infinity in the data count as 0", _operand("", _finite)),
}  # fmt: skip
"""Name -> what is done, and the change."""

SEEN = {
    "huber": seen("huber"), "smooth-l1": seen("huber"), "charbonnier": seen("huber"),
    "sign-of-zero-one": seen("abs"), "sign-of-zero-minus-one": seen("abs"),
    "sum-for-mean": seen("reduction"), "sum-per-sample": seen("reduction"), "last-sample-dropped": seen("reduction"),
    "mean-over-bright-pixels": seen("mask"), "prediction-fftshifted": seen("shift"), "prediction-rolled": seen("shift"),
    "prediction-transposed": seen("shift"), "not-finite-is-0": seen("nan_to_num"),
    "target-rounded-to-float16": seen("half"), "target-rounded-to-bfloat16": seen("half"),
    "target-of-8-bits": seen("counts"),
}  # fmt: skip
NO_LIE = {
    "prediction-up-by-1e-3": "a factor of the prediction cancels in the norm",
}

ELEMENTS = (
    *(l2(name, "gradient" if name.startswith("sign") else "value", wrong, SEEN.get(name, FIELD),
         instead("elements", new)) for name, (wrong, new) in DISTANCES.items()),
    *(l2(name, "value", wrong, SEEN.get(name, FIELD), edit, diagnosis=diagnosis)
      for name, (wrong, edit, diagnosis) in REDUCED.items()),
    *(l2(name, "value", wrong, SEEN.get(name, FIELD), edit)
      for name, (wrong, edit) in OPERANDS.items() if name not in NO_LIE),
    mae("mae-squared", "value", "the squared difference", FIELD, instead("elements", DISTANCES["squared-error"][1])),
    mae("mae-huber", "value", "Huber's loss", seen("huber"), instead("elements", DISTANCES["huber"][1])),
    mae("mae-close-is-equal", "value", "differences within 1e-5 of the target count as 0", FIELD,
        instead("elements", DISTANCES["close-is-equal"][1])),
    mae("mae-target-rounded-to-bfloat16", "value", "the target is stored as bfloat16", seen("half"),
        OPERANDS["target-rounded-to-bfloat16"][1]),
    mae("mae-sign-of-zero-one", "gradient", "derivative 1 at a tie", seen("abs"),
        instead("elements", by(_one_at_zero))),
    mae("mae-sum", "value", "the sum", seen("reduction"), REDUCED["sum-for-mean"][1],
        diagnosis="convention reduction=sum"),
    mae("mae-clamped", "value", "negative amplitudes count as 0", FIELD, _operand("", lambda o, x: o.at_least(x, 0.0))),
    mae("mae-up-by-1e-3", "value", "the prediction is multiplied by 1.001", FIELD,
        OPERANDS["prediction-up-by-1e-3"][1]),
    mae("mae-offset-of-1e-6", "value", "1e-6 is added to the prediction", FIELD, OPERANDS["offset-of-1e-6"][1]),
    mae("mae-intensities", "value", "intensities are compared", FIELD, OPERANDS["intensities-for-amplitudes"][1]),
    mae("mae-rolled", "value", "the prediction is one pixel aside", seen("shift"), OPERANDS["prediction-rolled"][1]),
    mae("mae-last-sample-dropped", "value", "the last sample of a batch is left out", seen("reduction"),
        REDUCED["last-sample-dropped"][1]),
    mae("mae-normalised", "value", "the normalised loss though the flag is off", FIELD, (
        *instead("norm", bounded_norm), *instead("unit", lambda place, x, norms, side: x / norms[side]))),
    mae("mae-not-finite-is-0", "value", "NaN and infinity in the data count as 0", seen("nan_to_num"),
        OPERANDS["not-finite-is-0"][1]),
    mae("mae-cast-to-float32", "dtype", "computed in float32 whatever is given", seen("cast"),
        _operand("", lambda o, x: o.cast(o.to(x, "float32"), x)), equivalent={"float32": "float32 is what is given"}),
)  # fmt: skip
