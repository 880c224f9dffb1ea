"""What Hypothesis draws for the laws: amplitudes in many regimes, masks, ids and factors; few shapes, compiled once.

Numbers are integers of 8 bits times powers of two, drawn as bytes: exact in every dtype, small when they are shrunk.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from conformance.case import Array, Scale

SHAPE = (4, 3, 3, 4)
"""Height and width differ, and no axis is 1 or 2: an axis that is mistaken for another is seen."""
EAGER_SHAPE = (4, 4, 4, 4)
"""The one shape of eager JAX, which compiles each operation for each shape."""
SCOPES = ("sample", "patch", "view", "batch")
REGIMES = ("level", "wide", "sparse", "spiked", "flat")
RELATIONS = ("apart", "near", "mixed", "swapped")

scopes = st.sampled_from(SCOPES)
powers = st.integers(-10, 10)
scales = st.tuples(st.integers(1, 4095), st.integers(-14, 2)).map(lambda drawn: Scale(drawn[0] * 2.0 ** drawn[1]))
"""From 6e-5 to 2e4, which are up to 1e17 photons per pixel, in 12 bits."""
view_ids = st.lists(st.sampled_from([-7, 0, 3, 2**31 - 1]), min_size=SHAPE[0], max_size=SHAPE[0]).map(
    lambda ids: np.array(ids, np.int32)
)


@st.composite
def amplitudes(draw: Any, shape: tuple[int, ...] = SHAPE, span: int = 8) -> Array:
    """Non-negative amplitudes: of one octave; over 2 * `span` octaves; mostly 0; one bright element; all equal."""
    size = int(np.prod(shape))
    regime = draw(st.sampled_from(REGIMES))
    raw = np.frombuffer(draw(st.binary(min_size=2 * size, max_size=2 * size)), np.uint8).astype(int).reshape(2, *shape)
    digits, other = raw
    if regime == "flat":
        return np.full(shape, 1.0 + digits.flat[0])
    numbers = 128.0 + digits % 128 if regime == "level" else digits.astype(float)
    if regime == "wide":
        return np.ldexp(numbers, other % (2 * span + 1) - span)
    if regime == "sparse":
        return np.where(other % 4 == 0, numbers, 0.0)
    if regime == "spiked":
        numbers.flat[other.flat[0] % size] = 2.0**span * (1 + digits.flat[0])
    return numbers


@st.composite
def signed(draw: Any, numbers: st.SearchStrategy[Array]) -> Array:
    """The same numbers with signs."""
    drawn = draw(numbers)
    bits = np.frombuffer(draw(st.binary(min_size=drawn.size, max_size=drawn.size)), np.uint8)
    return np.where(bits.reshape(drawn.shape) % 2 == 0, drawn, -drawn)


@st.composite
def lit(draw: Any, shape: tuple[int, ...] = SHAPE, span: int = 8) -> Array:
    """Amplitudes with light in every pattern: no norm is 0."""
    numbers = draw(amplitudes(shape, span))
    numbers[..., 0, 0] = np.maximum(numbers[..., 0, 0], 1.0)
    return numbers


@st.composite
def pairs(draw: Any, shape: tuple[int, ...] = SHAPE, span: int = 8, positive: bool = False) -> tuple[Array, Array]:
    """Prediction and target, lit: unrelated; a quarter apart; partly one array; or elements exchanged.

    Signed, unless `positive`. Equal elements and dead pixels p = t = 0 are common.
    """
    numbers = lit(shape, span) if positive else signed(lit(shape, span))
    p, q = draw(numbers), draw(numbers)
    relation = draw(st.sampled_from(RELATIONS))
    if relation == "near":
        fraction, exponent = np.frexp(p)
        p = np.ldexp(np.trunc(fraction * 32), exponent - 5)  # 5 bits, so that p * 5 has 8
        return p, np.where(np.abs(q) % 2 < 1, 1.25, 0.75) * p
    if relation == "mixed":
        return p, np.where(np.abs(q) % 2 < 1, p, q)
    return (p, p[::-1, :, ::-1].copy()) if relation == "swapped" else (p, q)


@st.composite
def rates(draw: Any, shape: tuple[int, ...] = SHAPE, span: int = 4) -> tuple[Array, Array]:
    """Prediction and target of a Poisson loss that is finite: p > 0 wherever t > 0, dead pixels among the rest."""
    p, t = draw(pairs(shape, span, positive=True))
    return np.where((p == 0) & (t > 0), 1.0, p), t


@st.composite
def masks(draw: Any, shape: tuple[int, ...] = SHAPE) -> Array:
    """Masks of any broadcastable shape: all valid, few masked, many masked; some sample may have nothing valid."""
    axes = draw(st.tuples(*(st.sampled_from([1, axis]) for axis in shape)))
    size = int(np.prod(axes))
    bits = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), np.uint8).reshape(axes)
    return np.asarray(bits % draw(st.sampled_from([1, 2, 5])) != draw(st.sampled_from([2, 0])))


def whole(mask: Array, shape: tuple[int, ...] = SHAPE) -> Array:
    """A mask at full size, which is compiled once."""
    return np.broadcast_to(mask, shape).copy()


@st.composite
def lit_masks(draw: Any, shape: tuple[int, ...] = SHAPE) -> Array:
    """Masks at full size with a valid pixel in every pattern: a data set without light has no scale."""
    mask = whole(draw(masks(shape)), shape)
    mask[:, :, 0, 0] = True
    return mask


@st.composite
def garbage(draw: Any, shape: tuple[int, ...] = SHAPE) -> tuple[Array, Array]:
    """What a detector or a network may leave at masked elements: NaN, infinities, huge and other numbers."""
    rubbish = np.array([np.nan, np.inf, -np.inf, 2.0**100, -(2.0**120), -1.0, 0.0, 3.0])
    size = int(np.prod(shape))
    chosen = np.frombuffer(draw(st.binary(min_size=2 * size, max_size=2 * size)), np.uint8) % len(rubbish)
    first, second = rubbish[chosen].reshape(2, *shape)
    return first, second
