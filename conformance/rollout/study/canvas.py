"""Patches laid together to one object, and the gauges that diffraction leaves free."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from conformance.rollout.study.scan import Array, Scan

COVERED = 0.1
"""Share of the median illumination below which a pixel of the canvas is left out."""

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Canvas:
    """Modulus and complex mean (S, S) of the patches, weighted by the probe's intensity, and where there are any."""

    modulus: Float64
    field: npt.NDArray[np.complex128]
    covered: npt.NDArray[np.bool_]


def stitched(patches: Array, scan: Scan) -> Canvas:
    """Return the canvas of patches (G, C, N, N) at the positions of their patterns."""
    size = patches.shape[-1]
    side = int(scan.positions.max()) + size
    weight = np.sum(np.abs(scan.probe.astype(np.complex128)) ** 2, axis=0)
    modulus, total, seen = np.zeros((side, side)), np.zeros((side, side), np.complex128), np.zeros((side, side))
    for group, members in enumerate(scan.groups):
        for channel, pattern in enumerate(members):
            row, column = scan.positions[pattern]
            window = (slice(row, row + size), slice(column, column + size))
            modulus[window] += weight * np.abs(patches[group, channel])
            total[window] += weight * patches[group, channel]
            seen[window] += weight
    covered = seen > COVERED * np.median(seen[seen > 0])
    safe = np.where(seen > 0, seen, 1.0)
    return Canvas(modulus / safe, np.asarray(total / safe, np.complex128), covered)


def without_plane(angle: Float64, covered: npt.NDArray[np.bool_]) -> Float64:
    """Return differences of phase (S, S), wrapped, after the constant and the tilt that fit them best are taken out.

    The tilt is estimated from products of neighbours, which no wrap disturbs.
    """
    turning = np.exp(1j * angle)
    for axis in (0, 1):
        both = np.take(covered, range(1, len(covered)), axis) & np.take(covered, range(len(covered) - 1), axis)
        forward = np.take(turning, range(1, len(turning)), axis)
        product = forward * np.conj(np.take(turning, range(len(turning) - 1), axis))
        slope = np.angle(np.sum(product[both]))
        ramp = np.arange(len(turning)) * slope
        turning = turning * np.exp(-1j * (ramp[:, None] if axis == 0 else ramp[None, :]))
    mean = np.sum(turning[covered])
    return np.asarray(np.angle(turning * np.conj(mean) / max(abs(mean), 1e-30)))
