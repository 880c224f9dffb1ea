"""What a reconstruction is worth: the metrics of the field, and those that see a lost scale."""

import numpy as np
import numpy.typing as npt

from conformance.rollout.study.canvas import Canvas, stitched, without_plane
from conformance.rollout.study.scan import Scan, patches_of
from conformance.rollout.study.training import Trained

Float64 = npt.NDArray[np.float64]

FRC_RINGS = 24
GATE = 0.6
"""Correlation of the canvas with the truth below which a run says nothing about fine differences."""


def ring_correlation(first: npt.NDArray[np.complex128], second: npt.NDArray[np.complex128]) -> Float64:
    """Return the Fourier ring correlation of two windowed square images, from the lowest ring to Nyquist's."""
    size = len(first)
    window = np.outer(np.hanning(size), np.hanning(size))
    left, right = (np.fft.fft2(image * window) for image in (first, second))
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    ring = np.minimum((radius * 2 * FRC_RINGS).astype(int), FRC_RINGS)
    cross, power, other = (
        np.bincount(ring.ravel(), values.ravel(), FRC_RINGS + 1)[:FRC_RINGS]
        for values in ((left * np.conj(right)).real, np.abs(left) ** 2, np.abs(right) ** 2)
    )
    return np.asarray(cross / np.sqrt(np.maximum(power * other, 1e-300)))


def frc50(curve: Float64) -> float:
    """Return the frequency, as a share of Nyquist's, at which the curve first falls below 1/2; 1 if it never does."""
    below = np.flatnonzero(~(curve >= 0.5))  # what is no number resolves nothing
    if not len(below):
        return 1.0
    place = int(below[0])
    if place == 0:
        return 0.0
    above, under = curve[place - 1], curve[place]
    return float((place - 0.5 + (above - 0.5) / (above - under)) / len(curve))


def _inner_square(covered: npt.NDArray[np.bool_]) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
    margin = max(0, (min(len(rows), len(columns)) - 2 * (min(len(rows), len(columns)) * 7 // 20)) // 2)
    side = min(len(rows), len(columns)) - 2 * margin
    return slice(rows[0] + margin, rows[0] + margin + side), slice(columns[0] + margin, columns[0] + margin + side)


def patch_gauges(trained: Trained, scan: Scan, truth: npt.NDArray[np.complex64]) -> Float64:
    """Return, for each patch, the factor by which its modulus exceeds the truth's, where the probe lights it."""
    weight = np.sum(np.abs(scan.probe.astype(np.complex128)) ** 2, axis=0)
    wanted = np.abs(patches_of(truth, scan.positions, weight.shape[0]))[scan.groups]
    got = np.abs(trained.patches)
    gauge = np.sum(weight * got * wanted, axis=(2, 3)) / np.sum(weight * wanted**2, axis=(2, 3))
    return np.asarray(np.maximum(gauge, 1e-12).ravel(), np.float64)


def compare(canvas: Canvas, truth: npt.NDArray[np.complex64]) -> dict[str, float | list[float]]:
    """Return the metrics of a canvas against the truth, each after one gauge for the whole canvas."""
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    inside = canvas.covered
    wanted = np.abs(truth).astype(np.float64)
    ratio = float(canvas.modulus[inside].mean() / wanted[inside].mean())
    modulus = canvas.modulus / max(ratio, 1e-12)
    difference = without_plane(np.angle(canvas.field) - np.angle(truth), inside)
    square = _inner_square(inside)
    clipped = np.clip(modulus, 0.0, 2.0)
    phase = np.angle(truth).astype(np.float64)
    curve = ring_correlation((modulus * np.exp(1j * (phase + difference)))[square], truth.astype(np.complex128)[square])
    span = float(np.ptp(phase[square]))
    spread = float(modulus[inside].std())
    pearson = float(np.corrcoef(modulus[inside], wanted[inside])[0, 1]) if spread > 1e-9 else 0.0
    return {
        "amplitude_mae": float(np.abs(modulus - wanted)[inside].mean()),
        "constant_amplitude_mae": float(np.abs(wanted[inside].mean() - wanted[inside]).mean()),
        "phase_mae": float(np.abs(difference)[inside].mean()),
        "amplitude_psnr": float(peak_signal_noise_ratio(wanted[square], clipped[square], data_range=1.0)),
        "amplitude_ssim": float(structural_similarity(wanted[square], clipped[square], data_range=1.0)),
        "phase_ssim": float(
            structural_similarity(phase[square], (phase + difference)[square], data_range=max(span, 1e-6))
        ),
        "frc50": frc50(curve),
        "frc": [round(float(value), 4) for value in curve],
        "canvas_correlation": pearson,
        "amplitude_ratio": ratio,
    }


def course(trained: Trained) -> dict[str, float | bool]:
    """Return what is known of a run without a look at its scan; `finite` is False where training broke down."""
    return {
        "finite": bool(np.all(np.isfinite(trained.patches)) and np.all(np.isfinite(trained.losses))),
        "loss_first": trained.losses[0],
        "loss_last": float(np.mean(trained.losses[-20:])),
        "gradient_norm_first": trained.gradient_norms[0],
        "gradient_norm_last": float(np.mean(trained.gradient_norms[-20:])),
        "drift": trained.mean_amplitudes[-1] / max(trained.mean_amplitudes[len(trained.mean_amplitudes) // 2], 1e-12),
    }


def outcome(trained: Trained, scan: Scan) -> dict[str, float | bool | list[float]]:
    """Return every metric of a run on a scan with known truth; `finite` is False where training broke down."""
    if scan.truth is None:
        raise ValueError("scan: got one without a truth, wanted a simulated one; use consistency.outcome")
    shared = course(trained)
    if not np.all(np.isfinite(trained.patches)):
        return {**shared, "accepted": False}
    gauges = patch_gauges(trained, scan, scan.truth)
    found = compare(stitched(trained.patches, scan), scan.truth)
    beats = float(found["amplitude_mae"]) < float(found["constant_amplitude_mae"])  # type: ignore[arg-type]  # a number
    good = float(found["canvas_correlation"]) > GATE  # type: ignore[arg-type]  # a number
    return {
        **shared,
        **found,
        "dispersion": float(np.std(np.log(gauges))),
        "beats_constant": beats,
        "accepted": bool(shared["finite"]) and beats and good,
    }
