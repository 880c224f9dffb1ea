"""Laws of the Poisson NLL: how photons scale, what a constant adds, what a guard and a normaliser do."""

from typing import Any

import numpy as np
import plain_formulas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws import DTYPES, FRAMEWORKS, LAWFUL, answer, question, require_bits, require_near, side
from laws_draws import SHAPE, garbage, lit_masks, masks, rates, scales, whole

from conformance.case import Array, Question, Scale

pytestmark = [pytest.mark.parametrize("dtype", DTYPES), pytest.mark.parametrize("framework", FRAMEWORKS)]
SIZE = int(np.prod(SHAPE))
CONSTANTS = ("none", "lgamma", "stirling", "saturated")
NPHOTONS, FACTOR = 1000.0, 7.0
FLOOR = 2.0**-4

factors = st.integers(1, 4095).map(lambda number: number / 64)
"""Times an amplitude of at most 9 bits, no product is rounded, in float32 either."""


def _asked(pair: Any, mask: Array, scale: Scale, **options: Any) -> Question:
    return question("poisson_nll", *pair, whole(mask), scale=scale, **options)


def _derived(pair: Any, mask: Array, nphotons: float, constant: str) -> Question:
    """Ask with a scale that the codepath derives from the target itself."""
    light = np.sum(np.where(whole(mask), pair[1], 0) ** 2) / (SHAPE[0] * SHAPE[1])
    return _asked(pair, mask, Scale(float(np.sqrt(nphotons / light)), "dataset", nphotons), constant=constant)


def _counts(asked: Question) -> tuple[Array, Array]:
    s = asked.parameters.scale.value if asked.parameters.scale else 1.0
    rate, counts = (np.where(asked.valid, s * array, 0) ** 2 for array in (asked.prediction, asked.target))
    return rate, counts


@LAWFUL
@given(
    pair=rates(), mask=lit_masks(), c=factors, power=st.integers(-3, 3), constant=st.sampled_from(["none", "saturated"])
)
def test_amplitudes_times_c_with_a_derived_scale_have_the_same_loss(
    framework: str, dtype: str, pair: Any, mask: Array, c: float, power: int, constant: str
) -> None:
    """And a gradient divided by c: up to rounding, and bit for bit where c is a power of two."""
    one = side(framework, _derived(pair, mask, NPHOTONS, constant), dtype)
    other = side(framework, _derived([c * array for array in pair], mask, NPHOTONS, constant), dtype)
    require_near(other.value, one.value, other.of_value + one.of_value, "value")
    require_near(c * other.gradient, one.gradient, c * other.of_gradient + one.of_gradient, "gradient")
    exact = answer(framework, _derived([2.0**power * array for array in pair], mask, NPHOTONS, constant), dtype)
    require_bits(exact.value, one.value, "value")
    require_bits(2.0**power * exact.gradient, one.gradient, "gradient")


@LAWFUL
@given(pair=rates(), mask=lit_masks())
def test_photons_times_c_multiply_deviance_and_gradient(framework: str, dtype: str, pair: Any, mask: Array) -> None:
    one, more, four = (
        side(framework, _derived(pair, mask, c * NPHOTONS, "saturated"), dtype) for c in (1.0, FACTOR, 4.0)
    )
    require_near(more.value, FACTOR * one.value, more.of_value + FACTOR * one.of_value, "value")
    require_near(more.gradient, FACTOR * one.gradient, more.of_gradient + FACTOR * one.of_gradient, "gradient")
    require_bits(four.value, 4 * one.value, "value")
    require_bits(four.gradient, 4 * one.gradient, "gradient")


@LAWFUL
@given(pair=rates(), mask=masks(), scale=scales, reduction=st.sampled_from(["mean", "sample_sum"]))
def test_the_gradient_along_the_prediction_is_twice_the_excess_of_photons(
    framework: str, dtype: str, pair: Any, mask: Array, scale: Scale, reduction: str
) -> None:
    """<g, p> = 2 alpha (sum lambda - sum k), in every element too."""
    asked = _asked(pair, mask, scale, reduction=reduction)
    got = side(framework, asked, dtype)
    rate, counts = _counts(asked)
    along = np.where(asked.valid, asked.prediction, 0)
    allowed = got.of_gradient * np.abs(along)
    require_near(got.gradient * along, 2 * asked.weight * (rate - counts), allowed, "g p")
    # the rounding of this very sum is relative to its terms
    total, excess = np.sum(got.gradient * along), np.sum(2 * asked.weight * (rate - counts))
    rounding = np.finfo(float).eps * rate.size * np.sum(2 * asked.weight * (rate + counts))
    require_near(total, excess, np.sum(allowed) + rounding, "<g, p>")


@LAWFUL
@given(pair=rates(), mask=masks(), scale=scales, equal=st.binary(min_size=SIZE, max_size=SIZE))
def test_the_deviance_is_0_where_the_amplitudes_are_equal_and_above_0_elsewhere(
    framework: str, dtype: str, pair: Any, mask: Array, scale: Scale, equal: bytes
) -> None:
    """No tolerance: in amplitude form rounding cannot make it negative. Neighbours in float32 are told apart, too."""
    p, t = pair
    chosen = np.frombuffer(equal, np.uint8).reshape(SHAPE) % 4
    t = np.where(chosen == 0, p, np.where(chosen == 1, np.nextafter(p.astype(np.float32), np.inf) * (p > 0), t))
    asked = _asked((p, t), mask, scale, constant="saturated", reduction="none")
    got = answer(framework, asked, dtype)
    assert np.all(got.value >= 0)
    require_bits(got.value > 0, asked.valid & (p != t), "positive")


@LAWFUL
@given(pair=rates(), mask=masks(), scale=scales)
def test_constants_add_data_only_terms(framework: str, dtype: str, pair: Any, mask: Array, scale: Scale) -> None:
    """The same bits of the gradient whatever the constant, and values that differ by what the contract writes."""
    sides = {}
    for constant in CONSTANTS:
        asked = _asked(pair, mask, scale, constant=constant)
        sides[constant] = side(framework, asked, dtype)
        terms = plain_formulas.constant_term(_counts(asked)[1], constant)
        added = np.sum(np.where(asked.valid, asked.weight * terms, 0))
        plain = sides["none"]
        require_bits(sides[constant].gradient, plain.gradient, f"{constant}: gradient")
        allowed = sides[constant].of_value + plain.of_value
        require_near(sides[constant].value - plain.value, added, allowed, f"{constant}: value")


def _above_floor(pair: Any, scale: Scale) -> tuple[Array, Array]:
    least = 2.0 * np.sqrt(FLOOR) / scale.value
    power = 2.0 ** np.ceil(np.log2(least))
    return np.where(np.abs(pair[0]) < least, power, pair[0]), pair[1]


@LAWFUL
@given(pair=rates(), mask=masks(), scale=scales, below=st.booleans())
def test_a_clamp_above_its_floor_is_no_guard_and_below_it_the_loss_at_the_floor(
    framework: str, dtype: str, pair: Any, mask: Array, scale: Scale, below: bool
) -> None:
    p, t = _above_floor(pair, scale)
    plain = side(framework, _asked((p, t), mask, scale), dtype)
    options = {"rate_guard": "clamp", "rate_floor": FLOOR}
    if not below:
        guarded = side(framework, _asked((p, t), mask, scale, **options), dtype)
        require_near(guarded.value, plain.value, guarded.of_value + plain.of_value, "value")
        require_bits(guarded.gradient, plain.gradient, "gradient")
        return
    under = np.indices(SHAPE).sum(0) % 2 == 0
    p = np.where(under, np.sqrt(FLOOR) / scale.value / 2 * (pair[0] != 0), p)
    asked = _asked((p.astype(np.float32).astype(float), t), mask, scale, **options)
    guarded, counts = side(framework, asked, dtype), _counts(asked)[1]
    require_bits(guarded.gradient, np.where(under, 0, plain.gradient), "gradient")
    elements, _ = plain_formulas.nll(asked.prediction, t, scale.value, "none")
    elements = np.where(under, FLOOR - counts * np.log(FLOOR), elements)
    require_near(guarded.value, np.sum(np.where(asked.valid, asked.weight * elements, 0)), guarded.of_value, "value")


@LAWFUL
@given(pair=rates(), mask=masks(), scale=scales)
def test_a_logarithm_of_rate_plus_floor_is_less_by_k_log1p_of_floor_over_rate(
    framework: str, dtype: str, pair: Any, mask: Array, scale: Scale
) -> None:
    """Which vanishes with the floor. In the gradient: more by 2 s^2 p k floor / (lambda (lambda + floor))."""
    pair = np.where(pair[0] == 0, 1.0, pair[0]), pair[1]
    asked = _asked(pair, mask, scale)
    plain = side(framework, asked, dtype)
    added = side(framework, _asked(pair, mask, scale, rate_guard="log_add", rate_floor=FLOOR), dtype)
    rate, counts = _counts(asked)
    safe = np.where(asked.valid, rate, 1.0)
    less = np.sum(np.where(asked.valid, asked.weight * counts * np.log1p(FLOOR / safe), 0))
    require_near(plain.value - added.value, less, plain.of_value + added.of_value, "value")
    more = asked.weight * 2 * scale.value**2 * pair[0] * counts / safe * (FLOOR / (safe + FLOOR))
    more = np.where(asked.valid, more, 0)
    require_near(added.gradient - plain.gradient, more, plain.of_gradient + added.of_gradient, "gradient")


@LAWFUL
@given(pair=rates(), mask=masks(), scale=scales)
def test_a_normaliser_divides_value_and_gradient(
    framework: str, dtype: str, pair: Any, mask: Array, scale: Scale
) -> None:
    """By the mean of the unscaled valid targets + 1e-8, or by a number: 8, so that no bit changes."""
    asked = _asked(pair, mask, scale)
    plain = side(framework, asked, dtype)
    by_mean = side(framework, _asked(pair, mask, scale, normaliser="batch_mean_amplitude"), dtype)
    mean = np.sum(np.where(asked.valid, pair[1], 0)) / max(asked.valid.sum(), 1) + 1e-8
    require_near(by_mean.value * mean, plain.value, by_mean.of_value * mean + plain.of_value, "value")
    require_near(by_mean.gradient * mean, plain.gradient, by_mean.of_gradient * mean + plain.of_gradient, "gradient")
    frozen = {"normaliser": "frozen_mean_intensity", "normaliser_value": 8.0}
    by_number = answer(framework, _asked(pair, mask, scale, **frozen), dtype)
    require_bits(8 * by_number.value, plain.value, "value")
    require_bits(8 * by_number.gradient, plain.gradient, "gradient")


@LAWFUL
@given(pair=rates(), mask=masks(), scale=scales, flips=st.binary(min_size=2 * SIZE, max_size=2 * SIZE))
def test_signs_of_amplitudes_do_not_matter(
    framework: str, dtype: str, pair: Any, mask: Array, scale: Scale, flips: bytes
) -> None:
    """The same bits of the value; the gradient has the prediction's sign, and is (p - t) (p + t) / p either way."""
    of_p, of_t = np.where(np.frombuffer(flips, np.uint8).reshape(2, *SHAPE) % 2 == 0, 1.0, -1.0)
    for options in ({}, {"constant": "saturated"}, {"rate_guard": "log_add", "rate_floor": FLOOR}):
        asked = _asked(pair, mask, scale, **options)
        flipped = _asked((of_p * pair[0], of_t * pair[1]), mask, scale, **options)
        one, other = side(framework, asked, dtype), side(framework, flipped, dtype)
        require_bits(other.value, one.value, "value")
        require_near(of_p * other.gradient, one.gradient, one.of_gradient + other.of_gradient, "gradient")


@LAWFUL
@given(pair=rates(), mask=masks(), others=garbage(), scale=scales)
def test_what_masked_elements_hold_does_not_matter(
    framework: str, dtype: str, pair: Any, mask: Array, others: Any, scale: Scale
) -> None:
    full = whole(mask)
    dirty = [np.where(full, array, other) for array, other in zip(pair, others)]
    for options in ({"constant": "saturated"}, {"normaliser": "batch_mean_amplitude"}):
        got, clean = (answer(framework, _asked(arrays, full, scale, **options), dtype) for arrays in (dirty, pair))
        require_bits(got.value, clean.value, "value")
        require_bits(got.gradient, clean.gradient, "gradient")
        assert np.all(got.gradient[~full] == 0)
