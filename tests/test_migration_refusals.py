"""What the migration's functions refuse: a ratio of the wrong size would be used without a word."""

from typing import Any

import numpy as np
import pytest

from conformance.rollout.migration import l2_matched, patterns_in_scope, ratios_of_data, ratios_of_photons

T = np.arange(1.0, 17.0).reshape(2, 2, 2, 2)


@pytest.mark.parametrize("normalization", ["l2_batch", "l2_view"])
@pytest.mark.parametrize("batch_size", [None, 0, -1])
def test_where_samples_share_a_norm_somebody_says_how_many(normalization: str, batch_size: Any) -> None:
    how = {"normalization": normalization, "batch_size": batch_size}
    for call in (
        lambda: ratios_of_data(T, 1.0, **how),
        lambda: ratios_of_photons(1e6, 2, **how),
        lambda: patterns_in_scope(2, **how),
    ):
        with pytest.raises(ValueError, match=f"batch_size: got {batch_size}, wanted how many samples share a norm"):
            call()


def test_under_unit_rms_the_batch_size_cancels() -> None:
    each = [ratios_of_data(T, 1.0, normalization="l2_batch", gain="unit_rms", batch_size=n) for n in (None, 1, 4)]
    assert each[0] == each[1] == each[2]


@pytest.mark.parametrize("number", [0.0, -1.0, float("nan"), float("inf")])
def test_numbers_that_are_not_above_0_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="scale: got"):
        ratios_of_data(T, number, normalization="l2_sample")
    with pytest.raises(ValueError, match="nphotons: got"):
        ratios_of_photons(number, 2, normalization="l2_sample")


def test_arrays_of_another_kind_or_shape_are_refused() -> None:
    with pytest.raises(TypeError, match="target: got list, wanted a NumPy array"):
        ratios_of_data(T.tolist(), 1.0, normalization="l2_sample")
    with pytest.raises(ValueError, match=r"shapes differ: prediction \(2, 1, 1, 2\)"):
        l2_matched(T[:, :1, :1], T)
