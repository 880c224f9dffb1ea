"""What a reconstruction is worth where no truth is known: whether it explains its data, and agrees with itself."""

import numpy as np
import numpy.typing as npt

from conformance.rollout.study.canvas import Canvas, stitched
from conformance.rollout.study.metrics import course
from conformance.rollout.study.scan import Array, Scan, far_field_intensity, patches_of
from conformance.rollout.study.training import Trained

Float64 = npt.NDArray[np.float64]

TOGETHER = 256
"""Patches that are propagated in one call."""
ROUNDS = 10
"""Times that the phases of the patches and the canvas made of them take turns."""
SMALLEST = 1e-12


def predicted(patches: Array, scan: Scan) -> Float64:
    """Return the amplitudes (n, N, N) that patches (n, N, N) give under the scan's probe; 0 at masked pixels."""
    parts = [patches[start : start + TOGETHER] for start in range(0, len(patches), TOGETHER)]
    return np.concatenate([np.where(scan.mask, np.sqrt(far_field_intensity(part, scan.probe)), 0.0) for part in parts])


def r_factors(p: Float64, t: Float64) -> tuple[float, float]:
    """Return sum |g p - t| / sum t of amplitudes (n, N, N), with one g for all patterns, and with one for each.

    g = <p, t> / <p, p>, the least-squares gauge; 0 where p is dark.
    """
    crossed, energy = np.sum(p * t, axis=(1, 2)), np.sum(p * p, axis=(1, 2))
    one = crossed.sum() / max(energy.sum(), SMALLEST)
    each = (crossed / np.maximum(energy, SMALLEST))[:, np.newaxis, np.newaxis]
    return float(np.abs(one * p - t).sum() / t.sum()), float(np.abs(each * p - t).sum() / t.sum())


def dispersion(p: Float64, t: Float64) -> float:
    """Return the standard deviation over patterns of log(||t|| / ||p||)."""
    norms = [np.maximum(np.sqrt(np.sum(a * a, axis=(1, 2))), SMALLEST) for a in (t, p)]
    return float(np.std(np.log(norms[0] / norms[1])))


def _light(scan: Scan) -> Float64:
    """Return the probe's intensity (N, N), which weights the pixels of every patch."""
    return np.asarray(np.sum(np.abs(scan.probe.astype(np.complex128)) ** 2, axis=0))


def _unit(inner: Array) -> Array:
    modulus = np.abs(inner)
    return np.asarray(np.where(modulus > 0, inner / np.maximum(modulus, 1e-300), 1.0))


def _grown(patches: Array, scan: Scan) -> npt.NDArray[np.complex128]:
    """Return patches (n, N, N), each turned towards those before it, from the middle of the scan outwards."""
    size, members = patches.shape[-1], scan.groups.ravel()
    light, places = _light(scan), scan.positions[members]
    canvas = np.zeros((int(scan.positions.max()) + size,) * 2, np.complex128)
    turned = patches.astype(np.complex128)
    for number in np.argsort(np.sum((places - places.mean(axis=0)) ** 2, axis=1), kind="stable"):
        row, column = places[number]
        window = (slice(row, row + size), slice(column, column + size))
        turned[number] *= _unit(np.sum(light * np.conj(turned[number]) * canvas[window]))
        canvas[window] += light * turned[number]
    return turned


def aligned(patches: Array, scan: Scan) -> npt.NDArray[np.complex128]:
    """Return patches (G, C, N, N), each multiplied by one phase that turns it towards the canvas of all of them.

    The phase is that of sum w conj(patch) canvas, w the probe's intensity. Canvas and phases take ROUNDS turns, once
    from the patches as they are and once from a canvas grown patch by patch; these turns mend what is near at hand and
    are slow across a scan. What ends with the larger sum of w |canvas|^2, so with the less variance, is returned.
    """
    size, light = patches.shape[-1], _light(scan)
    plain = patches.astype(np.complex128)
    best, most = plain, -1.0
    for turned in (plain, _grown(plain.reshape(-1, size, size), scan).reshape(plain.shape)):
        for _ in range(ROUNDS):
            local = patches_of(stitched(turned, scan).field, scan.positions, size)[scan.groups]
            turned = turned * _unit(np.sum(light * np.conj(turned) * local, axis=(2, 3), keepdims=True))
        local = patches_of(stitched(turned, scan).field, scan.positions, size)[scan.groups]
        coherent = float(np.sum(light * np.conj(turned) * local).real)
        if coherent > most:
            best, most = turned, coherent
    return best


def disagreement(patches: Array, scan: Scan, canvas: Canvas) -> float:
    """Return how far patches (G, C, N, N), real or complex, differ where they overlap; 0 where they agree everywhere.

    At each covered pixel that two or more patches hold: the standard deviation between them, weighted by the probe's
    intensity. Its mean over these pixels, over the mean of the canvas's modulus there; 0 where nothing overlaps.
    """
    size = patches.shape[-1]
    weight = _light(scan)
    shape = canvas.modulus.shape
    seen, held, total, square = np.zeros(shape), np.zeros(shape), np.zeros(shape, np.complex128), np.zeros(shape)
    for patch, pattern in zip(patches.reshape(-1, size, size), scan.groups.ravel()):
        row, column = scan.positions[pattern]
        window = (slice(row, row + size), slice(column, column + size))
        seen[window] += weight
        held[window] += 1
        total[window] += weight * patch
        square[window] += weight * np.abs(patch) ** 2
    judged = canvas.covered & (held > 1)
    if not np.any(judged):
        return 0.0
    variance = square[judged] / seen[judged] - np.abs(total[judged] / seen[judged]) ** 2
    return float(np.sqrt(np.maximum(variance, 0.0)).mean() / max(canvas.modulus[judged].mean(), SMALLEST))


def measures(patches: Array, scan: Scan) -> dict[str, float]:
    """Return every measure of patches (G, C, N, N) against a scan.

    r_factor, r_factor_each : of the patches, with one gauge for the scan, and with one for each pattern
    r_factor_canvas : of the one object that the aligned patches make, one gauge
    r_factor_constant : of an object that is 1 everywhere, one gauge; what is not below it has seen nothing
    overlap_modulus, overlap_complex : disagreement of moduli, and of patches after one phase each
    dispersion : of the gauges of single patterns
    raw_ratio : ||p|| / ||t|| over the scan, without a gauge
    """
    size = patches.shape[-1]
    target = np.where(scan.mask, scan.targets, 0.0).astype(np.float64)
    members = scan.groups.ravel()
    p, t = predicted(patches.reshape(-1, size, size), scan), target[members]
    one, each = r_factors(p, t)
    turned = aligned(patches, scan)
    canvas = stitched(turned, scan)
    whole = predicted(patches_of(canvas.field, scan.positions, size), scan)
    constant = predicted(np.ones((1, size, size)), scan)
    return {
        "r_factor": one,
        "r_factor_each": each,
        "r_factor_canvas": r_factors(whole, target)[0],
        "r_factor_constant": r_factors(np.broadcast_to(constant, target.shape), target)[0],
        "overlap_modulus": disagreement(np.abs(turned), scan, canvas),
        "overlap_complex": disagreement(turned, scan, canvas),
        "dispersion": dispersion(p, t),
        "raw_ratio": float(np.sqrt(np.sum(p * p) / np.sum(t * t))),
    }


def outcome(trained: Trained, scan: Scan) -> dict[str, float | bool]:
    """Return every metric of a run on a scan without a truth; `finite` is False where training broke down."""
    shared = course(trained)
    if not np.all(np.isfinite(trained.patches)):
        return {**shared, "beats_constant": False}
    found = measures(trained.patches, scan)
    beats = min(found["r_factor"], found["r_factor_canvas"]) < found["r_factor_constant"]
    return {**shared, **found, "beats_constant": beats}
