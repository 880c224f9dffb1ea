"""Laws of the L2-normalised MAE that hold up to rounding: both sides' derived tolerances, and nothing else."""

from math import sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws import DTYPES, FRAMEWORKS, LAWFUL, per_scope, question, require_near, side
from laws_draws import SHAPE, lit, masks, pairs, scopes, view_ids, whole

from conformance.case import Array
from conformance.tolerance import ARITHMETICS
from conformance.tolerance.scopes import Scopes

pytestmark = [pytest.mark.parametrize("dtype", DTYPES), pytest.mark.parametrize("framework", FRAMEWORKS)]
L2 = "amplitude_l2_mae"
BATCH, CHANNELS, HEIGHT, WIDTH = SHAPE
EVERYTHING = np.ones(SHAPE, bool)
ZERO = np.zeros(())


@LAWFUL
@given(pair=pairs(), mask=masks(), ids=view_ids, scope=scopes)
def test_the_gradient_is_orthogonal_to_the_prediction_in_each_scope(
    framework: str, dtype: str, pair: Any, mask: Array, ids: Array, scope: str
) -> None:
    """<g, p> = 0, whatever signs rounding chose at open elements."""
    asked = question(L2, *pair, whole(mask), ids, scope=scope)
    got = side(framework, asked, dtype)
    p = np.where(asked.valid, asked.prediction, 0)
    allowed = got.bounds.settled_gradient * np.abs(p)
    require_near(per_scope(asked, got.gradient * p), ZERO, per_scope(asked, allowed), "<g, p>")


@LAWFUL
@given(pair=pairs(positive=True), mask=masks(), ids=view_ids, scope=scopes)
def test_the_loss_of_non_negative_data_is_between_0_and_the_root_of_2_over_n(
    framework: str, dtype: str, pair: Any, mask: Array, ids: Array, scope: str
) -> None:
    asked = question(L2, *pair, whole(mask), ids, scope=scope)
    got = side(framework, asked, dtype)
    bound = np.sum(asked.weight * np.where(asked.valid, np.sqrt(2 / Scopes(asked).size), 0))
    assert got.value >= 0
    require_near(np.maximum(got.value, bound), bound, got.of_value, "value")


@LAWFUL
@given(level=st.integers(1, 255), other=st.integers(1, 255), swap=st.booleans(), ids=view_ids, scope=scopes)
def test_disjoint_constant_halves_attain_the_root_of_2_over_n(
    framework: str, dtype: str, level: int, other: int, swap: bool, ids: Array, scope: str
) -> None:
    left = np.broadcast_to(np.arange(WIDTH) % 2 == swap, SHAPE)
    asked = question(L2, np.where(left, level, 0.0), np.where(left, 0.0, other), EVERYTHING, ids, scope=scope)
    got = side(framework, asked, dtype)
    require_near(got.value, np.mean(np.sqrt(2 / Scopes(asked).size[:, 0])), got.of_value, "value")


@LAWFUL
@given(pair=pairs(), mask=masks(), ids=view_ids, scope=scopes)
def test_unit_rms_is_unit_l2_times_the_root_of_the_valid_elements_in_the_scope(
    framework: str, dtype: str, pair: Any, mask: Array, ids: Array, scope: str
) -> None:
    """The gradient of an element knows its own scope only; the value is compared where all have as many elements."""
    plain, gained = (question(L2, *pair, whole(mask), ids, scope=scope, gain=gain) for gain in ("unit_l2", "unit_rms"))
    gain = np.sqrt(Scopes(plain).size)
    one, other = side(framework, plain, dtype), side(framework, gained, dtype)
    if np.ptp(gain) == 0:
        require_near(
            other.value, gain[0, 0, 0, 0] * one.value, other.of_value + gain[0, 0, 0, 0] * one.of_value, "value"
        )
    require_near(other.gradient, gain * one.gradient, other.of_gradient + gain * one.of_gradient, "gradient")


@LAWFUL
@given(
    patterns=st.tuples(lit((BATCH, 1, HEIGHT, WIDTH)), lit((BATCH, 1, HEIGHT, WIDTH))),
    mask=masks((BATCH, 1, HEIGHT, WIDTH)),
    orders=st.lists(st.permutations(range(HEIGHT * WIDTH)), min_size=CHANNELS, max_size=CHANNELS),
)
def test_equal_norms_of_all_channels_make_patch_the_root_of_c_times_sample(
    framework: str, dtype: str, patterns: Any, mask: Array, orders: list[list[int]]
) -> None:
    """Each channel holds the same numbers, in another order in prediction and target alike."""
    flat = [np.broadcast_to(array, (BATCH, 1, HEIGHT, WIDTH)).reshape(BATCH, -1) for array in (*patterns, mask)]
    p, t, valid = (np.stack([array[:, order] for order in orders], 1).reshape(SHAPE) for array in flat)
    sample, patch = (side(framework, question(L2, p, t, valid, scope=name), dtype) for name in ("sample", "patch"))
    factor = sqrt(CHANNELS)
    require_near(patch.value, factor * sample.value, patch.of_value + factor * sample.of_value, "value")


@LAWFUL
@given(pair=pairs(), mask=masks(), ids=view_ids, scope=st.sampled_from(["sample", "view"]), tiled=st.booleans())
def test_padding_with_zeros_divides_by_m_and_tiling_by_its_root(
    framework: str, dtype: str, pair: Any, mask: Array, ids: Array, scope: str, tiled: bool
) -> None:
    """Zeros are elements that add nothing: to m n elements each counts 1/m of before. Copies: P' = sqrt(m) P."""
    high, wide = 2, 3
    m = high * wide

    def grown(array: Array, tiles: bool) -> Array:
        if tiles:
            return np.tile(array, (1, 1, high, wide))
        return np.pad(array, [(0, 0), (0, 0), (0, (high - 1) * HEIGHT), (0, (wide - 1) * WIDTH)])

    full = whole(mask)
    large = [grown(np.where(full, array, 0), tiled) for array in pair]
    # what is masked stays masked; padding is valid, m times as many as there were
    everywhere = np.tile(full, (1, 1, high, wide))
    if not tiled:
        everywhere[..., :HEIGHT, :WIDTH] = full
        large = [np.where(everywhere, array, 0) for array in large]
    before = side(framework, question(L2, *pair, full, ids, scope=scope), dtype)
    after = side(framework, question(L2, *large, everywhere, ids, scope=scope), dtype)
    factor, slope = (1 / sqrt(m), m**-1.5) if tiled else (1 / m, 1 / m)
    require_near(after.value, factor * before.value, after.of_value + factor * before.of_value, "value")
    expected = slope * grown(before.gradient, tiled)
    require_near(after.gradient, expected, after.of_gradient + slope * grown(before.of_gradient, tiled), "gradient")


@LAWFUL
@given(pair=pairs(), mask=masks())
def test_a_prediction_rescaled_to_the_norm_of_its_target_has_that_norm_times_the_loss_as_mae(
    framework: str, dtype: str, pair: Any, mask: Array
) -> None:
    """The option in the field. The rescaled prediction is rounded to the dtype, which moves each |p - t| by as much."""
    full = whole(mask)
    p, t = (np.where(full, array, 0) for array in pair)
    norms = [np.sqrt(np.sum(array * array, axis=(1, 2, 3), keepdims=True)) for array in (p, t)]
    lit_samples = (norms[0] > 0) & (norms[1] > 0)
    p, t = np.where(lit_samples, p, 1.0), np.where(lit_samples, t, 1.0)
    norms = [np.sqrt(np.sum(np.where(full, array, 0) ** 2, axis=(1, 2, 3), keepdims=True)) for array in (p, t)]
    rescaled = (p * (norms[1] / np.where(norms[0] > 0, norms[0], 1))).astype(dtype).astype(float)
    moved = ARITHMETICS[dtype].grow(1) + ARITHMETICS["float64"].grow(p[0].size + 8)
    moved = np.mean(np.abs(rescaled) * moved, axis=(1, 2, 3)) * full[0].size / np.maximum(full.sum((1, 2, 3)), 1)
    unit = side(framework, question(L2, p, t, full, reduction="sample"), dtype)
    mae = side(framework, question("amplitude_mae", rescaled, t, full, reduction="sample"), dtype)
    norm = norms[1].reshape(BATCH)
    require_near(mae.value, norm * unit.value, mae.of_value + norm * unit.of_value + moved, "value")


@LAWFUL
@given(
    pair=pairs(),
    mask=masks(),
    ids=view_ids,
    scope=scopes,
    samples=st.permutations(range(BATCH)),
    pixels=st.permutations(range(HEIGHT * WIDTH)),
)
def test_the_order_of_samples_and_of_pixels_does_not_matter(
    framework: str, dtype: str, pair: Any, mask: Array, ids: Array, scope: str, samples: list[int], pixels: list[int]
) -> None:
    def moved(array: Array) -> Array:
        return array[samples].reshape(BATCH, CHANNELS, -1)[..., pixels].reshape(SHAPE)

    full = whole(mask)
    one = side(framework, question(L2, *pair, full, ids, scope=scope), dtype)
    arrays = [moved(array) for array in (*pair, full)]
    other = side(framework, question(L2, *arrays, ids[samples], scope=scope), dtype)
    require_near(other.value, one.value, other.of_value + one.of_value, "value")
    allowed = other.of_gradient + moved(one.of_gradient)
    require_near(other.gradient, moved(one.gradient), allowed, "gradient")


@LAWFUL
@given(pair=pairs(), mask=masks(), distinct=st.booleans())
def test_a_view_of_one_sample_is_the_scope_sample_and_one_view_of_all_the_scope_batch(
    framework: str, dtype: str, pair: Any, mask: Array, distinct: bool
) -> None:
    ids = np.arange(BATCH, dtype=np.int32)[::-1].copy() if distinct else np.full(BATCH, -3, np.int32)
    asked = question(L2, *pair, whole(mask), ids, scope="view")
    same = question(L2, *pair, whole(mask), scope="sample" if distinct else "batch")
    view, other = side(framework, asked, dtype), side(framework, same, dtype)
    require_near(view.value, other.value, view.of_value + other.of_value, "value")
    require_near(view.gradient, other.gradient, view.of_gradient + other.of_gradient, "gradient")


@LAWFUL
@given(pair=pairs(), mask=masks(), ids=view_ids, scope=st.sampled_from(["sample", "view"]))
def test_the_gradient_of_the_target_is_that_of_the_prediction_with_the_two_exchanged(
    framework: str, dtype: str, pair: Any, mask: Array, ids: Array, scope: str
) -> None:
    p, t = pair
    target = side(framework, question(L2, p, t, whole(mask), ids, scope=scope, wrt="target"), dtype)
    prediction = side(framework, question(L2, t, p, whole(mask), ids, scope=scope), dtype)
    require_near(target.value, prediction.value, target.of_value + prediction.of_value, "value")
    allowed = target.of_gradient + prediction.of_gradient
    require_near(target.gradient, prediction.gradient, allowed, "gradient")


def test_the_laws_are_not_met_by_tolerances_as_large_as_the_loss(framework: str, dtype: str) -> None:
    """On level data no sign is open and no tolerance above a millionth of what it is a tolerance of."""
    draw = np.random.default_rng(5)
    p, t = (draw.integers(128, 256, SHAPE).astype(float) for _ in range(2))
    got = side(framework, question(L2, p, t, EVERYTHING), dtype)
    assert not got.bounds.unsettled.any()
    assert got.of_value < 1e-4 * got.value
    assert np.all(got.of_gradient < 1e-4 * np.abs(got.gradient))
