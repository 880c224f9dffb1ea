"""The probes: complex illumination (modes, N, N), of unit total intensity."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Complex = npt.NDArray[np.complex128]


def _unit(modes: Complex) -> Complex:
    return np.asarray(modes / np.sqrt(np.sum(np.abs(modes) ** 2)))


def soft(size: int) -> Complex:
    """Return one mode: a soft-edged disc with a weak curvature, so that no twin image fits the same data."""
    rows, columns = (np.mgrid[:size, :size] - (size - 1) / 2) / size
    radius = np.hypot(rows, columns)
    modulus = 1 / (1 + np.exp((radius - 0.27) / 0.04))
    return _unit((modulus * np.exp(1j * 14.0 * radius**2))[np.newaxis])


def aberrated(size: int) -> Complex:
    """Return two incoherent modes of 90 and 10 % of the power: an aberrated lens's spot, and its shifted derivative."""
    rows, columns = (np.mgrid[:size, :size] - (size - 1) / 2) / (size / 2)
    radius, angle = np.hypot(rows, columns), np.arctan2(rows, columns)
    pupil = 1 / (1 + np.exp((radius - 0.42) / 0.04))
    phase = 9.0 * radius**2 + 5.0 * radius**3 * np.cos(angle) + 3.0 * radius**2 * np.cos(2 * angle)
    spot = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(pupil * np.exp(1j * phase))))
    second = np.gradient(spot, axis=0)
    second = second - spot * np.vdot(spot, second) / np.vdot(spot, spot)
    modes = [np.sqrt(power) * mode / np.linalg.norm(mode) for power, mode in ((0.9, spot), (0.1, second))]
    return _unit(np.stack(modes))


PROBES: dict[str, Callable[[int], Complex]] = {"synthetic": soft, "real-like": aberrated}
