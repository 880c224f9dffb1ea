"""Small images of a reconstruction, as text that a record can hold."""

import base64

import numpy as np
import numpy.typing as npt

from conformance.rollout.study.canvas import Canvas

SIDE = 40
BRIGHTEST = 1.25
"""Modulus shown white, in units of the truth after one gauge."""


def _packed(image: npt.NDArray[np.float64]) -> str:
    from skimage.transform import resize

    small = resize(image, (SIDE, SIDE), anti_aliasing=True)
    return base64.b64encode(np.clip(small / BRIGHTEST * 255, 0, 255).astype(np.uint8).tobytes()).decode()


def unpacked(text: str) -> npt.NDArray[np.uint8]:
    """Return the image (SIDE, SIDE) of a record's text."""
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(SIDE, SIDE)


def thumbnails(canvas: Canvas, truth: npt.NDArray[np.complex64]) -> dict[str, str]:
    """Return the modulus of canvas and truth over the covered square, the canvas after one gauge."""
    rows, columns = np.flatnonzero(canvas.covered.any(1)), np.flatnonzero(canvas.covered.any(0))
    window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    wanted = np.abs(truth).astype(np.float64)
    gauge = wanted[canvas.covered].mean() / max(canvas.modulus[canvas.covered].mean(), 1e-12)
    return {"image": _packed((canvas.modulus * gauge)[window]), "image_truth": _packed(wanted[window])}
