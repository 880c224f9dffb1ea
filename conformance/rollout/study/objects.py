"""The objects that are scanned: complex transmission functions with known truth, drawn from a seed."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Complex = npt.NDArray[np.complex128]
Float64 = npt.NDArray[np.float64]

AMPLITUDES = (0.25, 1.0)
"""Transmission of the darkest and of the brightest place."""
PHASES = 1.2
"""Radians between the smallest and the largest phase."""


def _spread(values: Float64, low: float, high: float) -> Float64:
    least, most = np.percentile(values, [1, 99])
    return np.asarray(low + (high - low) * np.clip((values - least) / (most - least), 0.0, 1.0))


def gaussian_field(size: int, correlation: float, draw: np.random.Generator) -> Float64:
    """Return a Gaussian random field (size, size) whose structures are about `correlation` pixels wide."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    spectrum = np.exp(-0.5 * (2 * np.pi * frequency * correlation / 2) ** 2)
    return np.asarray(np.fft.ifft2(np.fft.fft2(draw.standard_normal((size, size))) * spectrum).real)


def random_lines(size: int, number: int, draw: np.random.Generator) -> Float64:
    """Return the sum (size, size) of straight lines of random place, direction, width and strength."""
    rows, columns = np.mgrid[:size, :size].astype(np.float64)
    lines = np.zeros((size, size))
    for _ in range(number):
        angle, offset = draw.uniform(0, np.pi), draw.uniform(-0.7, 0.7) * size
        distance = (rows - size / 2) * np.sin(angle) + (columns - size / 2) * np.cos(angle) - offset
        lines += draw.uniform(0.3, 1.0) * np.exp(-0.5 * (distance / draw.uniform(1.0, 2.5)) ** 2)
    return lines


def synthetic(size: int, draw: np.random.Generator) -> Complex:
    """Return lines in the amplitude and a smooth random field in the phase, each with some of the other."""
    lines = random_lines(size, size // 3, draw)
    phase = gaussian_field(size, 10.0, draw)
    amplitude = _spread(-lines + 0.3 * gaussian_field(size, 6.0, draw), *AMPLITUDES)
    return np.asarray(amplitude * np.exp(1j * PHASES * _spread(phase / phase.std() + 0.5 * lines, 0.0, 1.0)))


def _cut(image: Float64, size: int, draw: np.random.Generator) -> Float64:
    from skimage.transform import resize

    side = min(image.shape)
    side = int(side * draw.uniform(0.5, 0.7))
    row, column = (int(draw.integers(0, length - side + 1)) for length in image.shape)
    return np.asarray(resize(image[row : row + side, column : column + side], (size, size), anti_aliasing=True))


def real_like(size: int, draw: np.random.Generator) -> Complex:
    """Return a photograph as amplitude and the measured phase image of a cell as phase, cut at random places."""
    from skimage import data

    photographs: tuple[Callable[[], npt.NDArray[np.uint8]], ...] = (data.camera, data.coins, data.brick, data.grass)
    photograph = photographs[int(draw.integers(len(photographs)))]().astype(np.float64)
    amplitude = _spread(_cut(photograph, size, draw), *AMPLITUDES)
    phase = PHASES * _spread(_cut(data.cell() / 255.0, size, draw), 0.0, 1.0)
    return np.asarray(amplitude * np.exp(1j * phase), np.complex128)


OBJECTS: dict[str, Callable[[int, np.random.Generator], Complex]] = {"synthetic": synthetic, "real-like": real_like}
