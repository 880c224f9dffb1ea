"""Cases from real frames: targets are measured, predictions made from them, the truth is the reference in float64."""

from collections.abc import Iterator

import numpy as np

from conformance.backends import Backend
from conformance.case import Case, Float64, Parameters, Question, Scale
from conformance.computed import computed_case
from conformance.exit_codes import BackendError, UsageError
from conformance.frames import BRIGHTEST, DEFAULT_NPHOTONS, FAINTEST, Frames

CHANNELS = 4
SAMPLES = 2


def predict(target: Float64) -> Float64:
    """Return a plausible prediction of (..., H, W): blurred and lifted; still dark at half of the dark pixels.

    Zero rates under non-zero counts, whose loss is infinite, never occur.
    """
    blurred = 0.5 * target + 0.25 * np.roll(target, 1, -1) + 0.25 * np.roll(target, 1, -2)
    lifted = blurred + np.max(target, axis=(-2, -1), keepdims=True) / 64
    rows, columns = np.indices(target.shape[-2:])
    dark = (target == 0) & ((rows + columns) % 2 == 0)
    return np.asarray(np.where(dark, 0.0, lifted).astype(np.float32).astype(np.float64))


def intensity_scale(frames: Frames, nphotons: float | None) -> Scale:
    """Return the scale at which a mean frame has `nphotons` photons, as a number that float32 holds.

    Without `nphotons`: the file's own photons, or DEFAULT_NPHOTONS where it names none.
    """
    photons = nphotons or frames.nphotons or DEFAULT_NPHOTONS
    intensity = float(np.mean(np.sum(np.square(frames.amplitudes), axis=(1, 2))))
    scale = float(np.sqrt(photons / intensity))
    brightest = scale * float(np.max(frames.amplitudes))
    faintest = scale * float(np.min(frames.amplitudes[frames.amplitudes > 0]))
    if not (faintest >= FAINTEST and brightest <= BRIGHTEST):
        raise UsageError(
            f"nphotons {photons:.3g}: rates of {faintest**2:.3g} to {brightest**2:.3g} photons per pixel, wanted "
            f"{FAINTEST**2:.3g} to {BRIGHTEST**2:.3g}, what float32 can hold"
        )
    return Scale(float(np.float32(scale)))


def _batches(frames: Frames) -> Iterator[Float64]:
    count, height, width = frames.amplitudes.shape
    channels = CHANNELS if count % CHANNELS == 0 else 1
    samples = frames.amplitudes.reshape((count // channels, channels, height, width))
    for start in range(0, samples.shape[0], SAMPLES):
        yield samples[start : start + SAMPLES]


def _case(question: Question, reference: Backend) -> Case:
    case = computed_case(question, reference, why="measured frames", catches="what small synthetic cases do not show")
    if not np.all(np.isfinite(case.truth.value)) or not np.all(np.isfinite(case.truth.gradient)):
        raise BackendError(f"case {question.case_id}: the reference gave a non-finite number on finite frames")
    return case


def measured_cases(frames: Frames, nphotons: float | None, reference: Backend) -> Iterator[Case]:
    """Yield, for each batch of frames, one case of each loss."""
    scale = intensity_scale(frames, nphotons)
    for number, target in enumerate(_batches(frames)):
        prediction = predict(target)
        for loss, parameters in (
            ("amplitude_l2_mae", Parameters()),
            ("amplitude_mae", Parameters(scale=scale)),
            ("poisson_nll", Parameters(scale=scale)),
        ):
            question = Question(f"frames-{number:03d}-{loss}", loss, parameters, prediction, target)
            yield _case(question, reference)
