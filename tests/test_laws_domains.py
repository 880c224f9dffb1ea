"""One loss of three inputs: amplitudes p, intensities p^2 and fields p e^(i theta) that are exactly those of p."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws import DTYPES, FRAMEWORKS, LAWFUL, Side, answer, per_scope, question, require_bits, require_near, side
from laws_draws import SHAPE, masks, pairs, view_ids, whole

from conformance.case import Array, Question

pytestmark = [pytest.mark.parametrize("dtype", DTYPES), pytest.mark.parametrize("framework", FRAMEWORKS)]
L2 = "amplitude_l2_mae"
MAES = st.sampled_from([(L2, {"scope": "view"}), ("amplitude_mae", {})])
SIZE = int(np.prod(SHAPE))
TRIPLES = np.array([3 + 4j, 5 + 12j, 8 + 15j, 7 + 24j, 1, 0])
"""Whole real and imaginary parts, and whole moduli: 5, 13, 17, 25, 1, 0."""
QUARTERS = np.array([1, 1j, -1, -1j])


def _asked(loss: str, arrays: Any, domain: str, mask: Array, ids: Array, wrt: str, options: dict[str, str]) -> Question:
    return question(loss, *arrays, whole(mask), ids, domain=domain, wrt=wrt, **options)


def _require_chain(made: Side, plain: Side, slope: Array) -> None:
    require_near(made.value, plain.value, made.of_value + plain.of_value, "value")
    axes = (*slope.shape[:4], *[1] * (slope.ndim - 4))
    allowed = made.of_gradient + np.abs(slope) * plain.of_gradient.reshape(axes)
    require_near(made.gradient, slope * plain.gradient.reshape(axes), allowed, "gradient")


@LAWFUL
@given(pair=pairs(positive=True), mask=masks(), ids=view_ids, loss=MAES, wrt=st.sampled_from(["prediction", "target"]))
def test_the_loss_of_squares_is_that_of_amplitudes_and_its_gradient_over_2_p(
    framework: str, dtype: str, pair: Any, mask: Array, ids: Array, loss: Any, wrt: str
) -> None:
    """0 where p = 0, though the derivative of the root is not."""
    name, options = loss
    plain = side(framework, _asked(name, pair, "amplitude", mask, ids, wrt, options), dtype)
    squares = [np.square(array) for array in pair]
    made = side(framework, _asked(name, squares, "intensity", mask, ids, wrt, options), dtype)
    own = pair[0] if wrt == "prediction" else pair[1]
    _require_chain(made, plain, np.where(own == 0, 0, 0.5 / np.where(own == 0, 1, own)))
    require_bits(made.gradient[own == 0], np.zeros(()), "gradient at 0")


@LAWFUL
@given(
    pair=pairs(positive=True),
    turns=st.binary(min_size=2 * SIZE, max_size=2 * SIZE),
    mask=masks(),
    ids=view_ids,
    loss=MAES,
    wrt=st.sampled_from(["prediction", "target"]),
)
def test_the_loss_of_fields_is_that_of_their_moduli_and_its_gradient_points_along_them(
    framework: str, dtype: str, pair: Any, turns: bytes, mask: Array, ids: Array, loss: Any, wrt: str
) -> None:
    """d/dRe + i d/dIm = g z / |z|, and 0 at z = 0."""
    name, options = loss
    bits = np.frombuffer(turns, np.uint8).reshape(2, *SHAPE)
    fields = [array * TRIPLES[b % 6] * QUARTERS[b // 64] for array, b in zip(pair, bits)]
    moduli = [np.rint(np.abs(TRIPLES[b % 6])) * array for array, b in zip(pair, bits)]
    plain = side(framework, _asked(name, moduli, "amplitude", mask, ids, wrt, options), dtype)
    made = side(framework, _asked(name, fields, "field", mask, ids, wrt, options), dtype)
    position = 0 if wrt == "prediction" else 1
    field, modulus = fields[position], moduli[position]
    along = field / np.where(modulus == 0, 1, modulus)
    _require_chain(made, plain, np.stack([along.real, along.imag], -1))
    require_bits(made.gradient[modulus == 0], np.zeros(()), "gradient at 0")


@LAWFUL
@given(
    pair=pairs(positive=True),
    mask=masks(),
    ids=view_ids,
    power=st.integers(-4, 4),
    domain=st.sampled_from(["intensity", "field"]),
)
def test_an_input_times_a_power_of_four_has_the_same_loss_bit_for_bit(
    framework: str, dtype: str, pair: Any, mask: Array, ids: Array, power: int, domain: str
) -> None:
    """Four, because the root of an intensity's factor must be a power of two. A gradient is divided by the factor."""
    p, t = (np.square(array) if domain == "intensity" else array * (3 - 4j) for array in pair)
    factor = 4.0**power
    asked = [_asked(L2, (array, t), domain, mask, ids, "prediction", {"scope": "view"}) for array in (p, factor * p)]
    before, after = (answer(framework, each, dtype) for each in asked)
    dark = per_scope(asked[0], np.where(asked[0].valid, pair[0], 0)) == 0  # there eps divides, unscaled
    require_bits(after.value, before.value, "value")
    require_bits(np.where(dark, 0, after.gradient * factor), np.where(dark, 0, before.gradient), "gradient")
