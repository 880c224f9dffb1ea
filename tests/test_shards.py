"""A batch in shards or micro-batches: which losses add up to that of the whole batch, and what the others need first.

A shard counts with its share of the valid elements, or of the samples where the reduction is a mean over samples.
"""

from math import log
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws import DTYPES, FRAMEWORKS, LAWFUL, Side, question, require_near, side
from laws_draws import SHAPE, lit_masks, masks, pairs, rates, whole

from conformance.case import Array, Question, Scale
from conformance.tolerance import ARITHMETICS

pytestmark = [pytest.mark.parametrize("dtype", DTYPES), pytest.mark.parametrize("framework", FRAMEWORKS)]
L2, MAE, NLL = "amplitude_l2_mae", "amplitude_mae", "poisson_nll"
BATCH = SHAPE[0]
ELEMENTS = int(np.prod(SHAPE[1:]))
NPHOTONS = 1000.0
EVERYTHING = np.ones(SHAPE, bool)
splits = st.sampled_from([(1, 3), (3, 1)])
scale = Scale(1.375)
ADDITIVE: dict[str, tuple[str, dict[str, Any]]] = {
    "l2-sample": (L2, {"scope": "sample"}),
    "l2-patch": (L2, {"scope": "patch"}),
    "mae": (MAE, {"scale": scale}),
    "nll": (NLL, {"scale": scale}),
    "nll-deviance-sample-sum": (NLL, {"scale": scale, "constant": "saturated", "reduction": "sample_sum"}),
}


def _shards(asked: Question, sizes: tuple[int, ...], **options: Any) -> list[tuple[float, Question]]:
    """Return each shard's weight and question; `options` are those of the question, or others."""
    parts, start = [], 0
    for size in sizes:
        here = slice(start, start + size)
        arrays = (array[here] for array in (asked.prediction, asked.target, asked.valid))
        ids = None if asked.view_ids is None else asked.view_ids[here]
        loss = options.pop("loss", asked.loss)
        part = question(loss, *arrays, ids, **{**vars(asked.parameters), **options})
        options["loss"] = loss
        share = (
            size / BATCH if part.parameters.reduction == "sample_sum" else part.valid.sum() / max(asked.valid.sum(), 1)
        )
        parts.append((float(share), part))
        start += size
    return parts


def _together(framework: str, dtype: str, shards: list[tuple[float, Question]]) -> tuple[Array, Array, Array, Array]:
    """Return the weighted value and gradient of all shards, and the weighted tolerances."""
    sides: list[tuple[float, Side]] = [(share, side(framework, part, dtype)) for share, part in shards]
    return (
        np.asarray(sum(share * one.value for share, one in sides)),
        np.concatenate([share * one.gradient for share, one in sides]),
        np.asarray(sum(share * one.of_value for share, one in sides)),
        np.concatenate([share * one.of_gradient for share, one in sides]),
    )


def _require_additive(framework: str, dtype: str, asked: Question, shards: list[tuple[float, Question]]) -> None:
    all_at_once = side(framework, asked, dtype)
    value, gradient, of_value, of_gradient = _together(framework, dtype, shards)
    require_near(value, all_at_once.value, of_value + all_at_once.of_value, "value")
    require_near(gradient, all_at_once.gradient, of_gradient + all_at_once.of_gradient, "gradient")


@pytest.mark.parametrize("name", ADDITIVE)
@LAWFUL
@given(pair=pairs(), positive=rates(), mask=masks(), sizes=splits)
def test_shards_add_up(
    framework: str, dtype: str, name: str, pair: Any, positive: Any, mask: Array, sizes: tuple[int, ...]
) -> None:
    loss, options = ADDITIVE[name]
    asked = question(loss, *(positive if loss == NLL else pair), whole(mask), **options)
    _require_additive(framework, dtype, asked, _shards(asked, sizes))


@LAWFUL
@given(pair=pairs(), mask=masks(), lonely=st.booleans())
def test_views_add_up_where_no_view_is_divided(
    framework: str, dtype: str, pair: Any, mask: Array, lonely: bool
) -> None:
    ids = np.array([7, 7, 7, 2] if lonely else [5, -1, -1, -1], np.int32)
    asked = question(L2, *pair, whole(mask), ids, scope="view")
    _require_additive(framework, dtype, asked, _shards(asked, (3, 1) if lonely else (1, 3)))


@LAWFUL
@given(pair=rates(), mask=lit_masks(), sizes=splits)
def test_shards_add_up_at_a_scale_taken_from_the_whole_data_set(
    framework: str, dtype: str, pair: Any, mask: Array, sizes: tuple[int, ...]
) -> None:
    light = np.sum(np.where(mask, pair[1], 0) ** 2) / (BATCH * SHAPE[1])
    s = float(np.sqrt(NPHOTONS / light))
    asked = question(NLL, *pair, mask, scale=Scale(s, "dataset", NPHOTONS))
    _require_additive(framework, dtype, asked, _shards(asked, sizes, scale=Scale(s)))


@LAWFUL
@given(pair=rates(), mask=lit_masks(), sizes=splits)
def test_shards_add_up_when_the_mean_amplitude_of_the_whole_batch_divides(
    framework: str, dtype: str, pair: Any, mask: Array, sizes: tuple[int, ...]
) -> None:
    asked = question(NLL, *pair, mask, scale=scale, normaliser="batch_mean_amplitude")
    mean = np.sum(np.where(mask, pair[1], 0)) / mask.sum() + 1e-8
    shards = [(share / mean, part) for share, part in _shards(asked, sizes, normaliser="none")]
    _require_additive(framework, dtype, asked, shards)


def _levels(*levels: float) -> Array:
    return np.broadcast_to(np.array(levels).reshape(BATCH, 1, 1, 1), SHAPE).copy()


EVEN, UNEVEN = _levels(1, 1, 1, 1), _levels(1, 1, 1, 3)
BRIGHT_IS_WRONG = _levels(1, 1, 1, 6)
"""Twice the target, where the target is bright; equal to it elsewhere."""
DEVIANCE = 2**2 - 1 - 2 * log(2)
"""Of a rate that is four times the counts, per count."""


@pytest.mark.parametrize("scope", ["batch", "view"])
def test_a_norm_over_the_batch_is_another_loss_in_shards(framework: str, dtype: str, scope: str) -> None:
    """Levels 1 1 1 1 and 1 1 1 3: |1/2 - 1/sqrt(12)| three times, |1/2 - 3/sqrt(12)| once: 1/4 on average.

    In shards 1 1 1 and 1 no norm tells prediction and target apart: 0.
    """
    asked = question(L2, EVEN, UNEVEN, EVERYTHING, np.full(BATCH, 4, np.int32), scope=scope)
    got = side(framework, asked, dtype)
    require_near(got.value, 1 / 4 / np.sqrt(ELEMENTS), got.of_value, "whole batch")
    value, gradient, of_value, _ = _together(framework, dtype, _shards(asked, (3, 1)))
    require_near(value, np.zeros(()), of_value, "shards")
    assert np.max(np.abs(gradient - got.gradient)) > np.max(np.abs(got.gradient)) / 2


def test_a_norm_and_a_coupling_reduced_over_the_batch_repair_it(framework: str, dtype: str) -> None:
    """Both norms first, then the legacy loss of each shard; then sum_j g_j phat_j of all shards, for the gradient."""
    asked = question(L2, EVEN, UNEVEN, EVERYTHING, scope="batch")
    got = side(framework, asked, dtype)
    norms = [np.sqrt(np.sum(np.square(array))) for array in (EVEN, UNEVEN)]
    held = [(array / norm).astype(dtype).astype(float) for array, norm in zip((EVEN, UNEVEN), norms)]
    normalised = question(MAE, *held, EVERYTHING)
    value, slope, of_value, of_slope = _together(framework, dtype, _shards(normalised, (3, 1)))
    # what was normalised in float64 is rounded once on its way in
    rounded = ARITHMETICS[dtype].grow(2) + ARITHMETICS["float64"].grow(EVEN.size)
    require_near(value, got.value, of_value + got.of_value + rounded * np.mean(held[0] + held[1]), "value")
    phat = held[0]
    gradient = (slope - phat * np.sum(slope * phat)) / norms[0]
    size = np.abs(slope) + np.abs(phat) * np.sum(np.abs(slope * phat))
    allowed = (of_slope + np.abs(phat) * np.sum(of_slope * np.abs(phat)) + 2 * rounded * size) / norms[0]
    require_near(gradient, got.gradient, allowed + got.of_gradient, "gradient")


def test_a_scale_taken_from_each_shard_is_another_loss(framework: str, dtype: str) -> None:
    """The bright quarter has three times the mean intensity; on its own it is given the mean number of photons."""
    light = float(np.mean(UNEVEN**2))
    pixels = SHAPE[2] * SHAPE[3]
    s = np.sqrt(NPHOTONS / pixels / light)
    asked = question(
        NLL, BRIGHT_IS_WRONG, UNEVEN, EVERYTHING, scale=Scale(float(s), "dataset", NPHOTONS), constant="saturated"
    )
    got = side(framework, asked, dtype)
    photons = NPHOTONS / pixels
    require_near(got.value, 3 / 4 * photons * DEVIANCE, got.of_value, "whole batch")
    shards = []
    for share, part in _shards(asked, (3, 1)):
        own = float(np.sqrt(photons / np.mean(part.target**2)))
        options = {**vars(part.parameters), "scale": Scale(own, "dataset", NPHOTONS)}
        shards.append((share, question(NLL, part.prediction, part.target, part.mask, **options)))
    value, _, of_value, _ = _together(framework, dtype, shards)
    require_near(value, 1 / 4 * photons * DEVIANCE, of_value, "shards")


def test_a_mean_amplitude_of_each_shard_is_another_loss(framework: str, dtype: str) -> None:
    """Mean amplitudes 3/2 of all, 1 and 3 of the shards: half the loss."""
    options = {"constant": "saturated", "normaliser": "batch_mean_amplitude", "scale": Scale(1.0)}
    asked = question(NLL, BRIGHT_IS_WRONG, UNEVEN, EVERYTHING, **options)
    got = side(framework, asked, dtype)
    deviance = 9 * DEVIANCE / 4
    require_near(got.value, deviance / (1.5 + 1e-8), got.of_value, "whole batch")
    value, _, of_value, _ = _together(framework, dtype, _shards(asked, (3, 1)))
    require_near(value, deviance / (3 + 1e-8), of_value, "shards")
