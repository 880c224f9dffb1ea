"""A scan: patterns measured at positions, grouped into samples, and what is known of the object."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conformance.rollout.study.objects import OBJECTS
from conformance.rollout.study.probes import PROBES
from conformance.rollout.study.settings import Setting

Array = npt.NDArray[Any]

SIZE = 32
"""N, pixels of a pattern's side."""
GRID, STEP, JITTER = 13, 6, 2
"""Positions per side of the scan, pixels between them, and the largest random displacement."""
DEAD = 0.004
"""Share of dead detector pixels in the real-like data."""


@dataclass(frozen=True)
class Scan:
    """What a run trains on.

    Attributes
    ----------
    targets : (P, N, N) float32
        Measured amplitudes, normalised so that the mean of sum t^2 over a pattern is (N/2)^2, up to
        noise, masked pixels and, with a jitter of the flux, its mean (1.08 for a factor of 2).
    probe : (modes, N, N) complex64
        Scaled so that the true object gives the targets, up to noise.
    positions : (P, 2) int
        Upper left corner of each pattern's patch in the object.
    groups : (G, C) int
        The patterns of each sample.
    mask : (N, N) bool
        Valid detector pixels.
    truth : (S, S) complex64, or None
    """

    targets: npt.NDArray[np.float32]
    probe: npt.NDArray[np.complex64]
    positions: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    mask: npt.NDArray[np.bool_]
    truth: npt.NDArray[np.complex64] | None


def far_field_intensity(patches: Array, probe: Array) -> npt.NDArray[np.float64]:
    """Return sum over modes of |FFT(probe patch)|^2 (P, N, N), unitary, zero frequency in the middle."""
    waves = np.fft.fft2(patches[:, np.newaxis] * probe, norm="ortho")
    return np.asarray(np.fft.fftshift(np.sum(np.abs(waves) ** 2, axis=1), axes=(-2, -1)))


def patches_of(canvas: Array, positions: npt.NDArray[np.int64], size: int) -> Array:
    """Return the patches (P, size, size) of a canvas at positions."""
    rows, columns = np.mgrid[:size, :size]
    return np.asarray(canvas[positions[:, 0, None, None] + rows, positions[:, 1, None, None] + columns])


def scan_positions(draw: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return the corners (GRID^2, 2) of a jittered square grid, row by row."""
    regular = np.stack(np.meshgrid(np.arange(GRID), np.arange(GRID), indexing="ij"), axis=-1).reshape(-1, 2) * STEP
    return np.asarray(regular + draw.integers(0, JITTER + 1, regular.shape))


def groups_of(channels: int) -> npt.NDArray[np.int64]:
    """Return the patterns (G, channels) of each sample: one, or the four corners of a cell of the grid."""
    if channels == 1:
        return np.arange(GRID * GRID)[:, np.newaxis]
    corner = np.arange(GRID * GRID).reshape(GRID, GRID)
    cells = (corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:])
    return np.stack([cell.ravel() for cell in cells], axis=1)


def simulated(setting: Setting) -> Scan:
    """Return a simulated scan with Poisson noise; one seed gives one scan, whatever the arm.

    The two data sets share the stream of a seed, and so its positions: they are paired too, not independent.
    """
    draw = np.random.default_rng([setting.seed, len(setting.data)])
    positions = scan_positions(draw)
    truth = OBJECTS[setting.data](int(positions.max()) + SIZE, draw)
    probe = PROBES[setting.data](SIZE)
    intensity = far_field_intensity(patches_of(truth, positions, SIZE), probe)
    flux = setting.jitter ** draw.uniform(-1.0, 1.0, len(positions))
    mask = np.ones((SIZE, SIZE), bool)
    if setting.data == "real-like":
        mask = draw.uniform(size=mask.shape) >= DEAD
    photons_per_intensity = setting.photons / np.mean(np.sum(intensity, axis=(1, 2)))
    counts = draw.poisson(intensity * flux[:, None, None] * photons_per_intensity) * mask
    amplitude = np.sqrt(counts / photons_per_intensity)
    scale = (SIZE / 2) / np.sqrt(np.mean(np.sum(intensity, axis=(1, 2))))
    return Scan(
        (amplitude * scale).astype(np.float32),
        (probe * scale).astype(np.complex64),
        positions,
        groups_of(setting.channels),
        mask,
        truth.astype(np.complex64),
    )
