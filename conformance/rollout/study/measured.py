"""A measured scan from a user's file: counts or amplitudes, probe and positions, cropped and scaled for the study."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from conformance.exit_codes import UsageError
from conformance.frames import (
    COUNTS,
    DEFAULT_NPHOTONS,
    NAMED_ARRAYS,
    frames_first,
    load_arrays,
    metadata_nphotons,
    refuse_bad_numbers,
)
from conformance.rollout.study.cropping import (
    ORIENTATIONS,
    Array,
    corners,
    is_at_corner,
    middle,
    neighbours,
    shifted,
    with_cropped_spectrum,
)
from conformance.rollout.study.scan import Scan

PROBE_NAMES = ("probe", "probeGuess")
POSITION_NAMES = ("scan", "ycoords", "xcoords")
"""Rows and columns in one array (P, 2), or each in its own (P,); in pixels of the file's probe."""
SIZE = 64
FEWEST = 8
"""Patterns, the batch of single ones."""


@dataclass(frozen=True)
class Source:
    """A file and how it is read: pixels of a side after the crop, and how its positions become rows and columns."""

    path: Path
    size: int = SIZE
    orientation: str = "++"

    def __post_init__(self) -> None:
        if self.size < 16 or self.size % 4:
            raise UsageError(f"size: got {self.size}, wanted a multiple of 4 from 16: the networks halve it twice")
        if self.orientation not in ORIENTATIONS:
            raise UsageError(f"orientation: got {self.orientation!r}, wanted one of {', '.join(ORIENTATIONS)}")


@dataclass(frozen=True)
class Measured:
    """A scan without a truth, mean photons of a cropped pattern, and what a record says of the file."""

    scan: Scan
    photons: float
    facts: dict[str, Any]


def _first(arrays: dict[str, Array], names: tuple[str, ...], path: Path, what: str) -> str:
    for name in names:
        if name in arrays:
            return name
    raise UsageError(f"{path}: holds none of the arrays {', '.join(names)}; a scan needs {what}")


def _intensities(array: Array, name: str, where: str) -> tuple[Array, Array]:
    """Return float64 intensities (P, N, N), and the pixels (N, N) that are finite and unsaturated in every pattern."""
    if array.dtype.kind not in "uif":
        raise UsageError(f"{where}: dtype {array.dtype}, wanted real numbers")
    frames = frames_first(array, name, where)
    if frames.shape[1] != frames.shape[2]:
        raise UsageError(f"{where}: patterns of shape {frames.shape[1:]}, wanted square ones; crop them")
    bad = ~np.isfinite(frames)
    if frames.dtype.kind in "ui":
        bad |= frames == np.iinfo(frames.dtype).max
    sound = np.where(bad, 0, frames)
    refuse_bad_numbers(sound, where)
    sound = sound.astype(np.float64)
    return (sound if NAMED_ARRAYS[name] == COUNTS else sound**2), np.asarray(~bad.any(axis=0))


def _probe(array: Array, size: int, where: str) -> Array:
    """Return the modes (modes, N, N), the light in the middle."""
    if array.dtype.kind not in "uifc" or not np.all(np.isfinite(array)):
        raise UsageError(f"{where}: dtype {array.dtype}, wanted finite complex numbers")
    modes = array.reshape(-1, *array.shape[-2:]) if array.ndim > 2 else array[np.newaxis]
    if array.ndim < 2 or modes.shape[1:] != (size, size) or len(modes) != max((1, *array.shape[:-2])):
        raise UsageError(f"{where}: shape {array.shape}, wanted (..., modes, {size}, {size}) as the patterns have")
    intensity = np.sum(np.abs(modes.astype(np.complex128)) ** 2, axis=0)
    if not np.any(intensity > 0):
        raise UsageError(f"{where}: dark, wanted the probe that lit the object")
    return shifted(modes) if is_at_corner(intensity) else modes


def _positions(arrays: dict[str, Array], path: Path, count: int) -> Array:
    """Return rows and columns (P, 2) as the file has them."""
    if "scan" in arrays:
        name, found = "scan", arrays["scan"]
        while found.ndim > 2 and found.shape[0] == 1:
            found = found[0]
    else:
        missing = [name for name in ("ycoords", "xcoords") if name not in arrays]
        if missing:
            raise UsageError(f"{path}: no array {missing[0]} and no array scan; a scan needs its positions")
        name, both = "ycoords, xcoords", [arrays["ycoords"].ravel(), arrays["xcoords"].ravel()]
        if len(both[0]) != len(both[1]):
            raise UsageError(f"{path}: {len(both[0])} ycoords and {len(both[1])} xcoords, wanted as many of each")
        found = np.stack(both, axis=1)
    if found.shape != (count, 2):
        raise UsageError(f"{path}: array {name}: shape {found.shape}, wanted ({count}, 2), a place for each pattern")
    if found.dtype.kind not in "uif" or not np.all(np.isfinite(found)):
        raise UsageError(f"{path}: array {name}: wanted finite numbers of pixels, got others")
    return found


def _cropped(intensity: Array, mask: Array, size: int, where: str) -> tuple[Array, Array]:
    """Return (P, size, size) and (size, size) around zero frequency; refuse dark patterns and mostly bad pixels."""
    if intensity.shape[-1] < size:
        raise UsageError(f"{where}: patterns of {intensity.shape[-1]} pixels a side, wanted {size}; pass a --size")
    if not np.any(intensity > 0):
        raise UsageError(f"{where}: all patterns are dark")
    if is_at_corner(intensity.mean(axis=0)):
        intensity, mask = shifted(intensity), shifted(mask)
    intensity, mask = middle(intensity, size), middle(mask, size)
    if 2 * int(mask.sum()) < mask.size:
        raise UsageError(f"{where}: {mask.size - mask.sum()} of {mask.size} pixels are saturated or no number")
    intensity = np.where(mask, intensity, 0.0)
    dark = np.flatnonzero(intensity.sum(axis=(1, 2)) == 0)
    if len(dark):
        raise UsageError(f"{where}: pattern {dark[0]} is dark in the central {size} x {size}; leave it out")
    return intensity, mask


def read_measured(source: Source, channels: int) -> Measured:
    """Read a scan whose samples are single patterns, or each pattern with its three nearest.

    Counts are in `data` or `diff3d`, amplitudes in `diffraction`; zero frequency in the middle or at the corner,
    whichever gathers the light. The central size x size stay. Of their amplitudes sqrt(I), all are multiplied by one
    number that makes the mean of sum t^2 over a pattern (size / 2)^2; the probe by the one that makes a unit object's
    sum over valid pixels equal that mean. A pixel that is not finite, or at the largest number of its integer type, in
    any pattern is masked in all. Photons: the mean counts of a cropped pattern; for amplitudes what `_metadata` says of
    a whole one, or DEFAULT_NPHOTONS.

    Raises
    ------
    UsageError
        The file or an array is missing or damaged, shapes disagree, numbers are negative, a pattern is dark, there are
        fewer than 8 patterns, or most pixels are masked.
    """
    path, size = source.path, source.size
    arrays, _ = load_arrays(path, (*NAMED_ARRAYS, *PROBE_NAMES, *POSITION_NAMES, "_metadata"))
    name = _first(arrays, tuple(NAMED_ARRAYS), path, "patterns")
    probe_name = _first(arrays, PROBE_NAMES, path, "the probe")
    where = f"{path}: array {name}"
    intensity, mask = _intensities(arrays[name], name, where)
    count, side = intensity.shape[:2]
    if count < FEWEST:
        raise UsageError(f"{where}: {count} patterns, wanted at least {FEWEST}, one batch")
    probe = _probe(arrays[probe_name], side, f"{path}: array {probe_name}")
    recorded = _positions(arrays, path, count)
    intensity, mask = _cropped(intensity, mask, size, where)
    mean = float(np.mean(np.sum(intensity, axis=(1, 2))))
    probe = with_cropped_spectrum(probe, size)
    far = shifted(np.sum(np.abs(np.fft.fft2(probe, norm="ortho")) ** 2, axis=0))
    lit = float(np.sum(far[mask]))
    if not lit > 0:
        raise UsageError(f"{path}: array {probe_name}: sends no light to valid pixels of the central {size} x {size}")
    positions, rounding = corners(recorded, source.orientation, size / side)
    counted = NAMED_ARRAYS[name] == COUNTS
    photons = mean if counted else metadata_nphotons(arrays, str(path)) or DEFAULT_NPHOTONS
    facts = {
        "file": path.name,
        "sha256": sha256(path.read_bytes()).hexdigest(),
        "size": size,
        "orientation": source.orientation,
        "patterns": count,
        "rounding_error": rounding,
        "masked": int(mask.size - mask.sum()),
    }
    scan = Scan(
        (np.sqrt(intensity) * (size / 2 / np.sqrt(mean))).astype(np.float32),
        (probe * (size / 2 / np.sqrt(lit))).astype(np.complex64),
        positions,
        neighbours(positions, channels),
        mask,
        None,
    )
    return Measured(scan, float(f"{photons:.6g}"), facts)
