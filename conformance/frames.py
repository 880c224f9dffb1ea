"""Real diffraction frames from a file: which array holds them, in which unit, and whether they are fit to judge on."""

import bz2
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from conformance.case import Array, Float64
from conformance.exit_codes import UsageError

COUNTS = "counts"
AMPLITUDES = "amplitudes"
NAMED_ARRAYS = {"diffraction": AMPLITUDES, "diff3d": COUNTS, "data": COUNTS}
"""In this order of preference: PtychoPINN's amplitudes, its legacy intensities, a measured scan's photon counts."""
FRAMES_LAST = "diff3d"
"""Which of them files in the field also hold as (H, W, n)."""
DEFAULT_NPHOTONS = 1e9
DEFAULT_FRAMES = 64
LARGEST_FILE = 8 << 30
FAINTEST, BRIGHTEST = 2.0**-50, 2.0**50


@dataclass(frozen=True)
class Frames:
    """Diffraction amplitudes (n, H, W) that float32 holds exactly, and the photons of a mean frame where known."""

    amplitudes: Float64
    source: str
    nphotons: float | None


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    if path.suffix != ".bz2":
        return path.read_bytes()
    with bz2.open(path) as stream:
        content = stream.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise UsageError(f"{path}: holds more than {LARGEST_FILE} bytes; unpack it and pass a part")
    return content


def load_arrays(path: Path, names: tuple[str, ...]) -> tuple[dict[str, Array], bool]:
    """Return the arrays so named of an NPZ, or the only one of an NPY under the file's name; and whether it was an NPZ.

    Raises UsageError where the file is missing, damaged, or holds anything but plain arrays under these names.
    """
    try:
        content = _read(path)
        loaded: Any = np.load(io.BytesIO(content), allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {path.name: loaded}, False
        wanted = [name for name in names if name in loaded.files]
        found = {name: loaded[name] for name in wanted}
        strange = [name for name, array in found.items() if not isinstance(array, np.ndarray)]
        if strange:
            raise UsageError(f"{path}: entry {strange[0]} is no array")
        return found, True
    except UsageError:
        raise
    except Exception as error:  # a damaged archive may raise anything
        reason = "objects that need pickle" if "pickle" in str(error) else error
        raise UsageError(f"{path}: neither an NPZ nor an NPY file of plain arrays ({reason})") from error


def frames_first(array: Array, name: str, where: str) -> Array:
    """Return frames (n, H, W) of an array with leading axes of length 1, with one frame, or `diff3d` with them last."""
    while array.ndim > 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or 0 in array.shape:
        raise UsageError(f"{where}: shape {array.shape}, wanted frames (n, H, W)")
    first, second, third = array.shape
    if not first == second != third:
        return array
    if name != FRAMES_LAST:
        raise UsageError(
            f"{where}: shape {array.shape}: {first} frames of {second} x {third}, or {third} of {first} x {second}? "
            f"wanted square frames (n, H, W), np.moveaxis(array, -1, 0), or these as {FRAMES_LAST}"
        )
    return np.moveaxis(array, 2, 0)


def refuse_bad_numbers(array: Array, where: str) -> None:
    """Raise UsageError at the first number that is not finite or below 0."""
    if array.dtype.kind not in "uif":
        raise UsageError(f"{where}: dtype {array.dtype}, wanted real numbers")
    for name, bad in (("non-finite", ~np.isfinite(array)), ("negative", array < 0)):
        if np.any(bad):
            first = tuple(int(i) for i in np.argwhere(bad)[0])
            raise UsageError(f"{where}: {name} number {array[first]} at frame, row, column {first}; mask or repair it")


def metadata_nphotons(arrays: dict[str, Array], where: str) -> float | None:
    """Return the photons of a mean frame that the file's metadata name, None where they do not."""
    if "_metadata" not in arrays:
        return None
    try:
        metadata = json.loads(str(arrays["_metadata"].item()))
        found = metadata.get("nphotons", metadata.get("physics_parameters", {}).get("nphotons"))
        nphotons = None if found is None else float(found)
    except (ValueError, AttributeError, TypeError) as error:
        raise UsageError(f"{where}: array _metadata is no JSON object with a number nphotons ({error})") from error
    if nphotons is not None and not 0 < nphotons < float("inf"):
        raise UsageError(f"{where}: array _metadata: nphotons {nphotons}, wanted a finite number above 0")
    return nphotons


def read_frames(path: Path, count: int | None, together: int = 1) -> Frames:
    """Read `count` frames, evenly spaced over the file, as amplitudes rounded to float32; at most 64 when None.

    With `together`, what is evenly spaced are runs of so many consecutive frames, as many as `count` has room for.

    Raises
    ------
    UsageError
        The file is missing or of no known form, has fewer frames, or holds negative or non-finite numbers.
    """
    if count is not None and count < 1:
        raise UsageError(f"frames: got {count}, wanted at least 1")
    arrays, named = load_arrays(path, (*NAMED_ARRAYS, "_metadata"))
    known = [name for name in (NAMED_ARRAYS if named else arrays) if name in arrays]
    if not known:
        raise UsageError(f"{path}: holds none of the arrays {', '.join(NAMED_ARRAYS)}")
    name = known[0]
    unit = NAMED_ARRAYS.get(name, AMPLITUDES)
    where = f"{path}: array {name}"
    frames = frames_first(arrays[name], name, where)
    refuse_bad_numbers(frames, where)
    count = min(DEFAULT_FRAMES, frames.shape[0]) if count is None else count
    if frames.shape[0] < count:
        raise UsageError(f"{where}: {frames.shape[0]} frames, wanted {count}; pass a smaller --frames")
    if count < together:
        raise UsageError(f"{where}: {count} of {frames.shape[0]} frames asked for, wanted at least {together} in a row")
    runs = count // together
    count = runs * together
    starts = np.arange(runs) * (frames.shape[0] // together) // runs * together
    chosen = frames[(starts[:, None] + np.arange(together)).ravel()].astype(np.float64)
    amplitudes = (np.sqrt(chosen) if unit == COUNTS else chosen).astype(np.float32).astype(np.float64)
    lit = amplitudes[amplitudes > 0]
    if lit.size == 0:
        raise UsageError(f"{where}: the chosen frames are all dark")
    if lit.min() < FAINTEST or lit.max() > BRIGHTEST:
        raise UsageError(
            f"{where}: amplitudes {lit.min():.3g} to {lit.max():.3g}, wanted {FAINTEST:.3g} to {BRIGHTEST:.3g}: "
            "their squares leave float32; rescale the data"
        )
    measured = float(np.mean(np.sum(chosen, axis=(1, 2)))) if unit == COUNTS else metadata_nphotons(arrays, str(path))
    return Frames(amplitudes, f"{name} ({unit}), {count} of {frames.shape[0]} frames {frames.shape[1:]}", measured)
