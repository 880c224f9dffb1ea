"""What it takes to bring a measured scan to the study's size: layout, crop of the far field, positions, neighbours."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Float64 = npt.NDArray[np.float64]

ORIENTATIONS = ("++", "+-", "-+", "--", "t++", "t+-", "t-+", "t--")
"""How recorded positions become rows and columns: exchanged after "t", then each with its sign."""


def shifted(array: Array) -> Array:
    """Return fftshift over the last two axes."""
    return np.asarray(np.fft.fftshift(array, axes=(-2, -1)))


def spread(intensity: Array) -> float:
    """Return sum I r^2 / sum I of I (N, N), r the distance in pixels from (N // 2, N // 2)."""
    offset = np.arange(len(intensity)) - len(intensity) // 2
    squared = offset[:, np.newaxis] ** 2 + offset[np.newaxis, :] ** 2
    return float(np.sum(intensity * squared) / np.sum(intensity))


def is_at_corner(intensity: Array) -> bool:
    """Say whether the light of I (N, N) lies nearer to (N // 2, N // 2) once it is shifted than as it is.

    The centre of mass cannot tell: light that is even about the corner pixel has it in the middle too. The spread can.
    """
    return spread(shifted(intensity)) < spread(intensity)


def middle(array: Array, size: int) -> Array:
    """Return the central (..., size, size) of (..., N, N): pixel N // 2 becomes pixel size // 2."""
    start = array.shape[-1] // 2 - size // 2
    return array[..., start : start + size, start : start + size]


def with_cropped_spectrum(probe: Array, size: int) -> npt.NDArray[np.complex128]:
    """Return a probe (modes, N, N) as (modes, size, size), whose unitary far field is the middle of the old one.

    The field of view stays, so a pixel becomes N / size times as wide. sum |probe|^2 loses what fell outside the crop.
    """
    modes = probe.astype(np.complex128)  # complex64 would be transformed in single precision
    if modes.shape[-1] == size:
        return modes
    far = middle(shifted(np.fft.fft2(modes, norm="ortho")), size)
    return np.asarray(np.fft.ifft2(np.fft.ifftshift(far, axes=(-2, -1)), norm="ortho"), np.complex128)


def corners(recorded: Array, orientation: str, factor: float) -> tuple[npt.NDArray[np.int64], float]:
    """Return whole-pixel corners (P, 2), least 0, and the largest rounding error in pixels.

    `recorded` (P, 2) are rows and columns in pixels of the file; `factor`, size / N, is one such pixel in pixels here.
    """
    turned = recorded.astype(np.float64)
    if orientation.startswith("t"):
        turned = turned[:, ::-1]
    turned = turned * np.array([1.0 if sign == "+" else -1.0 for sign in orientation[-2:]])
    scaled = (turned - turned.min(axis=0)) * factor
    whole = np.rint(scaled)
    return whole.astype(np.int64), float(np.abs(whole - scaled).max())


def neighbours(positions: npt.NDArray[np.int64], channels: int) -> npt.NDArray[np.int64]:
    """Return the patterns (P, channels) of each sample: one, and those nearest to it, the lower index where tied."""
    found = np.empty((len(positions), channels), np.int64)
    for pattern, place in enumerate(positions):
        distance = np.sum((positions - place) ** 2, axis=1)
        distance[pattern] = -1
        found[pattern] = np.argsort(distance, kind="stable")[:channels]
    return found
