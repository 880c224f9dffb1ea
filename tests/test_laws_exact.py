"""Inputs on which no operation rounds: value and gradient are known numbers, and every codepath must hit their bits.

Plain float64 formulas give these numbers, for they do not round there either. Eager and compiled code alike.
"""

from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import plain_formulas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import DTYPES, FRAMEWORKS, LAWFUL, answer, question, require_bits
from laws_draws import EAGER_SHAPE

from conformance.case import Array, Question, Scale
from conformance.tolerance.scopes import Scopes

SHAPE = EAGER_SHAPE
"""Every scope has a power of four of elements, so that 1 / n and sqrt(n) are powers of two."""
IDS = {"distinct": np.array([3, -1, 0, 9], np.int32), "equal": np.full(4, 5, np.int32)}
ONES_AND_TWOS = {0: [(1, 0)], 1: [(4, 0), (0, 1)], 2: [(16, 0), (12, 1), (8, 2), (4, 3), (0, 4)]}
"""How many ones and twos a pattern has, for a sum of squares of 4^k."""
HALF = {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16}
LOSS_SCALE = 2.0**12
WAYS = [("jax", "jit"), ("jax", "eager"), ("torch", "eager"), ("tensorflow", "function"), ("tensorflow", "eager")]
COMPILED_TOO = [(*way, dtype) for dtype in DTYPES for way in WAYS]
EAGER_HALF = [(framework, "eager", dtype) for dtype in HALF for framework in FRAMEWORKS]
GAINS = {"sample": "unit_l2", "patch": "unit_rms", "view": "unit_rms", "batch": "unit_l2"}
FEW = settings(LAWFUL, max_examples=6)


@st.composite
def _patterns(draw: Any) -> Array:
    """0, 1 and 2 in random places, of random signs, times one power of two: every pattern has the norm 2^k."""
    k = draw(st.integers(0, 2))
    order = np.frombuffer(draw(st.binary(min_size=512, max_size=512)), np.uint8).astype(float).reshape(2, 4, 4, 16)
    made = np.zeros((4, 4, 16))
    for b, c in np.ndindex(4, 4):
        ones, twos = draw(st.sampled_from(ONES_AND_TWOS[k]))
        numbers = np.array([1.0] * ones + [2.0] * twos + [0.0] * (16 - ones - twos))
        made[b, c] = numbers[np.argsort(order[0, b, c])] * np.where(order[1, b, c] % 4 == 0, -1, 1)
    return np.ldexp(made, draw(st.integers(-2, 2))).reshape(SHAPE)


def _l2_by_hand(asked: Question) -> tuple[Array, Array]:
    label = np.broadcast_to(Scopes(asked).label[:, :, None, None], SHAPE)
    arguments = (asked.prediction, asked.target, asked.valid, label, asked.weight * np.ones(SHAPE))
    elements, of_p, _ = plain_formulas.l2(*arguments, gain=asked.parameters.gain)
    return np.asarray(plain_formulas.reduce(elements, asked.valid, asked.parameters.reduction)), of_p


@pytest.mark.parametrize(("framework", "mode", "dtype"), [*COMPILED_TOO, *EAGER_HALF])
@FEW
@given(p=_patterns(), t=_patterns(), ids=st.sampled_from(sorted(IDS)))
def test_norms_that_are_powers_of_two(framework: str, mode: str, dtype: str, p: Array, t: Array, ids: str) -> None:
    """Half types round the gradient, and nothing else, once, at the end."""
    for scope, gain in GAINS.items():
        asked = question("amplitude_l2_mae", p, t, None, IDS[ids], scope=scope, gain=gain)
        value, gradient = _l2_by_hand(asked)
        scale = LOSS_SCALE if dtype in HALF else 1.0
        got = answer(framework, asked, dtype, mode, scale)
        require_bits(got.value, value, f"{scope}: value")
        rounded = (scale * gradient).astype(HALF.get(dtype, dtype)).astype(float) / scale
        require_bits(got.gradient, rounded, f"{scope}: gradient")


@pytest.mark.parametrize(("framework", "mode", "dtype"), COMPILED_TOO)
@FEW
@given(p=_patterns(), t=_patterns(), power=st.integers(-3, 3))
def test_the_legacy_loss_at_a_scale_that_is_a_power_of_two(
    framework: str, mode: str, dtype: str, p: Array, t: Array, power: int
) -> None:
    s = 2.0**power
    got = answer(framework, question("amplitude_mae", p, t, scale=Scale(s)), dtype, mode)
    require_bits(got.value, np.mean(np.abs(s * (p - t))), "value")
    require_bits(got.gradient, s * np.sign(p - t) / p.size, "gradient")


@pytest.mark.parametrize(("framework", "mode", "dtype"), COMPILED_TOO)
@FEW
@given(p=_patterns(), t=_patterns(), power=st.integers(-3, 3), masked=st.booleans())
def test_the_gradient_of_the_poisson_loss_at_powers_of_two(
    framework: str, mode: str, dtype: str, p: Array, t: Array, power: int, masked: bool
) -> None:
    """p is a power of two wherever it divides. A mask of half the pixels, as many in each pattern, is exact too."""
    s = 2.0**power
    p = np.where((p == 0) & (t != 0), 0.5, p)
    mask = np.broadcast_to(np.arange(4) % 2 == 0, SHAPE) if masked else np.ones(SHAPE, bool)
    asked = question("poisson_nll", p, t, mask.copy(), scale=Scale(s), constant="saturated")
    slope = 2 * s * s * (p - t) * (p + t) / np.where(p == 0, 1, p)
    got = answer(framework, asked, dtype, mode)
    require_bits(got.gradient, np.where(mask, slope, 0) / mask.sum(), "gradient")
    dark = answer(framework, replace(asked, target=0 * t), dtype, mode)
    require_bits(dark.value, np.sum(np.where(mask, (s * p) ** 2, 0)) / mask.sum(), "value without counts")
    even = answer(framework, replace(asked, target=-p), dtype, mode)
    require_bits(even.value, np.zeros(()), "deviance of equals")
    require_bits(even.gradient, np.zeros(()), "gradient of equals")
