"""Sentences of the reference's docstrings that no other test holds."""

from collections.abc import Callable
from functools import partial
from math import nan
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from roundings import SHORT, apart, require_close

import oracle

ONES = jnp.ones((2, 1, 3, 4))
nll = partial(oracle.poisson_nll, ONES, ONES, 1.0)


@pytest.mark.parametrize("dtype", ["int32", "bool", "complex64"])
def test_a_scale_of_anything_but_real_floats_is_refused(dtype: str) -> None:
    with pytest.raises(TypeError, match=f"target_amplitude: got {dtype}, wanted an array of float64 or float32"):
        oracle.intensity_scale(1e3, target_amplitude=ONES.astype(dtype))


def test_a_complex_mask_of_a_scale_is_refused() -> None:
    with pytest.raises(TypeError, match="mask: got complex64"):
        oracle.intensity_scale(1e3, target_amplitude=ONES, mask=ONES.astype("complex64"))


NUMBERS: dict[str, Callable[[Any], Any]] = {
    "nphotons": lambda x: oracle.intensity_scale(x, target_amplitude=ONES),
    "eps": lambda x: oracle.amplitude_l2_mae(ONES, ONES, eps=x),
    "rate_floor": lambda x: nll(rate_guard="clamp", rate_floor=x),
    "normaliser_value": lambda x: nll(normaliser="frozen_mean_intensity", normaliser_value=x),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_is_traced_or_none_is_refused(name: str) -> None:
    for refused in (jax.jit(NUMBERS[name]), lambda _: NUMBERS[name]([1.0]), lambda _: NUMBERS[name]({})):
        with pytest.raises(TypeError, match=f"{name}: got .*, wanted a number that is known before tracing"):
            refused(1.0)


@pytest.mark.parametrize("pixels", [3.5, "64", True])
def test_a_side_that_is_no_whole_number_is_refused(pixels: Any) -> None:
    with pytest.raises(TypeError, match=r"pixels: got .*, wanted an int"):
        oracle.intensity_scale(1e3, source="closed_form", pixels=pixels)


def test_the_mean_count_per_pixel_is_that_of_nphotons() -> None:
    t = jnp.asarray(np.random.default_rng(1).uniform(0, 4, (5, 2, 3, 4)), "float32")
    s = oracle.intensity_scale(360.0, target_amplitude=t)
    require_close(jnp.mean((s * t) ** 2), 360 / 12, apart(2 * t.size, "float32", SHORT))


def scale_of(framework: str, t: np.ndarray) -> float:
    """Return the scale of a data set (B, C, H, W) for one photon."""
    if framework == "jax":
        return float(oracle.intensity_scale(1.0, target_amplitude=jnp.asarray(t)))
    if framework == "torch":
        import torch

        from conformance.codepaths import torch_losses

        return float(torch_losses.intensity_scale(torch.tensor(t), 1.0))
    import tensorflow as tf

    from conformance.codepaths import tensorflow_losses

    return float(tensorflow_losses.intensity_scale(tf.constant(t.transpose(0, 2, 3, 1)), 1.0))


@pytest.mark.parametrize("framework", ["jax", "torch", "tensorflow"])
def test_a_data_set_without_light_has_no_scale(framework: str) -> None:
    """An overflow must not become a scale of 0, under which every loss is 0."""
    ones = np.ones(ONES.shape, np.float32)
    assert scale_of(framework, 0 * ones) == np.inf
    for bad in (nan, np.inf, -np.inf, 1e20):
        spoilt = ones.copy()
        spoilt[0, 0, 0, 0] = bad
        assert np.isnan(scale_of(framework, spoilt))


def test_a_negative_intensity_gives_nan() -> None:
    for loss in (oracle.amplitude_l2_mae, oracle.amplitude_mae):
        assert np.isnan(loss(ONES.at[0, 0, 0, 0].set(-1.0), ONES, domain="intensity"))


@pytest.mark.parametrize("ids", [np.array([0, 2**32]), np.array([-1, 2**32 - 1])], ids=["high", "sign"])
def test_all_bits_of_numpy_ids_are_compared(ids: np.ndarray) -> None:
    """The lower 32 bits of the two are the same."""
    p = ONES.at[0].set(3.0).at[:, :, 0].set(2.0)
    view, sample, batch = (
        float(oracle.amplitude_l2_mae(p, ONES, scope=scope, view_ids=ids if scope == "view" else None))
        for scope in ("view", "sample", "batch")
    )
    assert abs(view - sample) < apart(3 * ONES.size, "float32") * sample < abs(view - batch)
