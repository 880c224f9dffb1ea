"""What a run with the legacy MAE becomes under the normalised one: ratios, settings, and one absolute scale.

Of one sample of n = C H W elements: P = ||p||, T = ||t||, s the intensity scale, and legacy(q) = mean |s q - s t|.

Value. phat = p / P and that = t / T. With q = (T / P) p, the prediction rescaled to the target's norm,
phat - that = (q - t) / T, so

    unit_l2 = legacy(q) / (s T)        unit_rms = sqrt(n) unit_l2 = legacy(q) / (s rms(t))

Gradient. With e = sign(phat - that) = sign(q - t), the legacy gradient at q is (s / n) e, and the contract's is
(1 / (n P)) (e - phat <e, phat>): the legacy gradient at q, less its part along p, over s P. With m the number of
elements that are not ties and c = <e, phat>, its norm is

    ||grad unit_l2|| = ||grad legacy(q)|| sqrt(1 - c^2 / m) / (s P)

At P = T this is at most 1 / (s T) of the legacy one, the factor of the value; it is that factor where c = 0.

Data set. Both losses are means over B samples, whose factors are 1 / (s T_b). Where every sample is off by the same
relative error d, legacy_b = s T_b d, so the means are in the ratio 1 / (s mean T_b). The gradient of the whole batch is
made of those of its samples; where each has equally many ties and c = 0, their norms are in the ratio rms(1 / (s T_b)).
The scale of a data set makes s^2 mean T_b^2 = C nphotons: where all samples are equally bright, both ratios are
1 / sqrt(C nphotons).

Other scopes. Above a sample stands for whatever shares one norm: with l2_patch a pattern of n = H W elements, with
l2_batch or l2_view the B samples of a batch, or of a view in it, of n = B C H W elements and T^2 = sum_b T_b^2. The
latter is B mean T_b^2 in the mean over batches drawn from the data set, and then there is one factor, not one a sample:
1 / (s sqrt(B mean T_b^2)) for unit_l2, and for unit_rms 1 / (s rms(t)), whatever B.
"""

from dataclasses import dataclass, field, replace
from math import sqrt

import numpy as np

from conformance.case import Array, Float64
from conformance.codepaths.config import MAE_GAINS, choose, require_positive

OPTIMIZERS = ("adam", "sgd")
NORMALIZATIONS = ("l2_batch", "l2_view", "l2_sample", "l2_patch")
SHARED = ("l2_batch", "l2_view")
"""Where samples share a norm: `batch_size` of them."""


@dataclass(frozen=True)
class Ratios:
    """Normalised over legacy: of the loss, of the gradient at P = T (at most); the least and largest of one scope."""

    loss: float
    gradient: float
    least: float
    largest: float

    def times(self, factor: float) -> "Ratios":
        """Return the ratios of a loss that is `factor` times as large: sqrt(n) for the gain unit_rms."""
        return Ratios(self.loss * factor, self.gradient * factor, self.least * factor, self.largest * factor)


@dataclass(frozen=True)
class Settings:
    """What a training run sets that has the size of its loss in it; None where it is not used."""

    mae_weight: float = 1.0
    learning_rate: float = 1e-3
    optimizer: str = "adam"
    adam_epsilon: float | None = 1e-8
    clip_norm: float | None = None
    min_delta: float | None = 1e-4


def _amplitudes(name: str, array: Array) -> Float64:
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name}: got {type(array).__name__}, wanted a NumPy array of real amplitudes")
    if array.dtype.kind not in "uif":
        raise TypeError(f"{name}: got {array.dtype}, wanted real amplitudes; take the modulus of a field")
    return array.astype(np.float64)


def norms(target: Array) -> Float64:
    """Return T_b of targets (B, C, H, W); refuse one that is dark or not finite: it has no factor 1 / T_b."""
    amplitude = _amplitudes("target", target)
    if amplitude.ndim != 4 or amplitude.size == 0:
        raise ValueError(f"target: got shape {target.shape}, wanted four non-empty axes (B, C, H, W)")
    found = np.sqrt(np.sum(np.square(amplitude), axis=(1, 2, 3)))
    unfit = ~(np.isfinite(found) & (found > 0))
    if np.any(unfit):
        first = int(np.argmax(unfit))
        raise ValueError(f"target: sample {first} has norm {found[first]}, wanted finite and above 0; leave it out")
    return np.asarray(found)


def patterns_in_scope(channels: int, normalization: str, batch_size: int | None = None) -> int:
    """Return how many patterns share a norm: 1 with `l2_patch`, C with `l2_sample`, else `batch_size` times C.

    Raises ValueError for an unknown normalization, and where samples share a norm and nobody says how many.
    """
    choose("normalization", normalization, NORMALIZATIONS)
    if normalization not in SHARED:
        return {"l2_patch": 1, "l2_sample": channels}[normalization]
    if batch_size is None or batch_size < 1:
        raise ValueError(f"batch_size: got {batch_size}, wanted how many samples share a norm under {normalization}")
    return batch_size * channels


def ratios_of_photons(nphotons: float, channels: int, *, normalization: str, batch_size: int | None = None) -> Ratios:
    """Return the ratios of `unit_l2` where every pattern has `nphotons`: 1 / sqrt(photons that share a norm).

    Parameters
    ----------
    nphotons : float
        Photons in one diffraction pattern, finite and above 0.
    channels : int
        C, the patterns of one sample.
    normalization : {"l2_batch", "l2_view", "l2_sample", "l2_patch"}
    batch_size : int
        Samples that share a norm, required by `l2_batch` and `l2_view`.

    Raises
    ------
    TypeError, ValueError
        No number above 0, an unknown normalization, or no batch size where one is needed.
    """
    one = 1 / sqrt(patterns_in_scope(channels, normalization, batch_size) * require_positive("nphotons", nphotons))
    return Ratios(one, one, one, one)


def ratios_of_data(
    target: Array, scale: float, *, normalization: str, gain: str = "unit_l2", batch_size: int | None = None
) -> Ratios:
    """Return the ratios for a data set at the intensity scale of the legacy MAE.

    Parameters
    ----------
    target : array (B, C, H, W) of real numbers
        Amplitudes; no sample is dark.
    scale : float
        s, in sqrt(photons) per unit of amplitude, finite and above 0.
    normalization : {"l2_batch", "l2_view", "l2_sample", "l2_patch"}
    gain : {"unit_l2", "unit_rms"}
    batch_size : int
        Of the training, required by `unit_l2` with `l2_batch`; with `l2_view`, how many samples a batch has of one
        view. Nothing else depends on it.

    Raises
    ------
    TypeError, ValueError
        Arrays, numbers or names other than these, or no batch size where one is needed.
    """
    choose("gain", gain, MAE_GAINS)
    require_positive("scale", scale)
    each = norms(target)
    _, channels, height, width = target.shape
    if gain == "unit_rms" and batch_size is None:
        batch_size = 1  # it cancels
    elements = patterns_in_scope(channels, normalization, batch_size) * height * width
    factor = sqrt(elements) if gain == "unit_rms" else 1.0
    if normalization in SHARED:
        one = factor / (scale * sqrt((batch_size or 1) * float(np.mean(np.square(each)))))
        return Ratios(one, one, one, one)
    if normalization == "l2_patch":
        each = norms(target.reshape(-1, 1, height, width))
    each = factor / (scale * each)
    loss, gradient = 1 / np.mean(1 / each), np.sqrt(np.mean(np.square(each)))
    return Ratios(float(loss), float(gradient), float(np.min(each)), float(np.max(each)))


def equivalent_weight(weight: float, ratios: Ratios) -> float:
    """Return the weight under which the gradient keeps its size, and every other setting its value: W / ratio."""
    return weight / ratios.gradient


def equivalent_settings(legacy: Settings, ratios: Ratios) -> Settings:
    """Return the settings that make the same steps if the weight stays: with every gradient r times the old one,

    - SGD, with or without momentum, steps by its learning rate times a linear function of the gradients: it needs
      learning_rate / r;
    - Adam steps by learning_rate m / (sqrt(v) + epsilon), with m linear and v quadratic in the gradients: r cancels if
      epsilon becomes r epsilon, the learning rate stays;
    - a gradient norm is cut at r clip_norm;
    - a loss that is r times the old one has improved by min_delta where the new one has by r min_delta.
    """
    if legacy.optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer: got {legacy.optimizer!r}, wanted one of {', '.join(OPTIMIZERS)}")
    sgd = legacy.optimizer == "sgd"
    return replace(
        legacy,
        learning_rate=legacy.learning_rate / ratios.gradient if sgd else legacy.learning_rate,
        adam_epsilon=None if sgd or legacy.adam_epsilon is None else legacy.adam_epsilon * ratios.gradient,
        clip_norm=None if legacy.clip_norm is None else legacy.clip_norm * ratios.gradient,
        min_delta=None if legacy.min_delta is None else legacy.min_delta * ratios.loss,
    )


def l2_matched(prediction: Array, target: Array) -> Float64:
    """Return q_b = (T_b / P_b) p_b: the prediction, rescaled per sample to the norm of the target."""
    if prediction.shape != target.shape:
        raise ValueError(f"shapes differ: prediction {prediction.shape}, target {target.shape}; no broadcasting")
    factor = norms(target) / norms(prediction)
    return np.asarray(prediction * factor[:, None, None, None])


def from_l2_match(loss: Array, target: Array, scale: float = 1.0) -> Float64:
    """Return `unit_l2` per sample from the MAE per sample of `l2_matched` predictions: loss_b / (s T_b)."""
    each = norms(target)
    if loss.shape != each.shape:
        raise ValueError(f"loss: got shape {loss.shape}, wanted {each.shape}, one mean per sample")
    return np.asarray(loss / (scale * each))


@dataclass
class AbsoluteScale:
    """Sums over the batches of a data set: <p, t> and <p, p>, in float64."""

    crossed: float = field(default=0.0, init=False)
    energy: float = field(default=0.0, init=False)

    def add(self, prediction: Array, target: Array, mask: Array | None = None) -> None:
        """Add one batch; where the mask, broadcastable to the target, is 0 nothing counts, NaN included."""
        if prediction.shape != target.shape:
            raise ValueError(f"shapes differ: prediction {prediction.shape}, target {target.shape}; no broadcasting")
        p, t = _amplitudes("prediction", prediction), _amplitudes("target", target)
        if mask is not None:
            try:
                valid = np.broadcast_to(np.asarray(mask) != 0, target.shape)
            except ValueError as error:
                wanted = f"wanted one that broadcasts to {target.shape}"
                raise ValueError(f"mask: got shape {np.shape(mask)}, {wanted}") from error
            p, t = np.where(valid, p, 0.0), np.where(valid, t, 0.0)
        for name, array in (("prediction", p), ("target", t)):
            bad = np.argwhere(~np.isfinite(array))
            if len(bad):
                first = tuple(int(i) for i in bad[0])
                raise ValueError(f"{name}: got {array[first]} at {first}, wanted finite numbers; mask or repair it")
        self.crossed += float(np.sum(p * t))
        self.energy += float(np.sum(p * p))

    @property
    def value(self) -> float:
        """The scale a with the least sum of (a p - t)^2: its derivative 2 (a <p, p> - <p, t>) is 0 there."""
        if not self.energy > 0:
            raise ValueError("prediction: got nothing but 0 in valid pixels, which no scale brings to the target")
        if not self.crossed > 0:
            raise ValueError(f"target: <p, t> is {self.crossed:.3g}, wanted above 0: the two share no light")
        return self.crossed / self.energy


def absolute_scale(prediction: Array, target: Array, mask: Array | None = None) -> float:
    """Return the one scale <p, t> / <p, p> that brings a data set's predictions to the targets.

    Multiply predicted amplitudes by it, or the object: amplitudes are proportional to it. One scale for all samples:
    a scale per sample would hide what the network got wrong between them. `AbsoluteScale` takes batch after batch.

    Raises
    ------
    ValueError
        Shapes that differ, a mask that does not broadcast, a valid number that is not finite, no light in common.
    TypeError
        Anything but real numbers.
    """
    sums = AbsoluteScale()
    sums.add(prediction, target, mask)
    return sums.value
