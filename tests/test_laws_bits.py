"""Laws of the L2-normalised MAE that hold bit for bit: nothing is rounded twice, and nothing else is looked at.

Exchanging the two inputs, and leaving an all-valid mask away, change what a compiler contracts or divides: these two
hold in eager code, and compiled up to rounding. The others compare two calls of one program and hold compiled too.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import DTYPES, FRAMEWORKS, LAWFUL, answer, question, require_bits, require_near, side
from laws_draws import EAGER_SHAPE, SCOPES, SHAPE, garbage, masks, pairs, powers, scopes, view_ids, whole

from conformance.case import Array
from conformance.tolerance.scopes import Scopes

every_framework = pytest.mark.parametrize("framework", FRAMEWORKS)
L2 = "amplitude_l2_mae"
BATCH = SHAPE[0]
HALF = ("bfloat16", "float16")
FEW = settings(LAWFUL, max_examples=6)


def _require_same(actual: Any, expected: Any) -> None:
    require_bits(actual.value, expected.value, "value")
    require_bits(actual.gradient, expected.gradient, "gradient")


@every_framework
@pytest.mark.parametrize("dtype", [*DTYPES, *HALF])
@LAWFUL
@given(pair=pairs(span=4), mask=masks(), ids=view_ids, scope=scopes, power=powers)
def test_a_prediction_times_a_power_of_two_has_the_same_loss(
    framework: str, dtype: str, pair: Any, mask: Array, ids: Array, scope: str, power: int
) -> None:
    """And a gradient divided by it, where no norm is bounded by eps and nothing under- or overflows.

    Half types: the loss is scaled by the same power, so that the gradients are one number before they are rounded.
    """
    p, t = pair
    if dtype == "float16":  # all of its numbers must stay normal: 2**-14 to 2**16
        p, t, power = (
            np.sign(p) * np.clip(np.abs(p), 1, 2.0**10),
            np.sign(t) * np.clip(np.abs(t), 1, 2.0**10),
            power // 2,
        )
    factor = 2.0**power
    scale = 2.0**20 if dtype in HALF else 1.0
    asked = [question(L2, array, t, whole(mask), ids, scope=scope) for array in (p, factor * p)]
    before = answer(framework, asked[0], dtype, loss_scale=scale)
    after = answer(framework, asked[1], dtype, loss_scale=scale * factor if dtype in HALF else 1.0)
    dark = np.sqrt(Scopes(asked[0]).total(np.where(asked[0].valid, p, 0) ** 2)) == 0  # there eps divides, unscaled
    require_bits(after.value, before.value, "value")
    require_bits(np.where(dark, 0, after.gradient * factor), np.where(dark, 0, before.gradient), "gradient")


@every_framework
@pytest.mark.parametrize("dtype", DTYPES)
@FEW
@given(pair=pairs(EAGER_SHAPE), ids=view_ids, scope=scopes)
def test_prediction_and_target_can_be_exchanged_in_eager_code(
    framework: str, dtype: str, pair: Any, ids: Array, scope: str
) -> None:
    p, t = pair
    one = answer(framework, question(L2, p, t, None, ids, scope=scope), dtype, "eager")
    other = answer(framework, question(L2, t, p, None, ids, scope=scope, wrt="target"), dtype, "eager")
    _require_same(other, one)


@every_framework
@pytest.mark.parametrize("dtype", DTYPES)
@LAWFUL
@given(pair=pairs(), mask=masks(), ids=view_ids, scope=scopes)
def test_prediction_and_target_can_be_exchanged_up_to_rounding_in_compiled_code(
    framework: str, dtype: str, pair: Any, mask: Array, ids: Array, scope: str
) -> None:
    p, t = pair
    one = side(framework, question(L2, p, t, whole(mask), ids, scope=scope), dtype)
    other = side(framework, question(L2, t, p, whole(mask), ids, scope=scope), dtype)
    require_near(other.value, one.value, one.of_value + other.of_value, "value")


@every_framework
@pytest.mark.parametrize("dtype", DTYPES)
@FEW
@given(pair=pairs(EAGER_SHAPE), ids=view_ids, scope=scopes)
def test_a_mask_of_valid_elements_is_no_mask(framework: str, dtype: str, pair: Any, ids: Array, scope: str) -> None:
    bare, masked = (question(L2, *pair, mask, ids, scope=scope) for mask in (None, np.ones(EAGER_SHAPE, bool)))
    _require_same(answer(framework, masked, dtype, "eager"), answer(framework, bare, dtype, "eager"))


@every_framework
@pytest.mark.parametrize("dtype", DTYPES)
@LAWFUL
@given(pair=pairs(), mask=masks(), others=garbage(), ids=view_ids, scope=scopes)
def test_what_masked_elements_hold_does_not_matter(
    framework: str, dtype: str, pair: Any, mask: Array, others: Any, ids: Array, scope: str
) -> None:
    full = whole(mask)
    clean = question(L2, *pair, full, ids, scope=scope)
    dirty = question(L2, *(np.where(full, a, b) for a, b in zip(pair, others)), full, ids, scope=scope)
    got = answer(framework, dirty, dtype)
    _require_same(got, answer(framework, clean, dtype))
    assert np.all(got.gradient[~full] == 0)


@every_framework
@pytest.mark.parametrize("dtype", DTYPES)
@LAWFUL
@given(
    pair=pairs(),
    mask=masks(),
    groups=st.lists(st.integers(0, BATCH - 1), min_size=BATCH, max_size=BATCH),
    names=st.lists(st.integers(-(2**31), 2**31 - 1), min_size=BATCH, max_size=BATCH, unique=True),
)
def test_what_a_view_is_called_does_not_matter(
    framework: str, dtype: str, pair: Any, mask: Array, groups: list[int], names: list[int]
) -> None:
    ids = np.array(groups, np.int32)
    renamed = np.array([names[group] for group in groups], np.int32)
    one, other = (answer(framework, question(L2, *pair, whole(mask), i, scope="view"), dtype) for i in (ids, renamed))
    _require_same(other, one)


@every_framework
@pytest.mark.parametrize("dtype", DTYPES)
@LAWFUL
@given(pair=pairs(), mask=masks(), start=st.integers(-(2**31), 2**31 - BATCH))
def test_views_of_one_sample_each_are_the_scope_sample(
    framework: str, dtype: str, pair: Any, mask: Array, start: int
) -> None:
    """Sums over one sample and zeros: the same bits, also where a compiler orders them."""
    ids = np.arange(start, start + BATCH).astype(np.int32)
    view = answer(framework, question(L2, *pair, whole(mask), ids, scope="view"), dtype)
    _require_same(view, answer(framework, question(L2, *pair, whole(mask)), dtype))


@every_framework
@pytest.mark.parametrize("dtype", DTYPES)
@FEW
@given(pair=pairs(), mask=masks())
def test_equal_inputs_have_no_loss_and_no_gradient(framework: str, dtype: str, pair: Any, mask: Array) -> None:
    """Every pixel is a tie. Compiled code may contract p / P - t / T: its value is then a rounding, but no sign is."""
    for scope in SCOPES:
        asked = question(L2, pair[0], pair[0], whole(mask), np.zeros(BATCH, np.int32), scope=scope)
        assert np.all(answer(framework, asked, dtype).gradient == 0)
        assert framework == "jax" or answer(framework, asked, dtype, "eager").value == 0
